// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Synchronization

/// A ``SchedulingQueue`` that can be waited for; one consumer.
final class PendingPods: Sendable {
    fileprivate struct State {
        var queue = SchedulingQueue()
        var waiter: CheckedContinuation<Void, Never>?
        var isSignalled = false
    }

    private let state = Mutex(State())

    func add(_ pod: PodView) {
        let followsPods =
            pod.object.spec["affinity"]?["podAffinity"]?.object != nil
            || SpreadConstraint.all(of: pod).contains { $0.isHard }
        change { $0.add(pod.object.key, priority: pod.priority, followsPods: followsPods, now: .now) }
    }

    func wakeAll() { change { $0.wakeAll(now: .now) } }
    func wakeFollowers() { change { $0.wakeFollowers(now: .now) } }
    func remove(_ key: ObjectKey) { state.withLock { $0.queue.remove(key) } }
    func failed(_ key: ObjectKey) { state.withLock { $0.queue.failed(key, now: .now) } }

    /// The pod to place next; waits for one. Nil when the task is cancelled.
    func next() async -> ObjectKey? {
        while !Task.isCancelled {
            let step: (key: ObjectKey?, due: ContinuousClock.Instant?) = state.withLock { state in
                let due = state.queue.releaseDue(now: .now)
                return (state.queue.next(), due)
            }
            if let key = step.key { return key }
            if let due = step.due {
                await withTaskGroup { group in
                    // Cancellation only ends the wait.
                    group.addTask { try? await Task.sleep(until: due, clock: .continuous) }
                    group.addTask { await self.waitForSignal() }
                    await group.next()
                    group.cancelAll()
                }
            } else {
                await waitForSignal()
            }
        }
        return nil
    }

    private func change(_ body: (inout SchedulingQueue) -> Void) {
        let waiter = state.withLock { state in
            body(&state.queue)
            if state.waiter == nil { state.isSignalled = true }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    private func waitForSignal() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled || state.isSignalled {
                        state.isSignalled = false
                        return true
                    }
                    state.waiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }
    }
}
