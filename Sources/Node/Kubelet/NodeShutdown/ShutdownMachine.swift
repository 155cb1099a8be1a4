// SPDX-License-Identifier: Apache-2.0

/// How long pods may take to end when the machine goes down (upstream: KubeletConfiguration, the fields of these names).
package struct ShutdownPeriods: Hashable, Sendable {
    /// For all pods together, in milliseconds.
    package var total: Int64
    /// The part of it that critical pods have to themselves.
    package var critical: Int64

    package init(total: Duration, critical: Duration) {
        self.total = Self.milliseconds(total)
        self.critical = min(self.total, Self.milliseconds(critical))
    }

    private static func milliseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }

    /// As much of them as fits into a time: ordinary pods are the first to lose theirs.
    package func limited(to time: Duration) -> ShutdownPeriods {
        var result = self
        result.total = min(total, Self.milliseconds(time))
        result.critical = min(critical, result.total)
        return result
    }
}

/// Which pods end in which order when the machine goes down: ordinary ones first, critical ones when those have ended or
/// their time is over (upstream: pkg/kubelet/nodeshutdown, KEP-2000). Pure.
struct ShutdownMachine: Sendable {
    /// From this priority on a pod is critical (upstream: scheduling.SystemCriticalPriority).
    static let criticalPriority = 2_000_000_000

    struct Member: Hashable, Sendable {
        var uid: String
        var priority: Int
        /// Seconds that the pod itself asks for.
        var grace: Int
    }

    enum Action: Hashable, Sendable {
        /// End the pod within so many seconds.
        case end(uid: String, grace: Int)
        /// Call ``ShutdownMachine/tick(now:)`` at this uptime (milliseconds).
        case wakeUp(at: Int64)
        /// Nothing is to be waited for any more.
        case finish
    }

    /// Pods that end together.
    private struct Stage: Sendable {
        var members: [Member]
        var period: Int64
    }

    private var stages: [Stage]
    private var waitsFor: Set<String> = []
    private var deadline: Int64 = 0
    private(set) var isFinished = false

    init(_ pods: [Member], periods: ShutdownPeriods) {
        let ordinary = pods.filter { $0.priority < Self.criticalPriority }
        let critical = pods.filter { $0.priority >= Self.criticalPriority }
        stages = [
            Stage(members: ordinary, period: periods.total - periods.critical),
            Stage(members: critical, period: periods.critical),
        ].filter { !$0.members.isEmpty }
    }

    /// Begins with the first pods.
    mutating func begin(now: Int64) -> [Action] { next(now) }

    /// Takes in that a pod has ended.
    mutating func ended(_ uid: String, now: Int64) -> [Action] {
        guard waitsFor.remove(uid) != nil, waitsFor.isEmpty else { return [] }
        return next(now)
    }

    /// Takes in that time has passed.
    mutating func tick(now: Int64) -> [Action] {
        if isFinished { return [] }
        return now < deadline ? [.wakeUp(at: deadline)] : next(now)
    }

    private mutating func next(_ now: Int64) -> [Action] {
        if isFinished { return [] }
        guard !stages.isEmpty else {
            isFinished = true
            return [.finish]
        }
        let stage = stages.removeFirst()
        waitsFor = Set(stage.members.map(\.uid))
        deadline = now + stage.period
        // A pod that asks for less gets less.
        let longest = Int(stage.period / 1000)
        return stage.members.map { .end(uid: $0.uid, grace: min($0.grace, longest)) } + [.wakeUp(at: deadline)]
    }
}
