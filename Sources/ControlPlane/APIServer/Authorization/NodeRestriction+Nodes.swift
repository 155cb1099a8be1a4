// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// What a kubelet may change of its Node.
extension NodeRestriction {
    static func checkNode(_ change: Change, _ object: KubeObject, _ node: String) throws(StatusError) {
        guard object.name == node else {
            throw change.forbidden(
                object.name, "node \"\(node)\" is not allowed to modify node \"\(object.name)\"")
        }
        let source = object.spec["configSource"] ?? .null
        switch (change.operation, change.old) {
        case (.create, _):
            // Narrower than upstream, where kubelets register themselves: the Node of a machine that joins is made for it, and
            // that of the control plane in its process. So a machine that was removed cannot come back by itself, nor take a
            // part of the pod network that it was not given.
            throw change.forbidden(
                object.name, "node \"\(node)\" is not allowed to create nodes: machines become nodes by joining")
        case (.update, let old?):
            if !source.isNull, source != old.spec["configSource"] {
                throw change.forbidden(
                    object.name,
                    "node \"\(node)\" is not allowed to update configSource to a new non-nil configSource")
            }
            if (old.spec["taints"]?.elements ?? []) != (object.spec["taints"]?.elements ?? []) {
                throw change.forbidden(object.name, "node \"\(node)\" is not allowed to modify taints")
            }
            if old.ownerReferences != object.ownerReferences {
                throw change.forbidden(object.name, "node \"\(node)\" is not allowed to modify ownerReferences")
            }
            let forbidden = forbiddenLabels(object.labels, old.labels)
            if !forbidden.isEmpty {
                throw change.forbidden(
                    object.name, "is not allowed to modify labels: \(forbidden.joined(separator: ", "))")
            }
        default: break
        }
    }

    /// The labels of Kubernetes' own domains that kubelets report (upstream: `k8s.io/kubelet/pkg/apis`).
    private static let kubeletLabels: Set<String> = [
        "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch", "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
        "node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type",
    ]

    /// The changed labels by which a node could draw pods to itself that are not meant for it.
    private static func forbiddenLabels(_ new: [String: String], _ old: [String: String]) -> [String] {
        let changed = Set(new.keys).union(old.keys).filter { new[$0] != old[$0] }
        return changed.filter(isForbidden).sorted()
    }

    private static func isForbidden(_ label: String) -> Bool {
        guard let slash = label.firstIndex(of: "/") else { return false }
        let domain = label[..<slash]
        func isIn(_ parent: String) -> Bool { domain == parent || domain.hasSuffix("." + parent) }
        if isIn("node-restriction.kubernetes.io") { return true }
        guard isIn("kubernetes.io") || isIn("k8s.io") else { return false }
        return !kubeletLabels.contains(label) && !isIn("kubelet.kubernetes.io") && !isIn("node.kubernetes.io")
    }
}
