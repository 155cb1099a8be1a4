// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The events of one pod on their way to its worker.
///
/// It is bounded by what can happen at once: a pod update or a verdict on its resize replaces one that waits, and every other event answers an
/// action or belongs to a container that runs.
final class Mailbox: Sendable {
    private struct State {
        var events: [PodEvent] = []
        var waiter: CheckedContinuation<PodEvent?, Never>?
        var isClosed = false
    }

    private let state = Mutex(State())

    func post(_ event: PodEvent) {
        let waiter = state.withLock { state -> CheckedContinuation<PodEvent?, Never>? in
            if state.isClosed { return nil }
            if let waiter = state.waiter {
                state.waiter = nil
                return waiter
            }
            switch event {
            case .podUpdated: state.events.removeAll { if case .podUpdated = $0 { true } else { false } }
            case .resizePending: state.events.removeAll { if case .resizePending = $0 { true } else { false } }
            default: break
            }
            state.events.append(event)
            return nil
        }
        waiter?.resume(returning: event)
    }

    /// The next event; nil once it is closed or the task is cancelled.
    func next() async -> PodEvent? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> PodEvent?? in
                    if Task.isCancelled || state.isClosed { return .some(nil) }
                    if !state.events.isEmpty { return .some(state.events.removeFirst()) }
                    state.waiter = continuation
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            close()
        }
    }

    func close() {
        let waiter = state.withLock { state in
            state.isClosed = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: nil)
    }
}
