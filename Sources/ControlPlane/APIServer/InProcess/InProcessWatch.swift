// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Storage
import Synchronization

/// The events of a watch for a consumer in this process: decoded once for all of them, never encoded.
final class InProcessWatch: WatchSource {
    private let watch: ObjectWatch
    private let registry: Registry
    private let served: ServedResource
    private let pending: Mutex<Pending>

    private struct Pending {
        /// The events that wait, the next one last.
        var events: [ObjectEvent] = []
        var owesBookmark = false
    }

    init(_ watch: ObjectWatch, registry: Registry, served: ServedResource) {
        self.watch = watch
        self.registry = registry
        self.served = served
        pending = Mutex(Pending(events: watch.initial.reversed(), owesBookmark: watch.marksInitialEnd))
    }

    func next() async throws -> WatchEvent? {
        while true {
            if let event = try takePending() { return event }
            do {
                guard let batch = try await watch.next() else { return nil }
                pending.withLock { $0.events = batch.reversed() }
            } catch let error as CancellationError {
                throw error
            } catch {
                throw StatusTranslation.status(of: error)
            }
        }
    }

    private func takePending() throws -> WatchEvent? {
        enum Next {
            case event(ObjectEvent)
            case bookmark
        }
        let next: Next? = pending.withLock { pending in
            if let event = pending.events.popLast() { return .event(event) }
            guard pending.owesBookmark else { return nil }
            pending.owesBookmark = false
            return .bookmark
        }
        switch next {
        case nil: return nil
        case .bookmark:
            return .bookmark(Bookmarks.object(served, revision: watch.startRevision, endsInitialEvents: true))
        case .event(let event):
            let object = try event.object ?? event.value.map { try registry.decodeShared($0, as: served) }
            guard let object else { return nil }
            return switch event.kind {
            case .added: .added(object)
            case .modified: .modified(object)
            case .deleted: .deleted(object)
            }
        }
    }
}
