// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import PKI

/// Keeps a kubelet's changes to its own node and pods (upstream: `plugin/pkg/admission/noderestriction`).
///
/// What a kubelet may read is the ``NodeAuthorizer``'s matter.
enum NodeRestriction {
    /// Refuses a change by a kubelet that is not its own.
    static func check(_ change: Change, _ object: KubeObject) throws(StatusError) {
        guard !change.isTrusted, let node = change.user.nodeName else { return }
        switch change.resource.groupResource {
        case "nodes": try checkNode(change, object, node)
        case "pods": try checkPod(change, object, node)
        case "persistentvolumeclaims": try checkClaim(change, object, node)
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
        case "resourceslices.resource.k8s.io":
            guard (change.old ?? object).spec["nodeName"]?.string == node, object.spec["nodeName"]?.string == node
            else {
                throw change.forbidden(
                    object.name, "can only access ResourceSlice with the same node name as the requesting node")
            }
        case "certificatesigningrequests.certificates.k8s.io": try checkRequest(change, object)
        default: break
        }
    }

    /// A kubelet's certificate names nobody but the kubelet that asks.
    private static func checkRequest(_ change: Change, _ object: KubeObject) throws(StatusError) {
        let signers = ["kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"]
        guard change.operation == .create, signers.contains(object.spec["signerName"]?.string ?? ""),
            let request = SigningRequestRules.request(of: object)
        else { return }
        guard request.subject.commonName == change.user.name else {
            throw change.forbidden(object.name, "can only create a node CSR with CN=\(change.user.name)")
        }
    }

    /// Nothing but what the resizing of a volume reports.
    private static func checkClaim(_ change: Change, _ object: KubeObject, _ node: String) throws(StatusError) {
        guard change.isStatus, let old = change.old else {
            throw change.forbidden(object.name, "may only update PVC status")
        }
        func comparable(_ claim: KubeObject) -> KubeObject {
            var claim = claim
            claim.resourceVersion = ""
            claim.json["metadata", "managedFields"] = nil
            for key in ["capacity", "conditions", "allocatedResourceStatuses", "allocatedResources"] {
                claim.json["status", key] = nil
            }
            return claim
        }
        guard comparable(old) == comparable(object) else {
            throw change.forbidden(
                object.name,
                "node \"\(node)\" is not allowed to update fields other than status.capacity and status.conditions")
        }
    }

    /// A token for a pod of the node, bound to it, and for an audience that the pod has a use for.
    static func checkToken(
        _ request: KubeObject, _ account: KubeObject, by user: UserInfo, node: String, _ registry: Registry
    ) throws(StatusError) {
        func refuse(_ why: String) -> StatusError { .forbidden(.init("", "v1", "serviceaccounts"), account.name, why) }
        let reference = request.spec["boundObjectRef"]
        let name = reference?["name"]?.string ?? ""
        guard reference?["apiVersion"]?.string == "v1", reference?["kind"]?.string == "Pod", !name.isEmpty else {
            throw refuse("node requested token not bound to a pod")
        }
        let uid = reference?["uid"]?.string ?? ""
        if uid.isEmpty { throw refuse("node requested token with a pod binding without a uid") }
        let pods = GroupVersionResource("", "v1", "pods")
        guard let pod = registry.cachedObject(pods, account.namespace, name) else { throw .notFound(pods, name) }
        if uid != pod.uid {
            throw refuse(
                "the UID in the bound object reference (\(uid)) does not match the UID in record. The object might "
                    + "have been deleted and then recreated")
        }
        if pod.spec["nodeName"]?.string != node {
            throw refuse("node requested token bound to a pod scheduled on a different node")
        }
        let audiences = request.spec["audiences"]?.elements.compactMap(\.string) ?? []
        guard audiences.count < 2 else { throw refuse("node may only request 0 or 1 audiences") }
        let audience = audiences.first ?? ""
        let attributes = AccessAttributes(
            user: user, verb: "request-serviceaccounts-token-audience", group: "", resource: audience,
            namespace: account.namespace, name: account.name)
        guard mentions(pod, audience: audience, registry) || registry.authorizer.decide(attributes).isAllowed else {
            throw refuse(
                "audience \"\(audience)\" not found in pod spec volume, \(user.name) is not authorized to request tokens "
                    + "for this audience")
        }
    }

    /// Whether a volume of the pod needs tokens for an audience (KEP-4412, upstream: ServiceAccountNodeAudienceRestriction);
    /// the empty one stands for the API.
    private static func mentions(_ pod: KubeObject, audience: String, _ registry: Registry) -> Bool {
        (pod.spec["volumes"]?.elements ?? []).contains { volume in
            let sources = volume["projected"]?["sources"]?.elements ?? []
            let isProjected = sources.contains { source in
                guard let token = source["serviceAccountToken"], !token.isNull else { return false }
                return token["audience"]?.string ?? "" == audience
            }
            guard !isProjected, let name = driver(of: volume, in: pod, registry) else { return isProjected }
            let driver = registry.cachedObject(.init("storage.k8s.io", "v1", "csidrivers"), "", name)
            return (driver?.spec["tokenRequests"]?.elements ?? []).contains { $0["audience"]?.string ?? "" == audience }
        }
    }

    /// The CSI driver that a volume comes from.
    private static func driver(of volume: JSON, in pod: KubeObject, _ registry: Registry) -> String? {
        if let driver = volume["csi"]?["driver"]?.string { return driver }
        let isEphemeral = volume["ephemeral"].map { !$0.isNull } ?? false
        let name =
            isEphemeral
            ? volume["name"]?.string.map { "\(pod.name)-\($0)" } : volume["persistentVolumeClaim"]?["claimName"]?.string
        guard let name,
            let claim = registry.cachedObject(.init("", "v1", "persistentvolumeclaims"), pod.namespace, name),
            let bound = claim.spec["volumeName"]?.string
        else { return nil }
        return registry.cachedObject(.init("", "v1", "persistentvolumes"), "", bound)?.spec["csi"]?["driver"]?.string
    }
}
