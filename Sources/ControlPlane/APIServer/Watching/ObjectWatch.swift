// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Storage
import Synchronization

/// One event of a watch, before it is written in the form that its client wants.
struct ObjectEvent: Sendable {
    enum Kind: String, Sendable {
        case added = "ADDED"
        case modified = "MODIFIED"
        case deleted = "DELETED"
    }

    let kind: Kind
    /// The bytes of the object; nil where they are not those that are stored.
    let value: StoredValue?
    /// The object where it had to be decoded anyway.
    let object: KubeObject?
}

/// The changes of a resource's objects that a client wants to see, in order. For a single consumer.
final class ObjectWatch: Sendable {
    /// What came before the first change.
    let initial: [ObjectEvent]
    /// The state that ``initial`` is true for; later changes follow.
    let startRevision: Revision
    /// Whether ``initial`` ends with a bookmark (`sendInitialEvents` together with `allowWatchBookmarks`).
    let marksInitialEnd: Bool

    private let served: ServedResource
    private let source: any StorageWatch
    private let selector: ObjectSelector
    private let registry: Registry

    init(
        served: ServedResource, source: any StorageWatch, selector: ObjectSelector, registry: Registry,
        initial: [ObjectEvent], startRevision: Revision, marksInitialEnd: Bool
    ) {
        self.served = served
        self.source = source
        self.selector = selector
        self.registry = registry
        self.initial = initial
        self.startRevision = startRevision
        self.marksInitialEnd = marksInitialEnd
    }

    /// Waits for changes; nil when the store closes, and an empty list when none of them is the client's or ``interrupt()`` was
    /// called.
    ///
    /// Cancellation throws `CancellationError` and loses nothing: the next call goes on where this one stopped.
    func next() async throws -> [ObjectEvent]? {
        guard let batch = try await source.next() else { return nil }
        if selector.isEverything, served.servesStoredBytes {
            return batch.map { ObjectEvent(kind: Self.kind($0.kind), value: $0.value, object: nil) }
        }
        return try batch.compactMap(translate)
    }

    /// Has the consumer look up from its waiting.
    func interrupt() { source.interrupt() }

    /// Every change up to this revision has been returned by ``next()``.
    var deliveredRevision: Revision { max(source.deliveredRevision, startRevision) }

    private static func kind(_ kind: StorageEvent.Kind) -> ObjectEvent.Kind {
        switch kind {
        case .created: .added
        case .modified: .modified
        case .deleted: .deleted
        }
    }

    /// An object that begins to match is added, and one that no longer matches is deleted, for this client.
    private func translate(_ event: StorageEvent) throws -> ObjectEvent? {
        let object = try registry.decodeShared(event.value, as: served)
        let previous = try event.previous.map { try registry.decodeShared($0, as: served) }
        let matched = previous.map(selector.matches) ?? false
        let value = served.servesStoredBytes ? event.value : nil
        if event.kind == .deleted {
            return matched ? ObjectEvent(kind: .deleted, value: value, object: object) : nil
        }
        switch (matched, selector.matches(object)) {
        case (false, true): return ObjectEvent(kind: .added, value: value, object: object)
        case (true, true): return ObjectEvent(kind: .modified, value: value, object: object)
        case (true, false):
            guard var last = previous else { return nil }
            last.resourceVersion = String(event.revision)
            return ObjectEvent(kind: .deleted, value: nil, object: last)
        case (false, false): return nil
        }
    }
}

extension Registry {
    /// Decodes a value that several watchers may look at, in the version that a resource serves.
    func decodeShared(_ value: StoredValue, as served: ServedResource) throws(StatusError) -> KubeObject {
        let object = try decoder.decodeShared(value)
        return served.servesStoredBytes ? object : ObjectConversion.convert(object, to: served.kind)
    }

    /// Opens a watch.
    ///
    /// - Throws: `Expired` (410) when the history no longer reaches back to the wanted revision, or there was none such yet.
    func watch(_ served: ServedResource, namespace: String, options: WatchOptions) async throws -> ObjectWatch {
        let selector = try ObjectSelector(
            labels: options.labelSelector, fields: options.fieldSelector, kind: served.kind)
        let namespace = namespace.isEmpty ? selector.requiredNamespace ?? "" : namespace
        var prefix = served.keyPrefix(namespace: namespace)
        let version = options.resourceVersion
        guard let revision = version.isEmpty ? 0 : Revision(version), revision >= 0 else {
            throw Self.invalidVersion(version)
        }
        let startsWithState = options.sendInitialEvents ?? (revision == 0)
        var initial: [ObjectEvent] = []
        var start = revision
        if startsWithState {
            let snapshot = try await revision == 0 ? currentSnapshot() : snapshot(notOlderThan: revision)
            start = snapshot.revision
            try snapshot.forEach(prefix: prefix, after: nil) { value in
                if let event = try initialEvent(value, served, selector) { initial.append(event) }
                return true
            }
        } else if revision == 0 {
            start = try await currentSnapshot().revision
        } else {
            // Upstream waits for it in silence. Nobody has seen it of this store: it is from before a backup was restored, and
            // whoever asks has to list anew.
            let current = try await currentSnapshot().revision
            guard revision <= current else {
                throw StatusError.expired("too large resource version: \(revision) (current: \(current))")
            }
        }
        // The watch of one object sees only its key (and those of longer names, which the selector sorts out).
        if let name = selector.requiredName, !served.isNamespaced || !namespace.isEmpty {
            prefix = served.key(namespace: namespace, name: name)
        }
        return ObjectWatch(
            served: served, source: try changes(prefix: prefix, after: start), selector: selector, registry: self,
            initial: initial, startRevision: start,
            marksInitialEnd: options.sendInitialEvents == true && options.allowBookmarks)
    }

    private func changes(prefix: String, after revision: Revision) throws(StatusError) -> any StorageWatch {
        do throws(StorageError) {
            return try storage.watch(prefix: prefix, after: revision)
        } catch {
            guard case .compacted(let oldest) = error else { throw StatusTranslation.status(of: error) }
            throw .expired("too old resource version: \(revision) (\(oldest))")
        }
    }

    private func initialEvent(
        _ value: StoredValue, _ served: ServedResource, _ selector: ObjectSelector
    ) throws -> ObjectEvent? {
        if selector.isEverything, served.servesStoredBytes {
            return ObjectEvent(kind: .added, value: value, object: nil)
        }
        let object = try decode(value, as: served)
        guard selector.matches(object) else { return nil }
        return ObjectEvent(kind: .added, value: served.servesStoredBytes ? value : nil, object: object)
    }
}
