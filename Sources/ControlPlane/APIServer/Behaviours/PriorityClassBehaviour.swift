// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Priority classes: the numbers of the system are the system's.
struct PriorityClassBehaviour: ResourceBehaviour {
    var traits: ResourceTraits { BehaviourTable.traits("priorityclasses.scheduling.k8s.io") }

    /// The highest value that users may give (upstream: HighestUserDefinablePriority).
    private static let highest = 1_000_000_000
    private static let prefix = "system-"

    /// Classes that components of the cluster ask for by name.
    private static let system: Set<String> = ["system-node-critical", "system-cluster-critical"]

    func admit(_ change: Change, _ object: inout KubeObject) async throws {
        guard object.json["globalDefault"]?.bool ?? false,
            let other = PriorityAdmission.globalDefault(in: change.registry),
            change.old == nil || other.name != object.name
        else { return }
        throw change.forbidden(
            object.name, "PriorityClass \(other.name) is already marked as default. Only one default can exist")
    }

    func admitDeletion(_ change: Change, _ object: KubeObject, _ options: inout DeleteOptions) async throws {
        if Self.system.contains(object.name) {
            throw change.forbidden(object.name, "this is a system priority class and cannot be deleted")
        }
    }

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
