// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import Synchronization

/// Ends requests that take too long.
///
/// One task looks after all of them, and sleeps while there are none. A timer for each request would stay in the
/// system's queue for its whole time although the request took a millisecond.
final class RequestDeadlines: Sendable {
    private struct Entry {
        let end: ContinuousClock.Instant
        /// Resumed when the time is up or the request over.
        var waiter: CheckedContinuation<Void, Never>?
    }

    private struct State {
        var entries: [UInt64: Entry] = [:]
        var lastID: UInt64 = 0
        /// The watching task, while there are no requests.
        var idleWatcher: CheckedContinuation<Void, Never>?
    }

    private let timeout: Duration
    private let state = Mutex(State())

    /// - Parameter timeout: how long a request may take; it may last a tenth longer until it is ended.
    init(_ timeout: Duration) { self.timeout = timeout }

    /// Runs `body`, cancelled when it takes too long.
    ///
    /// - Parameter limit: how long its client waits; nil, or longer than the server's own limit, for that one.
    /// - Throws: `Timeout` (504) when the time was up.
    func hold<Result: Sendable>(
        for limit: Duration? = nil, _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let own = limit.flatMap { $0 < timeout ? $0 : nil }
        let id = own == nil ? enter() : nil
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                // A cancelled sleep means that the request is over.
                if let own { try? await Task.sleep(for: own) }
                if let id { await self.waitUntilOver(id) }
                return nil
            }
            defer {
                group.cancelAll()
                if let id { remove(id) }
            }
            guard let first = try await group.next(), let result = first else { throw Self.timedOut }
            return result
        }
    }

    private static let timedOut = StatusError(
        code: 504, reason: StatusError.Reason.timeout,
        message: "Timeout: request did not complete within requested timeout - context deadline exceeded",
        details: .init())

    private func enter() -> UInt64 {
        let (id, watcher) = state.withLock { state in
            state.lastID += 1
            state.entries[state.lastID] = Entry(end: .now + timeout)
            defer { state.idleWatcher = nil }
            return (state.lastID, state.idleWatcher)
        }
        watcher?.resume()
        return id
    }

    private func waitUntilOver(_ id: UInt64) async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                state.entries[id]?.waiter = continuation
                return state.entries[id] == nil
            }
            if isOver { continuation.resume() }
        }
    }

    private func remove(_ id: UInt64) {
        state.withLock { $0.entries.removeValue(forKey: id) }?.waiter?.resume()
    }

    // MARK: The watching task

    /// Ends what takes too long, until it is cancelled.
    func run() async throws {
        while !Task.isCancelled {
            await waitForRequests()
            try await Task.sleep(for: timeout / 10)
            let now = ContinuousClock.now
            let late = state.withLock { state in state.entries.filter { $0.value.end <= now }.keys }
            for id in late { remove(id) }
        }
    }

    private func waitForRequests() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let mayGoOn = state.withLock { state in
                    if !state.entries.isEmpty || Task.isCancelled { return true }
                    state.idleWatcher = continuation
                    return false
                }
                if mayGoOn { continuation.resume() }
            }
        } onCancel: {
            let watcher = state.withLock { state in
                defer { state.idleWatcher = nil }
                return state.idleWatcher
            }
            watcher?.resume()
        }
    }
}
