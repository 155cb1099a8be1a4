// SPDX-License-Identifier: Apache-2.0

import KubeAPI

/// Which pods have to go for one that the cluster cannot do without and that is bound to this node already; no I/O (upstream:
/// pkg/kubelet/preemption).
struct CriticalPreemption {
    static let reason = "Preempting"
    static let message = "Preempted in order to admit critical pod"
    /// Of the victim's condition DisruptionTarget.
    static let disruption = "Pod was preempted by Kubelet to accommodate a critical pod."

    let shortages: [NodeAdmission.Shortage]

    /// As few pods as possible whose ends free what is missing, those with the fewest promises first; nil if all of them together
    /// would not do.
    func victims(for pod: Pod, among others: [Pod]) -> [Pod]? {
        let lesser = others.filter { pod.mayDisplace($0) }
        let (bestEffort, burstable, guaranteed) = (
            lesser.filter { $0.qosClass == .bestEffort }, lesser.filter { $0.qosClass == .burstable },
            lesser.filter { $0.qosClass == .guaranteed }
        )
        let missing = Missing(shortages)
        // Each class gives what those below it cannot.
        guard let first = missing.without(bestEffort + burstable).closest(of: guaranteed),
            let second = missing.without(bestEffort + first).closest(of: burstable),
            let third = missing.without(second + first).closest(of: bestEffort)
        else { return nil }
        return third + second + first
    }

    /// The refusal of a pod for which nothing can be freed.
    static func refusal(_ shortages: [NodeAdmission.Shortage]) -> PodRefusal {
        let list = shortages.map { "(res: \($0.resource), q: \($0.missing)), " }.joined()
        return PodRefusal(
            reason: "UnexpectedAdmissionError",
            message: "Unexpected error while attempting to recover from admission failure: preemption: error finding a "
                + "set of pods to preempt: no set of running pods found to reclaim resources: [\(list)]")
    }
}

/// Amounts that are missing, by resource.
private struct Missing {
    private var amounts: [String: Int64]

    init(_ shortages: [NodeAdmission.Shortage]) {
        amounts = Dictionary(shortages.map { ($0.resource, $0.missing) }) { first, _ in first }
    }

    /// What is still missing once these pods are gone.
    func without(_ pods: [Pod]) -> Missing {
        var rest = self
        for pod in pods {
            for (resource, amount) in rest.amounts {
                let left = amount - pod.claim(resource)
                rest.amounts[resource] = left > 0 ? left : nil
            }
        }
        return rest
    }

    /// Takes pods one by one, each time the one after which least is missing, the smaller of two; nil if all do not suffice.
    func closest(of pods: [Pod]) -> [Pod]? {
        var (rest, left, taken) = (self, pods, [Pod]())
        while !rest.amounts.isEmpty {
            let best = left.indices.min { one, other in
                let (near, far) = (rest.distance(left[one]), rest.distance(left[other]))
                return near == far ? left[one].isSmaller(than: left[other]) : near < far
            }
            guard let best else { return nil }
            let pod = left.remove(at: best)
            rest = rest.without([pod])
            taken.append(pod)
        }
        return taken
    }

    /// How far a pod's end is from being enough; each resource counts the same.
    private func distance(_ pod: Pod) -> Double {
        amounts.reduce(0) { sum, entry in
            let part = Double(max(0, entry.value - pod.claim(entry.key))) / Double(entry.value)
            return sum + part * part
        }
    }
}

extension Pod {
    private static let systemCriticalPriority = 2_000_000_000

    /// Whether the cluster cannot do without it (upstream: IsCriticalPod).
    var isCritical: Bool {
        isStatic || object.annotations["kubernetes.io/config.mirror"] != nil || priority >= Self.systemCriticalPriority
    }

    /// Whether another pod may have to go for this one (upstream: Preemptable).
    fileprivate func mayDisplace(_ other: Pod) -> Bool {
        isCritical && !other.isCritical || priority > other.priority
    }

    /// What becomes free when it ends.
    fileprivate func claim(_ resource: String) -> Int64 { resource == "pods" ? 1 : request(resource) }

    fileprivate func isSmaller(than other: Pod) -> Bool {
        (request("memory"), request("cpu")) < (other.request("memory"), other.request("cpu"))
    }
}
