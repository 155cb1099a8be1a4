// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// The PodDisruptionBudgets, as far as they say which pods had better stay.
struct DisruptionBudgets: Sendable {
    fileprivate struct Budget {
        let namespace: String
        let selector: LabelSelector
        /// Pods whose eviction it has already counted.
        let disrupted: Set<String>
        var allowed: Int
    }

    private let budgets: [Budget]

    init(_ objects: [KubeObject]) {
        budgets = objects.compactMap { object in
            // One that selects everything keeps no pod, as upstream has it; nor does one that cannot be read.
            guard let selector = try? LabelSelector(json: object.spec["selector"]), !selector.isEverything else {
                return nil
            }
            return Budget(
                namespace: object.namespace, selector: selector,
                disrupted: Set((object.status["disruptedPods"]?.stringMap ?? [:]).keys),
                allowed: object.status["disruptionsAllowed"]?.int ?? 0)
        }
    }

    /// Divides pods into those that a budget does not let go, if all before them go, and the others; both in the given order.
    func divide(_ pods: [PodDemand]) -> (kept: [PodDemand], free: [PodDemand]) {
        var budgets = budgets
        var result: (kept: [PodDemand], free: [PodDemand]) = ([], [])
        for pod in pods {
            var isKept = false
            for index in budgets.indices where budgets[index].counts(pod) {
                budgets[index].allowed -= 1
                if budgets[index].allowed < 0 { isKept = true }
            }
            if isKept { result.kept.append(pod) } else { result.free.append(pod) }
        }
        return result
    }
}

extension DisruptionBudgets.Budget {
    fileprivate func counts(_ pod: PodDemand) -> Bool {
        pod.key.namespace == namespace && !pod.labels.isEmpty && selector.matches(pod.labels)
            && !disrupted.contains(pod.key.name)
    }
}
