// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Work that several tasks want at the same time: one does it, the others wait and have its result.
final class SingleFlight<Value: Sendable>: Sendable {
    private enum Turn: Sendable {
        /// The caller does the work.
        case lead
        /// Somebody else did it.
        case done(Value)
        /// Whoever did it gave up, or the caller was cancelled.
        case again
    }

    private struct State {
        var isRunning = false
        var waiters: [Int: CheckedContinuation<Turn, Never>] = [:]
        var lastWaiter = 0
    }

    private let state = Mutex(State())

    /// The result of `work`, or of the same work of another task that was under way.
    ///
    /// - Throws: `CancellationError` when the caller is cancelled, and what `work` throws to the caller that did it; the
    ///   others try again then.
    func run(_ work: () async throws -> Value) async throws -> Value {
        while true {
            try Task.checkCancellation()
            switch await turn() {
            case .lead:
                do {
                    let value = try await work()
                    finish(Task.isCancelled ? .again : .done(value))
                    return value
                } catch {
                    finish(.again)
                    throw error
                }
            case .done(let value): return value
            case .again: continue
            }
        }
    }

    private func turn() async -> Turn {
        let id = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // Decided under the lock, resumed outside of it.
                let turn: Turn? = state.withLock { state in
                    if Task.isCancelled { return .again }
                    if !state.isRunning {
                        state.isRunning = true
                        return .lead
                    }
                    state.waiters[id] = continuation
                    return nil
                }
                if let turn { continuation.resume(returning: turn) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: .again)
        }
    }

    private func finish(_ turn: Turn) {
        let waiters = state.withLock { state in
            state.isRunning = false
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.resume(returning: turn) }
    }
}
