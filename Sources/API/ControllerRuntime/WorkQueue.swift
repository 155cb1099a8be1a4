// SPDX-License-Identifier: Apache-2.0

import DequeModule
import HeapModule
import OrderedCollections
import Synchronization

/// Keys that want attention.
///
/// A key that is added several times is handed out once; a key that is added while somebody works on it is handed out
/// again afterwards, never to two workers at once. The queue is bounded by the number of distinct keys. When nothing is
/// due nothing runs: there is no polling.
package final class WorkQueue<Key: Hashable & Sendable>: Sendable {
    private let state = Mutex(State())
    private let clock = ContinuousClock()
    private let shortestDelay: Duration
    private let longestDelay: Duration

    fileprivate struct Timer: Comparable {
        let deadline: ContinuousClock.Instant
        let key: Key

        static func < (left: Timer, right: Timer) -> Bool { left.deadline < right.deadline }
        static func == (left: Timer, right: Timer) -> Bool { left.deadline == right.deadline && left.key == right.key }
    }

    fileprivate struct State {
        var ready: Deque<Key> = []
        /// Keys in `ready`, and those to be added there when their worker is done.
        var dirty: Set<Key> = []
        var active: Set<Key> = []
        var failures: [Key: Int] = [:]
        var timers = Heap<Timer>()
        /// The earliest deadline wanted for a key; other timers of that key are stale.
        var deadlines: [Key: ContinuousClock.Instant] = [:]
        var waiters: OrderedDictionary<Int, CheckedContinuation<Key?, Never>> = [:]
        var alarm: CheckedContinuation<Void, Never>?
        var isRung = false
        var lastWaiter = 0
    }

    /// - Parameters:
    ///   - shortestDelay: The wait after a key's first failure, doubled by each further one.
    ///   - longestDelay: The longest wait.
    package init(shortestDelay: Duration = .milliseconds(5), longestDelay: Duration = .seconds(300)) {
        self.shortestDelay = shortestDelay
        self.longestDelay = longestDelay
    }

    /// Wants attention for a key now.
    package func add(_ key: Key) {
        let handover = state.withLock { $0.add(key) }
        handover?.waiter.resume(returning: handover?.key)
    }

    /// Wants attention for a key after a while; an earlier wish for the same key is kept, a later one replaced.
    package func add(_ key: Key, after delay: Duration) {
        guard delay > .zero else { return add(key) }
        let deadline = clock.now + delay
        let alarm: CheckedContinuation<Void, Never>? = state.withLock { state in
            if let earlier = state.deadlines[key], earlier <= deadline { return nil }
            state.deadlines[key] = deadline
            let isEarliest = state.timers.min.map { deadline < $0.deadline } ?? true
            state.timers.insert(Timer(deadline: deadline, key: key))
            return isEarliest ? state.ring() : nil
        }
        alarm?.resume()
    }

    /// Wants attention for a key whose reconciliation failed, after a wait that grows with its failures.
    package func addAfterFailure(_ key: Key) {
        let failures = state.withLock { state in
            state.failures[key, default: 0] += 1
            return state.failures[key] ?? 1
        }
        add(key, after: min(longestDelay, shortestDelay * (1 << min(failures - 1, 24))))
    }

    /// Forgets a key's failures.
    package func forget(_ key: Key) { state.withLock { $0.failures[key] = nil } }

    /// The next key; nil when the task is cancelled. Call ``done(_:)`` afterwards.
    package func next() async -> Key? {
        let id = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // Decided under the lock, resumed outside of it.
                let answer: Key?? = state.withLock { state in
                    if Task.isCancelled { return .some(nil) }
                    if let key = state.take() { return .some(key) }
                    state.waiters[id] = continuation
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
            waiter?.resume(returning: nil)
        }
    }

    /// Ends the work on a key that ``next()`` gave; if it was added meanwhile it is handed out again.
    package func done(_ key: Key) {
        let handover = state.withLock { $0.done(key) }
        handover?.waiter.resume(returning: handover?.key)
    }

    /// Keys that wait to be handed out, delayed ones left out.
    package var count: Int { state.withLock { $0.ready.count } }

    /// Moves delayed keys to the queue when they are due, until the task is cancelled.
    package func run() async throws {
        while !Task.isCancelled {
            guard let deadline = releaseDue() else {
                await waitForAlarm()
                continue
            }
            // Woken early by a timer that is due sooner than the one slept for.
            await withTaskGroup { group in
                group.addTask { try? await Task.sleep(until: deadline, clock: .continuous) }  // cancelled: no matter
                group.addTask { await self.waitForAlarm() }
                await group.next()
                group.cancelAll()
            }
        }
        try Task.checkCancellation()
    }

    /// Hands out what is due and returns the next deadline.
    private func releaseDue() -> ContinuousClock.Instant? {
        while true {
            let now = clock.now
            let step: (handover: State.Handover?, deadline: ContinuousClock.Instant?, isDone: Bool) = state.withLock {
                state in
                guard let timer = state.timers.min else { return (nil, nil, true) }
                if state.deadlines[timer.key] != timer.deadline {
                    _ = state.timers.popMin()
                    return (nil, nil, false)
                }
                if timer.deadline > now { return (nil, timer.deadline, true) }
                _ = state.timers.popMin()
                state.deadlines[timer.key] = nil
                return (state.add(timer.key), nil, false)
            }
            step.handover?.waiter.resume(returning: step.handover?.key)
            if step.isDone { return step.deadline }
        }
    }

    private func waitForAlarm() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled || state.isRung {
                        state.isRung = false
                        return true
                    }
                    state.alarm = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let alarm = state.withLock { state in
                defer { state.alarm = nil }
                return state.alarm
            }
            alarm?.resume()
        }
    }
}

extension WorkQueue.State {
    struct Handover: Sendable {
        let key: Key
        let waiter: CheckedContinuation<Key?, Never>
    }

    mutating func add(_ key: Key) -> Handover? {
        guard dirty.insert(key).inserted else { return nil }
        // A key in work waits for its worker.
        if active.contains(key) { return nil }
        return queue(key)
    }

    mutating func done(_ key: Key) -> Handover? {
        active.remove(key)
        return dirty.contains(key) ? queue(key) : nil
    }

    mutating func take() -> Key? {
        guard let key = ready.popFirst() else { return nil }
        dirty.remove(key)
        active.insert(key)
        return key
    }

    mutating func ring() -> CheckedContinuation<Void, Never>? {
        defer { alarm = nil }
        if alarm == nil { isRung = true }
        return alarm
    }

    private mutating func queue(_ key: Key) -> Handover? {
        guard !waiters.isEmpty else {
            ready.append(key)
            return nil
        }
        let (_, waiter) = waiters.removeFirst()
        dirty.remove(key)
        active.insert(key)
        return Handover(key: key, waiter: waiter)
    }
}
