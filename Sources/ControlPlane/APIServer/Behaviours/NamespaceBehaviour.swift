// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Namespaces: they live until their own finalizers are gone (upstream: `registry/core/namespace`).
struct NamespaceBehaviour: ResourceBehaviour {
    var traits: ResourceTraits { BehaviourTable.traits("namespaces") }

    /// Namespaces that nobody deletes (upstream: NamespaceLifecycle).
    private static let immortal: Set<String> = ["default", "kube-system", "kube-public"]
    private static let label = "kubernetes.io/metadata.name"

    func prepare(_ change: Change, _ object: inout KubeObject) async throws {
        object.json["metadata", "labels", Self.label] = .string(object.name)
        switch change.operation {
        case .create:
            object.json["spec", "finalizers"] = ["kubernetes"]
            object.status = ["phase": "Active"]
        case .update where change.subresource != "finalize":
            object.json["spec", "finalizers"] = change.old?.spec["finalizers"]
        default: break
        }
        if object.isBeingDeleted { object.json["status", "phase"] = "Terminating" }
    }

    func admitDeletion(_ change: Change, _ object: KubeObject, _ options: inout DeleteOptions) async throws {
        if Self.immortal.contains(object.name) {
            throw change.forbidden(object.name, "this namespace may not be deleted")
        }
    }

    func mark(_ object: inout KubeObject) { object.json["status", "phase"] = "Terminating" }

    func blocksRemoval(_ object: KubeObject) -> Bool { !(object.spec["finalizers"]?.elements.isEmpty ?? true) }
}
