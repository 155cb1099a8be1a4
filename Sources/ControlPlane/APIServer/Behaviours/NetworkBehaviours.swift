// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// The ServiceCIDR `kubernetes` is the range that Services get their addresses from, and ready as soon as it is there.
struct ServiceRangeBehaviour: ResourceBehaviour {
    var traits: ResourceTraits { BehaviourTable.traits("servicecidrs.networking.k8s.io") }

    static let defaultName = "kubernetes"

    func prepare(_ change: Change, _ object: inout KubeObject) async throws {
        guard change.operation == .create, change.isTrusted, object.name == Self.defaultName else { return }
        object.status = [
            "conditions": [
                [
                    "type": "Ready", "status": "True", "reason": "",
                    "message": "Kubernetes default Service CIDR is ready",
                    "lastTransitionTime": .string(change.registry.clock.timestamp),
                ]
            ]
        ]
    }
}

/// FlowSchemas say from the beginning whether their priority level is there. Requests are not sorted by them: what limits
/// them is `InFlightLimits`.
struct FlowSchemaBehaviour: ResourceBehaviour {
    var traits: ResourceTraits { BehaviourTable.traits("flowschemas.flowcontrol.apiserver.k8s.io") }

    private static let levels = GroupVersionResource(
        "flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations")

    func prepare(_ change: Change, _ object: inout KubeObject) async throws {
        guard change.operation == .create else { return }
        let level = object.spec["priorityLevelConfiguration"]?["name"]?.string ?? ""
        let isThere = change.registry.cachedObject(Self.levels, "", level) != nil
        let reference = "This FlowSchema references the PriorityLevelConfiguration object named \"\(level)\""
        object.status = [
            "conditions": [
                [
                    "type": "Dangling", "status": isThere ? "False" : "True",
                    "reason": isThere ? "Found" : "NotFound",
                    "message": .string(reference + (isThere ? " and it exists" : " but there is no such object")),
                    "lastTransitionTime": .string(change.registry.clock.timestamp),
                ]
            ]
        ]
    }
}
