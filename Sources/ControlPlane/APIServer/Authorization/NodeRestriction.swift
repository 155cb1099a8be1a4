// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Keeps a kubelet to its own node and pods (upstream: `plugin/pkg/admission/noderestriction`).
///
/// What a kubelet may read follows from the ClusterRole `system:node` alone: it is not narrowed to the secrets, config
/// maps and volumes of its own pods yet, as upstream's node authorizer does.
enum NodeRestriction {
    /// Refuses a change by a kubelet that is not its own.
    static func check(_ change: Change, _ object: KubeObject) throws(StatusError) {
        guard !change.isTrusted, let node = change.user.nodeName else { return }
        switch change.resource.groupResource {
        case "nodes": try checkNode(change, object, node)
        case "pods": try checkPod(change, object, node)
        case "leases.coordination.k8s.io":
            guard object.namespace == "kube-node-lease" else {
                throw change.forbidden(
                    object.name, "can only access leases in the \"kube-node-lease\" system namespace")
            }
            guard object.name == node else {
                throw change.forbidden(
                    object.name, "can only access node lease with the same name as the requesting node")
            }
        case "csinodes.storage.k8s.io":
            guard object.name == node else {
                throw change.forbidden(object.name, "can only access CSINode with the same name as the requesting node")
            }
        default: break
        }
    }

    private static func checkNode(_ change: Change, _ object: KubeObject, _ node: String) throws(StatusError) {
        guard object.name == node else {
            throw change.forbidden(
                object.name, "node \"\(node)\" is not allowed to modify node \"\(object.name)\"")
        }
        guard change.operation == .update, let old = change.old else { return }
        if old.spec["taints"] != object.spec["taints"] {
            throw change.forbidden(object.name, "node \"\(node)\" is not allowed to modify taints")
        }
    }

    private static func checkPod(_ change: Change, _ object: KubeObject, _ node: String) throws(StatusError) {
        let assigned = (change.old ?? object).spec["nodeName"]?.string ?? ""
        switch change.operation {
        case .create:
            guard object.annotations["kubernetes.io/config.mirror"] != nil else {
                throw change.forbidden(
                    object.name,
                    "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"\(node)\" can "
                        + "only create mirror pods")
            }
            guard assigned == node else {
                throw change.forbidden(
                    object.name, "node \"\(node)\" can only create pods with spec.nodeName set to itself")
            }
        case .update:
            guard change.isStatus, assigned == node else {
                throw change.forbidden(
                    object.name,
                    "node \"\(node)\" can only update pod status for pods with spec.nodeName set to itself")
            }
        case .delete:
            guard assigned == node else {
                throw change.forbidden(
                    object.name, "node \"\(node)\" can only delete pods with spec.nodeName set to itself")
            }
        }
    }
}
