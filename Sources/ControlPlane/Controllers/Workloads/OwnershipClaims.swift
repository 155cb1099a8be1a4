// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient

/// Adopts the orphans that match an owner's selector and releases its dependants that no longer do, as upstream's
/// ControllerRefManager.
struct OwnershipClaims: Sendable {
    let client: any ResourceClient
    let ownerResource: GroupVersionResource
    let dependentResource: GroupVersionResource

    /// The index by the controlling owner's uid; orphans are found under ``orphan(in:)``.
    static let index = "controller"

    /// What an object is indexed by.
    static func indexValues(of object: KubeObject) -> [String] {
        [object.controller?.uid ?? orphan(in: object.namespace)]
    }

    static func orphan(in namespace: String) -> String { "orphan/\(namespace)" }

    /// The dependants of `owner` after adoption and release.
    func claim(
        for owner: KubeObject, selector: LabelSelector, from informer: Informer,
        where isCandidate: (KubeObject) -> Bool = { _ in true }
    ) async throws -> [KubeObject] {
        var claimed: [KubeObject] = []
        for object in informer.list(index: Self.index, value: owner.uid) {
            if selector.matches(object.labels) {
                claimed.append(object)
            } else if !owner.isBeingDeleted {
                try await release(object, from: owner)
            }
        }
        if owner.isBeingDeleted { return claimed }
        for object in informer.list(index: Self.index, value: Self.orphan(in: owner.namespace))
        where selector.matches(object.labels) && !object.isBeingDeleted && isCandidate(object) {
            if let adopted = try await adopt(object, by: owner) { claimed.append(adopted) }
        }
        return claimed
    }

    private func adopt(_ object: KubeObject, by owner: KubeObject) async throws -> KubeObject? {
        // Asked of the server: the copy may not know yet that the owner is going away.
        let fresh = try await client.get(ownerResource, namespace: owner.namespace, name: owner.name)
        guard fresh.uid == owner.uid, !fresh.isBeingDeleted else { return nil }
        let references = object.metadata["ownerReferences"]?.elements ?? []
        return try await patchReferences(of: object, to: references + [OwnerReference(controller: owner).json])
    }

    private func release(_ object: KubeObject, from owner: KubeObject) async throws {
        let references = object.metadata["ownerReferences"]?.elements ?? []
        _ = try await patchReferences(of: object, to: references.filter { $0["uid"]?.string != owner.uid })
    }

    /// Nil when the object is gone; its uid and revision guard against changing another one.
    private func patchReferences(of object: KubeObject, to references: [JSON]) async throws -> KubeObject? {
        do {
            return try await client.patch(
                dependentResource, namespace: object.namespace, name: object.name, subresource: nil, type: .merge,
                patch: [
                    "metadata": [
                        "uid": .string(object.uid), "resourceVersion": .string(object.resourceVersion),
                        "ownerReferences": .array(references),
                    ]
                ], options: .init())
        } catch let error as StatusError where error.isNotFound {
            return nil
        }
    }
}
