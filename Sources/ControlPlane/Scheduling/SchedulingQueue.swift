// SPDX-License-Identifier: Apache-2.0

import HeapModule
import KubeAPI

/// Pods that wait for a node, by priority and age: a state machine without I/O.
///
/// A pod that finds no node waits until something changes that could help it, at most ``longestWait``, and never less
/// than its back-off, so that a hopeless pod costs little.
struct SchedulingQueue: Sendable {
    typealias Instant = ContinuousClock.Instant

    static let shortestBackOff = Duration.seconds(1)
    static let longestBackOff = Duration.seconds(10)
    /// After so long a pod is tried again, even if nothing seems to have changed.
    static let longestWait = Duration.seconds(300)

    private struct Waiting: Sendable {
        var priority: Int
        var order: Int
        /// Whether it depends on which pods lie where.
        var followsPods: Bool
        var attempts = 0
        /// How many changes there had been when it was last tried; nil if something that concerns it alone has changed since.
        var changesSeen: Int?
        /// When it may be tried again; nil while it is ready.
        var notBefore: Instant?
        /// When it is tried again whatever happens.
        var deadline: Instant?
    }

    private struct Candidate: Comparable, Sendable {
        let key: ObjectKey
        let priority: Int
        let order: Int

        static func < (left: Candidate, right: Candidate) -> Bool {
            left.priority == right.priority ? left.order > right.order : left.priority < right.priority
        }
        static func == (left: Candidate, right: Candidate) -> Bool {
            left.key == right.key && left.priority == right.priority && left.order == right.order
        }
    }

    private var waiting: [ObjectKey: Waiting] = [:]
    private var ready = Heap<Candidate>()
    private var lastOrder = 0
    private var changes = 0

    /// A pod wants a node; one that waits already is tried again soon, because it has changed.
    ///
    /// - Parameter followsPods: Whether pods that are placed may help it.
    mutating func add(_ key: ObjectKey, priority: Int, followsPods: Bool = false, now: Instant) {
        if waiting[key] != nil {
            waiting[key]?.priority = priority
            waiting[key]?.followsPods = followsPods
            waiting[key]?.changesSeen = nil
            wake(key, now: now)
            return
        }
        lastOrder += 1
        waiting[key] = Waiting(priority: priority, order: lastOrder, followsPods: followsPods)
        makeReady(key)
    }

    mutating func remove(_ key: ObjectKey) { waiting[key] = nil }

    /// Something changed that could help: everything that waits is tried again when its back-off is over.
    mutating func wakeAll(now: Instant) {
        changes += 1
        for key in waiting.keys { wake(key, now: now) }
    }

    /// Another pod has been placed: whatever waits for such ones is tried again.
    mutating func wakeFollowers(now: Instant) {
        for (key, pod) in waiting where pod.followsPods {
            waiting[key]?.changesSeen = nil
            wake(key, now: now)
        }
    }

    /// The pod to place next.
    mutating func next() -> ObjectKey? {
        while let candidate = ready.popMax() {
            // Removed, or queued again since: its newer entry counts.
            guard let pod = waiting[candidate.key], pod.order == candidate.order, pod.deadline == nil,
                pod.notBefore == nil
            else { continue }
            waiting[candidate.key]?.changesSeen = changes
            return candidate.key
        }
        return nil
    }

    /// The pod that ``next()`` gave found no node. What changed while it was tried may have come too late for it, so it is then
    /// tried again as soon as its back-off is over.
    mutating func failed(_ key: ObjectKey, now: Instant) {
        guard var pod = waiting[key] else { return }
        pod.attempts += 1
        let backOff = min(Self.longestBackOff, Self.shortestBackOff * (1 << min(pod.attempts - 1, 6)))
        pod.notBefore = now + backOff
        pod.deadline = now + (pod.changesSeen == changes ? Self.longestWait : backOff)
        waiting[key] = pod
    }

    /// Makes pods ready whose time has come; gives the next time at which some will be.
    mutating func releaseDue(now: Instant) -> Instant? {
        var next: Instant?
        for (key, pod) in waiting {
            guard let deadline = pod.deadline else { continue }
            if deadline <= now {
                makeReady(key)
            } else {
                next = min(next ?? deadline, deadline)
            }
        }
        return next
    }

    private mutating func wake(_ key: ObjectKey, now: Instant) {
        guard let notBefore = waiting[key]?.notBefore else { return }
        if notBefore <= now {
            makeReady(key)
        } else {
            waiting[key]?.deadline = notBefore
        }
    }

    private mutating func makeReady(_ key: ObjectKey) {
        waiting[key]?.notBefore = nil
        waiting[key]?.deadline = nil
        guard let pod = waiting[key] else { return }
        ready.insert(Candidate(key: key, priority: pod.priority, order: pod.order))
    }
}
