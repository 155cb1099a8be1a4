// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// One watch: changes wait here until its consumer takes them.
final class WatchBuffer: StorageWatch {
    private struct State {
        var events: [StorageEvent]
        var delivered: Revision
        var isOverflown = false
        var isClosed = false
        var isInterrupted = false
        var consumer: CheckedContinuation<[StorageEvent]?, any Error>?
    }

    /// What a consumer's call comes to.
    private enum Outcome {
        case wait
        case resume(Result<[StorageEvent]?, any Error>)
    }

    let prefix: String
    private let limit: Int
    private let core: StorageCore
    private let state: Mutex<State>

    init(prefix: String, after revision: Revision, backlog: [StorageEvent], core: StorageCore) {
        self.prefix = prefix
        self.core = core
        limit = max(core.limits.watchBuffer, backlog.count)
        state = Mutex(State(events: backlog, delivered: revision))
    }

    deinit { core.endWatch(id: ObjectIdentifier(self), prefix: prefix) }

    /// Adds one change, or cuts the watch off when its consumer is too far behind.
    func add(_ event: StorageEvent) {
        state.withLock { state in
            guard !state.isOverflown else { return }
            // A backlog from before the registration may hold the change already.
            guard event.revision > state.events.last?.revision ?? state.delivered else { return }
            if state.events.count >= limit {
                state.isOverflown = true
                state.events = []
            } else {
                state.events.append(event)
            }
        }
    }

    /// Wakes the consumer, after a batch.
    func wake() {
        let woken = state.withLock { state -> (CheckedContinuation<[StorageEvent]?, any Error>, Outcome)? in
            guard let consumer = state.consumer else { return nil }
            let outcome = Self.take(&state)
            if case .resume = outcome { state.consumer = nil }
            return (consumer, outcome)
        }
        if let (consumer, outcome) = woken, case .resume(let result) = outcome { consumer.resume(with: result) }
    }

    func close() {
        state.withLock { $0.isClosed = true }
        wake()
    }

    func interrupt() {
        state.withLock { $0.isInterrupted = true }
        wake()
    }

    private static func take(_ state: inout State) -> Outcome {
        if state.isOverflown { return .resume(.failure(StorageError.watchTooSlow)) }
        if let last = state.events.last {
            defer { state.events = [] }
            state.delivered = last.revision
            return .resume(.success(state.events))
        }
        if state.isClosed { return .resume(.success(nil)) }
        guard state.isInterrupted else { return .wait }
        state.isInterrupted = false
        return .resume(.success([]))
    }

    func next() async throws -> [StorageEvent]? {
        try Task.checkCancellation()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome = state.withLock { state in
                    let outcome =
                        Task.isCancelled ? .resume(.failure(CancellationError())) : Self.take(&state)
                    if case .wait = outcome { state.consumer = continuation }
                    return outcome
                }
                if case .resume(let result) = outcome { continuation.resume(with: result) }
            }
        } onCancel: {
            let consumer = state.withLock { state in
                defer { state.consumer = nil }
                return state.consumer
            }
            consumer?.resume(throwing: CancellationError())
        }
    }

    var deliveredRevision: Revision {
        // Taken first: every change up to it is in the buffer by now, or has gone through it.
        let published = core.publishedRevision
        return state.withLock { $0.events.isEmpty && !$0.isOverflown ? max($0.delivered, published) : $0.delivered }
    }
}
