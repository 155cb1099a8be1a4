// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// `pods/eviction`: a deletion that respects disruption budgets.
struct PodEviction: Sendable {
    private let registry: Registry
    private static let pods = GroupVersionResource("", "v1", "pods")
    private static let budgets = GroupVersionResource("policy", "v1", "poddisruptionbudgets")

    init(_ registry: Registry) { self.registry = registry }

    func evict(
        _ request: SubresourceRequest, _ eviction: KubeObject, _ context: RequestContext
    ) async throws -> KubeObject {
        guard eviction.name.isEmpty || eviction.name == request.name else {
            throw StatusError.badRequest("name in URL does not match name in Eviction object")
        }
        let served = try registry.served(Self.pods)
        let value = try await registry.value(served, namespace: request.namespace, name: request.name)
        let pod = try StoredObjectDecoder.decode(value)
        if !context.isTrusted, let node = context.user.nodeName, pod.spec["nodeName"]?.string != node {
            throw StatusError.forbidden(
                Self.pods, request.name, "node \(node) can only evict pods with spec.nodeName set to itself")
        }
        var options = DeleteOptions(
            gracePeriodSeconds: eviction.json["deleteOptions"]?["gracePeriodSeconds"]?.boundedInt)
        options.preconditionUID = eviction.json["deleteOptions"]?["preconditions"]?["uid"]?.string
        options.dryRun =
            request.options.dryRun || !(eviction.json["deleteOptions"]?["dryRun"]?.elements.isEmpty ?? true)
        if Self.countsForBudgets(pod) {
            try await spendBudget(for: pod, isDryRun: options.dryRun, context)
        }
        _ = try await registry.delete(
            served, namespace: request.namespace, name: request.name, options: options, context: context)
        return KubeObject([
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "code": 201,
        ])
    }

    /// Pods that are over, not yet started or on their way out disrupt nothing.
    private static func countsForBudgets(_ pod: KubeObject) -> Bool {
        let phase = pod.status["phase"]?.string ?? ""
        return phase != "Succeeded" && phase != "Failed" && phase != "Pending" && !pod.isBeingDeleted
    }

    private func spendBudget(for pod: KubeObject, isDryRun: Bool, _ context: RequestContext) async throws {
        var matching: [KubeObject] = []
        for budget in registry.cachedObjects(Self.budgets, pod.namespace)
        where try LabelSelector(json: budget.spec["selector"]).matches(pod) { matching.append(budget) }
        guard let budget = matching.first else { return }
        guard matching.count == 1 else {
            throw StatusError.internalError(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")
        }
        if !PodView(pod).isReady, Self.letsUnhealthyGo(budget) { return }
        var options = WriteOptions()
        options.dryRun = isDryRun
        let time = registry.clock.timestamp
        let update = Registry.UpdateRequest(
            served: try registry.served(Self.budgets), namespace: budget.namespace, name: budget.name,
            subresource: "status", options: options
        ) { current in
            guard var current else { throw StatusError.notFound(Self.budgets, budget.name) }
            let observed = current.status["observedGeneration"]?.int ?? 0
            guard observed >= current.generation else { throw Self.refusalForNow(current) }
            let allowed = current.status["disruptionsAllowed"]?.int ?? 0
            guard allowed > 0 else { throw Self.refusal(current) }
            current.json["status", "disruptionsAllowed"] = JSON(allowed - 1)
            current.json["status", "disruptedPods", pod.name] = .string(time)
            return current
        }
        _ = try await registry.update(update, context: context)
    }

    /// Whether pods that are not ready may go whatever else the budget says (`unhealthyPodEvictionPolicy`).
    private static func letsUnhealthyGo(_ budget: KubeObject) -> Bool {
        if budget.spec["unhealthyPodEvictionPolicy"]?.string == "AlwaysAllow" { return true }
        let needed = budget.status["desiredHealthy"]?.int ?? 0
        return needed > 0 && budget.status["currentHealthy"]?.int ?? 0 >= needed
    }

    private static func refusal(_ budget: KubeObject) -> StatusError {
        let needed = budget.status["desiredHealthy"]?.int ?? 0
        let healthy = budget.status["currentHealthy"]?.int ?? 0
        return refusal("The disruption budget \(budget.name) needs \(needed) healthy pods and has \(healthy) currently")
    }

    /// What to wait for when nobody has yet worked out what the budget allows, in seconds (upstream's number).
    private static let processingSeconds = 10

    private static func refusalForNow(_ budget: KubeObject) -> StatusError {
        var error = refusal("The disruption budget \(budget.name) is still being processed by the server.")
        error.details?.retryAfterSeconds = processingSeconds
        return error
    }

    private static func refusal(_ cause: String) -> StatusError {
        var details = StatusError.Details()
        details.causes = [.init(reason: "DisruptionBudget", message: cause)]
        return StatusError(
            code: 429, reason: StatusError.Reason.tooManyRequests,
            message: "Cannot evict pod as it would violate the pod's disruption budget.", details: details)
    }
}
