// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Objects that begin in the phase `Pending`: volumes and claims.
struct PhaseBehaviour: ResourceBehaviour {
    let traits: ResourceTraits

    func prepare(_ change: Change, _ object: inout KubeObject) async throws {
        if change.operation == .create { object.status = ["phase": "Pending"] }
    }
}

/// Priority classes: the numbers of the system are the system's.
struct PriorityClassBehaviour: ResourceBehaviour {
    var traits: ResourceTraits { BehaviourTable.traits("priorityclasses.scheduling.k8s.io") }

    /// The highest value that users may give (upstream: HighestUserDefinablePriority).
    private static let highest = 1_000_000_000
    private static let prefix = "system-"

    func problems(_ change: Change, _ object: KubeObject) -> [StatusError.Cause] {
        let value = object.json["value"]?.int ?? 0
        if let old = change.old {
            var problems: [StatusError.Cause] = []
            if old.json["value"] != object.json["value"] {
                problems.append(
                    .init(
                        reason: "FieldValueForbidden", message: "Forbidden: may not be changed in an update.",
                        field: "value"))
            }
            if old.json["preemptionPolicy"] != object.json["preemptionPolicy"] {
                problems.append(
                    .init(
                        reason: "FieldValueInvalid", message: "Invalid value: field is immutable",
                        field: "preemptionPolicy"))
            }
            return problems
        }
        if change.isTrusted { return [] }
        if object.name.hasPrefix(Self.prefix) {
            return [
                .init(
                    reason: "FieldValueForbidden",
                    message: "Forbidden: priority class names with 'system-' prefix are reserved for system use only",
                    field: "metadata.name")
            ]
        }
        guard value > Self.highest else { return [] }
        return [
            .init(
                reason: "FieldValueForbidden",
                message: "Forbidden: maximum allowed value of a user defined priority is \(Self.highest)",
                field: "value")
        ]
    }
}

/// Certificate signing requests: the server notes who asks, and what was asked for stands.
struct SigningRequestBehaviour: ResourceBehaviour {
    var traits: ResourceTraits { BehaviourTable.traits("certificatesigningrequests.certificates.k8s.io") }

    func prepare(_ change: Change, _ object: inout KubeObject) async throws {
        guard let old = change.old else {
            let user = change.user.json
            for (key, source) in [("username", "username"), ("uid", "uid"), ("groups", "groups"), ("extra", "extra")] {
                object.json["spec", key] = user[source]
            }
            object.status = .object([:])
            return
        }
        switch change.subresource {
        case "approval":
            // Only the conditions are the approver's.
            let conditions = object.status["conditions"]
            object.json["spec"] = old.json["spec"]
            object.status = old.status
            object.json["status", "conditions"] = Self.dated(conditions, change)
        case "status":
            object.json["spec"] = old.json["spec"]
            object.json["status", "conditions"] = Self.dated(object.status["conditions"], change)
        default:
            object.json["spec"] = old.json["spec"]
        }
    }

    private static func dated(_ conditions: JSON?, _ change: Change) -> JSON? {
        guard let conditions = conditions?.array else { return nil }
        let now = JSON.string(change.registry.clock.timestamp)
        return .array(
            conditions.map { condition in
                var condition = condition
                if condition["lastUpdateTime"]?.string == nil { condition["lastUpdateTime"] = now }
                if condition["lastTransitionTime"]?.string == nil { condition["lastTransitionTime"] = now }
                if condition["status"]?.string ?? "" == "" { condition["status"] = "True" }
                return condition
            })
    }
}
