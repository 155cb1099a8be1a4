// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// What a PodDisruptionBudget's status says of the pods that it selects (upstream: `pkg/controller/disruption`).
struct BudgetCount: Hashable, Sendable {
    /// How long an eviction counts before its pod begins to go, in seconds.
    static let evictionSeconds = 120

    var expectedPods: Int
    var desiredHealthy: Int
    var currentHealthy: Int
    /// The evictions that have been granted and do not show yet: when, by the pod's name.
    var disruptedPods: [String: String]
    /// Seconds until the first of these is given up.
    var recheck: Int?

    /// How many pods may go now; none where no pod is expected, so that the first ones are safe.
    var disruptionsAllowed: Int { expectedPods > 0 ? max(0, currentHealthy - desiredHealthy) : 0 }

    /// Whether the number of pods that a budget's controllers want counts for it, rather than that of its pods.
    static func countsScale(_ budget: KubeObject) -> Bool {
        if budget.spec["maxUnavailable"] != nil { return true }
        if case .string? = IntOrString(budget.spec["minAvailable"]) { return true }
        return false
    }

    /// - Parameters:
    ///   - pods: the pods that the budget selects.
    ///   - scale: how many pods their controllers want; see ``countsScale(_:)``.
    init(_ budget: KubeObject, pods: [KubeObject], scale: Int, now: KubeTime) {
        expectedPods = Self.countsScale(budget) ? scale : pods.count
        if let unavailable = IntOrString(budget.spec["maxUnavailable"]) {
            desiredHealthy = max(0, scale - (unavailable.scaled(total: scale, roundUp: true) ?? 0))
        } else {
            desiredHealthy = IntOrString(budget.spec["minAvailable"])?.scaled(total: scale, roundUp: true) ?? 0
        }
        disruptedPods = [:]
        currentHealthy = 0
        let evictions = budget.status["disruptedPods"]?.stringMap ?? [:]
        for pod in pods where !pod.isBeingDeleted {
            if let text = evictions[pod.name], let left = Self.secondsLeft(of: text, now) {
                disruptedPods[pod.name] = text
                recheck = min(recheck ?? left, left)
            } else if PodView(pod).isReady {
                currentHealthy += 1
            }
        }
    }

    private static func secondsLeft(of eviction: String, _ now: KubeTime) -> Int? {
        guard let time = KubeTime(eviction) else { return nil }
        let left = time.seconds + evictionSeconds - now.seconds
        return left > 0 ? left : nil
    }

    /// The status of the budget with these numbers.
    func status(of budget: KubeObject, now: KubeTime) -> JSON {
        var status = budget.status
        status["expectedPods"] = JSON(expectedPods)
        status["desiredHealthy"] = JSON(desiredHealthy)
        status["currentHealthy"] = JSON(currentHealthy)
        status["disruptionsAllowed"] = JSON(disruptionsAllowed)
        status["disruptedPods"] = disruptedPods.isEmpty ? JSON?.none : JSON(disruptedPods)
        status["observedGeneration"] = JSON(budget.generation)
        let isAllowed = disruptionsAllowed > 0
        return Self.status(
            status, isAllowed: isAllowed, reason: isAllowed ? "SufficientPods" : "InsufficientPods", message: "",
            generation: budget.generation, now)
    }

    /// The status of a budget whose pods cannot be counted: nothing may go.
    static func failure(_ message: String, of budget: KubeObject, now: KubeTime) -> JSON {
        var status = budget.status
        status["disruptionsAllowed"] = 0
        return Self.status(
            status, isAllowed: false, reason: "SyncFailed", message: message, generation: budget.generation, now)
    }

    private static func status(
        _ status: JSON, isAllowed: Bool, reason: String, message: String, generation: Int, _ now: KubeTime
    ) -> JSON {
        let type = "DisruptionAllowed"
        let word = isAllowed ? "True" : "False"
        var conditions = status["conditions"]?.elements ?? []
        let index = conditions.firstIndex { $0["type"]?.string == type }
        let before = index.map { Condition(conditions[$0]) }
        let since = before?.status == word ? before?.lastTransitionTime ?? "" : ""
        let condition: JSON = [
            "type": .string(type), "status": .string(word), "observedGeneration": JSON(generation),
            "lastTransitionTime": .string(since.isEmpty ? now.text : since), "reason": .string(reason),
            "message": .string(message),
        ]
        if let index { conditions[index] = condition } else { conditions.append(condition) }
        var result = status
        result["conditions"] = .array(conditions)
        return result
    }
}
