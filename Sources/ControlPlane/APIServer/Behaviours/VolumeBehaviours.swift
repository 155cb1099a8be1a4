// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Volumes begin in the phase `Pending` and protected from vanishing while they are bound.
struct VolumeBehaviour: ResourceBehaviour {
    var traits: ResourceTraits { BehaviourTable.traits("persistentvolumes") }

    func prepare(_ change: Change, _ object: inout KubeObject) async throws {
        guard change.operation == .create else { return }
        object.protect(by: "kubernetes.io/pv-protection")
        object.status = [
            "phase": "Pending", "lastPhaseTransitionTime": .string(change.registry.clock.timestamp),
        ]
    }
}

/// Claims begin in the phase `Pending`, protected from vanishing while pods use them, and with the default class where
/// they name none.
struct ClaimBehaviour: ResourceBehaviour {
    var traits: ResourceTraits { BehaviourTable.traits("persistentvolumeclaims") }

    private static let classes = GroupVersionResource("storage.k8s.io", "v1", "storageclasses")
    private static let classAnnotation = "volume.beta.kubernetes.io/storage-class"

    func admit(_ change: Change, _ object: inout KubeObject) async throws {
        try LimitRangeAdmission.admitClaim(change, object)
    }

    func prepare(_ change: Change, _ object: inout KubeObject) async throws {
        guard change.operation == .create else { return }
        object.protect(by: "kubernetes.io/pvc-protection")
        object.status = ["phase": "Pending"]
        guard object.spec["storageClassName"] == nil, object.annotations[Self.classAnnotation] == nil else { return }
        let chosen = DefaultClass.newest(
            of: change.registry.cachedObjects(Self.classes),
            markedBy: [
                "storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class",
            ])
        if let chosen { object.json["spec", "storageClassName"] = .string(chosen) }
    }
}

extension KubeObject {
    /// Upstream's admission (StorageObjectInUseProtection) does it before the object exists, so that no deletion can
    /// come before the protection.
    fileprivate mutating func protect(by finalizer: String) {
        if !finalizers.contains(finalizer) { json.append(.string(finalizer), at: "metadata", "finalizers") }
    }
}
