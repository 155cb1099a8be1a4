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
