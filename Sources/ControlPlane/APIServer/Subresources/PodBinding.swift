// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// `pods/binding`: the scheduler's decision on a pod's node.
struct PodBinding: Sendable {
    private let registry: Registry

    init(_ registry: Registry) { self.registry = registry }

    func bind(
        _ request: SubresourceRequest, _ binding: KubeObject, _ context: RequestContext
    ) async throws -> KubeObject {
        let target = binding.json["target"] ?? .null
        let node = target["name"]?.string ?? ""
        let kind = target["kind"]?.string ?? ""
        try Self.check(binding, kind: kind, node: node)
        let pods = GroupVersionResource("", "v1", "pods")
        let update = Registry.UpdateRequest(
            served: try registry.served(pods), namespace: request.namespace, name: request.name,
            subresource: "binding", options: request.options
        ) { [registry] current in
            guard let current else { throw StatusError.notFound(pods, request.name) }
            return try Self.assign(current, to: node, binding, at: registry.clock.timestamp)
        }
        _ = try await registry.update(update, context: context)
        return Self.success
    }

    private static func check(_ binding: KubeObject, kind: String, node: String) throws(StatusError) {
        func refuse(_ reason: String, _ message: String, _ field: String) -> StatusError {
            SchemaRules.invalid(
                GroupVersionKind("", "v1", "Binding"), name: binding.name,
                [.init(reason: reason, message: message, field: field)])
        }
        guard kind.isEmpty || kind == "Node" else {
            throw refuse(
                "FieldValueNotSupported", "Unsupported value: \"\(kind)\": supported values: \"Node\", \"<empty>\"",
                "target.kind")
        }
        guard !node.isEmpty else { throw refuse("FieldValueRequired", "Required value", "target.name") }
    }

    private static func assign(
        _ pod: KubeObject, to node: String, _ binding: KubeObject, at time: String
    ) throws(StatusError) -> KubeObject {
        let pods = GroupVersionResource("", "v1", "pods")
        func refuse(_ why: String) -> StatusError { .conflict(pods, pod.name, why) }
        if pod.isBeingDeleted { throw refuse("pod \(pod.name) is being deleted, cannot be assigned to a host") }
        if let assigned = pod.spec["nodeName"]?.string, !assigned.isEmpty {
            throw refuse("pod \(pod.name) is already assigned to node \"\(assigned)\"")
        }
        if !(pod.spec["schedulingGates"]?.elements.isEmpty ?? true) {
            throw refuse("pod \(pod.name) has non-empty .spec.schedulingGates")
        }
        if !binding.uid.isEmpty, binding.uid != pod.uid {
            throw refuse("Precondition failed: UID in precondition: \(binding.uid), UID in object meta: \(pod.uid)")
        }
        var pod = pod
        pod.resourceVersion = binding.resourceVersion
        pod.json["spec", "nodeName"] = .string(node)
        // It said where the pod might go (upstream: ClearingNominatedNodeNameAfterBinding).
        pod.json["status", "nominatedNodeName"] = nil
        for (key, value) in binding.annotations { pod.json["metadata", "annotations", key] = .string(value) }
        pod.setCondition("PodScheduled", status: "True", at: time)
        return pod
    }

    private static let success = KubeObject([
        "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "code": 201,
    ])
}

extension KubeObject {
    /// Sets a condition of the status; the transition time changes only with its status.
    mutating func setCondition(
        _ type: String, status value: String, reason: String? = nil, message: String? = nil, at time: String
    ) {
        var conditions = status["conditions"]?.elements ?? []
        var condition: JSON = ["type": .string(type), "status": .string(value), "lastProbeTime": .null]
        condition["lastTransitionTime"] = .string(time)
        if let reason { condition["reason"] = .string(reason) }
        if let message { condition["message"] = .string(message) }
        if let index = conditions.firstIndex(where: { $0["type"]?.string == type }) {
            if conditions[index]["status"]?.string == value {
                condition["lastTransitionTime"] = conditions[index]["lastTransitionTime"]
            }
            conditions[index] = condition
        } else {
            conditions.append(condition)
        }
        json["status", "conditions"] = .array(conditions)
    }
}
