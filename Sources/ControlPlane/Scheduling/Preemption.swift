// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Which pods have to go for one that finds no node (upstream: the plug-in DefaultPreemption), as pure functions.
struct Preemption: Sendable {
    /// The condition DisruptionTarget of pods that have to go.
    static let reason = "PreemptionByScheduler"

    /// Pods of a node without which the pod fits.
    struct Candidate: Sendable {
        let node: String
        /// The most important first.
        let victims: [PodDemand]
        /// How many of them a disruption budget would keep.
        let violations: Int
    }

    enum Outcome: Sendable {
        case candidate(Candidate)
        /// The pod may not make others go, or not now; why.
        case ineligible(String)
        /// Nothing that goes would help; why, for each node.
        case hopeless([Refusal])
    }

    private enum Trial {
        case candidate(Candidate)
        case refusal(Refusal)
    }

    let snapshot: Filters.Snapshot
    let budgets: DisruptionBudgets

    /// What to do for a pod that no node can take.
    ///
    /// - Parameters:
    ///   - nomination: The node that the pod has been promised; nil if none.
    ///   - refusals: Why each node cannot take it, by name.
    func attempt(for demand: PodDemand, nomination: String?, refusals: [String: Refusal]) -> Outcome {
        if let why = objection(to: demand, nomination, refusals) { return .ineligible(why) }
        var candidates: [Candidate] = []
        var reasons: [Refusal] = []
        for node in snapshot.nodes {
            guard refusals[node.name]?.isResolvable ?? false else {
                reasons.append(Refusal(["Preemption is not helpful for scheduling"]))
                continue
            }
            switch trial(on: node, for: demand) {
            case .candidate(let candidate): candidates.append(candidate)
            case .refusal(let refusal): reasons.append(refusal)
            }
        }
        return candidates.min { $0.cost < $1.cost }.map(Outcome.candidate) ?? .hopeless(reasons)
    }

    /// Why the pod makes no others go (upstream: PodEligibleToPreemptOthers).
    private func objection(to demand: PodDemand, _ nomination: String?, _ refusals: [String: Refusal]) -> String? {
        if !demand.pod.mayPreempt { return "not eligible due to preemptionPolicy=Never." }
        guard let node = snapshot.nodes.first(where: { $0.name == nomination }),
            refusals[node.name]?.isResolvable ?? false
        else { return nil }
        let isWaiting = node.pods.values.contains { other in
            other.pod.priority < demand.pod.priority && other.isBeingPreempted
        }
        return isWaiting ? "not eligible due to a terminating pod on the nominated node." : nil
    }

    /// The fewest and least important pods that have to leave the node, or why that would not help (upstream:
    /// SelectVictimsOnNode). Those that a disruption budget keeps are spared first.
    private func trial(on full: NodeState, for demand: PodDemand) -> Trial {
        let lesser = full.pods.values.filter { $0.pod.priority < demand.pod.priority }
            .sorted { $0.importance > $1.importance }
        if lesser.isEmpty { return .refusal(Refusal(["No preemption victims found for incoming pod"])) }
        var node = full
        for pod in lesser { node.remove(pod.key) }
        if let refusal = refusal(of: node, for: demand) { return .refusal(refusal) }
        var victims: [PodDemand] = []
        var violations = 0
        let (kept, free) = budgets.divide(lesser)
        for (group, isKept) in [(kept, true), (free, false)] {
            for pod in group {
                node.add(pod)
                if refusal(of: node, for: demand) == nil { continue }
                node.remove(pod.key)
                victims.append(pod)
                if isKept { violations += 1 }
            }
        }
        victims.sort { $0.importance > $1.importance }
        return .candidate(Candidate(node: full.name, victims: victims, violations: violations))
    }

    private func refusal(of node: NodeState, for demand: PodDemand) -> Refusal? {
        Filters.refusal(of: node, for: demand, in: snapshot.replacing(node))
    }
}

extension Preemption.Candidate {
    /// What counts against a node, the weightiest first (upstream: pickOneNodeForPreemption).
    fileprivate struct Cost: Comparable {
        let violations: Int
        let highestPriority: Int
        let prioritySum: Int
        let count: Int
        /// The later its most important victims were started the better.
        let earliestStart: Int

        static func < (left: Cost, right: Cost) -> Bool {
            if left.violations != right.violations { return left.violations < right.violations }
            if left.highestPriority != right.highestPriority { return left.highestPriority < right.highestPriority }
            if left.prioritySum != right.prioritySum { return left.prioritySum < right.prioritySum }
            if left.count != right.count { return left.count < right.count }
            return left.earliestStart > right.earliestStart
        }
    }

    fileprivate var cost: Cost {
        let highest = victims.map(\.pod.priority).max() ?? 0
        return Cost(
            violations: violations, highestPriority: highest,
            // All made positive, so that fewer pods of a negative priority cost less than more of them.
            prioritySum: victims.reduce(0) { $0 + $1.pod.priority + Int(Int32.max) + 1 }, count: victims.count,
            earliestStart: victims.filter { $0.pod.priority == highest }.map(\.importance.start).min() ?? .max)
    }
}

/// How important a pod is: by its priority, then by its age (upstream: MoreImportantPod).
struct PodImportance: Comparable, Sendable {
    let priority: Int
    /// Seconds since 1970; the end of time for a pod that has not been started.
    let start: Int
    /// Decides where nothing else does, so that the same pods are chosen every time.
    let name: String

    static func < (left: PodImportance, right: PodImportance) -> Bool {
        if left.priority != right.priority { return left.priority < right.priority }
        return left.start == right.start ? left.name > right.name : left.start > right.start
    }
}

extension PodDemand {
    var importance: PodImportance {
        let start = pod.object.status["startTime"]?.string.flatMap { KubeTime($0) }
        return PodImportance(priority: pod.priority, start: start?.seconds ?? .max, name: key.name)
    }

    /// Whether it is on its way out because the scheduler made it go.
    fileprivate var isBeingPreempted: Bool {
        guard pod.object.isBeingDeleted, let condition = pod.object.condition("DisruptionTarget") else { return false }
        return condition.isTrue && condition.reason == Preemption.reason
    }
}
