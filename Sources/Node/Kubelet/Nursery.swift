// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Runs tasks that are begun from elsewhere as children of its own ``run()``, so that none outlives the kubelet.
///
/// The number of tasks is bounded by what begins them: one per pod, probe or watched object.
final class Nursery: Sendable {
    private struct State {
        var jobs: [@Sendable () async -> Void] = []
        var waiter: CheckedContinuation<Void, Never>?
        var isOver = false
    }

    private let state = Mutex(State())

    /// Begins a task. After ``run()`` has ended it is dropped.
    func start(_ job: @escaping @Sendable () async -> Void) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.isOver { return nil }
            state.jobs.append(job)
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Begins a task that can be cancelled on its own.
    func startCancellable(_ job: @escaping @Sendable () async -> Void) -> Cancellation {
        let cancellation = Cancellation()
        start { await cancellation.run(job) }
        return cancellation
    }

    /// Runs the tasks until it is cancelled, and then waits for all of them.
    func run() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                for job in takeJobs() { group.addTask { await job() } }
                await waitForJob()
            }
            state.withLock { $0.isOver = true }
            group.cancelAll()
        }
    }

    private func takeJobs() -> [@Sendable () async -> Void] {
        state.withLock { state in
            defer { state.jobs = [] }
            return state.jobs
        }
    }

    private func waitForJob() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let goOn = state.withLock { state in
                    if !state.jobs.isEmpty || Task.isCancelled { return true }
                    state.waiter = continuation
                    return false
                }
                if goOn { continuation.resume() }
            }
        } onCancel: {
            state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }?.resume()
        }
    }
}

/// Ends one task of a ``Nursery``.
final class Cancellation: Sendable {
    private let signal = BoundedChannel<Void>(limit: 1)

    /// Asks the task to end; more than once does no harm.
    func cancel() { signal.finish() }

    fileprivate func run(_ job: @escaping @Sendable () async -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await job() }
            group.addTask { [signal] in _ = await signal.receive() }
            await group.next()
            group.cancelAll()
        }
    }
}
