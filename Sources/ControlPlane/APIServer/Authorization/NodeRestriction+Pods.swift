// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// What a kubelet may change of pods: the status of its own, their end, and mirrors of its static pods.
extension NodeRestriction {
    static func checkPod(_ change: Change, _ object: KubeObject, _ node: String) throws(StatusError) {
        let assigned = (change.old ?? object).spec["nodeName"]?.string ?? ""
        func refuse(_ why: String) -> StatusError { change.forbidden(object.name, why) }
        switch change.operation {
        case .create: try checkMirrorPod(change, object, node)
        case .update:
            guard change.isStatus, assigned == node else {
                throw refuse("node \"\(node)\" can only update pod status for pods with spec.nodeName set to itself")
            }
            guard change.old?.labels == object.labels else {
                throw refuse("node \"\(node)\" cannot update labels through pod status")
            }
            let claims = [change.old, object].map { $0?.status["resourceClaimStatuses"]?.elements ?? [] }
            guard claims[0] == claims[1] else {
                throw refuse("node \"\(node)\" cannot update resource claim statues")
            }
        case .delete:
            guard assigned == node else {
                throw refuse("node \"\(node)\" can only delete pods with spec.nodeName set to itself")
            }
        }
    }

    private static func checkMirrorPod(_ change: Change, _ pod: KubeObject, _ node: String) throws(StatusError) {
        func refuse(_ why: String) -> StatusError { change.forbidden(pod.name, why) }
        guard pod.annotations["kubernetes.io/config.mirror"] != nil else {
            throw refuse(
                "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"\(node)\" can only create mirror "
                    + "pods")
        }
        guard pod.spec["nodeName"]?.string == node else {
            throw refuse("node \"\(node)\" can only create pods with spec.nodeName set to itself")
        }
        try checkOwner(change, pod, node)
        // A mirror pod must not give the node a reason to read anything.
        var plain = pod
        plain.json["metadata", "annotations", "kubernetes.io/config.mirror"] = nil
        let words = [
            "serviceaccounts": "a service account", "secrets": "secrets", "configmaps": "configmaps",
            "persistentvolumeclaims": "persistentvolumeclaims", "resourceclaims": "resourceclaims",
        ]
        let used = NodePods.references(of: plain).compactMap { words[$0.resource] }.sorted()
        if let first = used.first { throw refuse("node \"\(node)\" can not create pods that reference \(first)") }
    }

    private static func checkOwner(_ change: Change, _ pod: KubeObject, _ node: String) throws(StatusError) {
        func refuse(_ why: String) -> StatusError { change.forbidden(pod.name, why) }
        let owners = pod.ownerReferences
        if owners.count > 1 {
            throw refuse("node \"\(node)\" can only create pods with a single owner reference set to itself")
        }
        guard let owner = owners.first, owner.apiVersion == "v1", owner.kind == "Node", owner.name == node else {
            throw refuse("node \"\(node)\" can only create pods with an owner reference set to itself")
        }
        guard owner.isController else {
            throw refuse("node \"\(node)\" can only create pods with a controller owner reference set to itself")
        }
        if owner.blocksOwnerDeletion {
            throw refuse("node \"\(node)\" must not set blockOwnerDeletion on an owner reference")
        }
        let nodes = GroupVersionResource("", "v1", "nodes")
        guard let current = change.registry.cachedObject(nodes, "", node) else { throw .notFound(nodes, node) }
        guard current.uid == owner.uid else {
            throw refuse("node \(node) UID mismatch: expected \(owner.uid) got \(current.uid)")
        }
    }
}
