// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Storage

/// Decides what a node may do (upstream: `plugin/pkg/auth/authorizer/node`): of secrets, config maps, claims, volumes
/// and the like it reads only what its own pods use.
///
/// Wider than upstream in one thing: every node may read all Nodes and EndpointSlices, because the agent's pod network
/// and service proxy run with the node's certificate.
final class NodeAuthorizer: Sendable {
    private let pods: NodePods
    private let storage: any Storage

    /// What the network parts of the agent need beyond upstream's rules for kubelets.
    private static let networkRules = [
        PolicyRule(verbs: ["get", "list", "watch"], apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"])
    ]
    private static let rules = BootstrapPolicy.nodeRules + networkRules

    init(storage: any Storage) {
        self.storage = storage
        pods = NodePods(storage: storage)
    }

    private static let allowed = RBACPolicy.Decision(isAllowed: true, reason: "")

    private static func denied(_ reason: String = "") -> RBACPolicy.Decision {
        RBACPolicy.Decision(isAllowed: false, reason: reason)
    }

    func decide(_ attributes: AccessAttributes, node: String) -> RBACPolicy.Decision {
        guard !node.isEmpty else { return Self.denied("unknown node for user \"\(attributes.user.name)\"") }
        if case .resource(let group, let resource, let part, let namespace, let name) = attributes.target {
            let request = Request(
                node: node, verb: attributes.verb, part: part, fields: attributes.requiredFields,
                object: .init(group: group, resource: resource, namespace: namespace, name: name))
            if let decision = divided(request) { return decision }
        }
        return Self.rules.contains { $0.allows(attributes) } ? Self.allowed : Self.denied()
    }

    /// A request for an API object by a node.
    private struct Request {
        var node: String
        var verb: String
        var part: String
        var fields: [String: String]
        var object: NodePods.Reference
    }

    /// The decision on resources of which a node gets only its own; nil for others.
    private func divided(_ request: Request) -> RBACPolicy.Decision? {
        switch (request.object.group, request.object.resource) {
        case ("", "secrets"), ("", "configmaps"):
            return read(request, verbs: ["get", "list", "watch"], "can only read resources of this type")
        case ("", "persistentvolumeclaims") where request.part == "status":
            guard ["update", "patch"].contains(request.verb) else {
                return Self.denied("can only get/update/patch this type")
            }
            return related(request)
        case ("", "persistentvolumeclaims"), ("", "persistentvolumes"), ("resource.k8s.io", "resourceclaims"),
            ("storage.k8s.io", "volumeattachments"):
            return read(request, verbs: ["get"], "can only get individual resources of this type")
        case ("", "serviceaccounts"):
            guard request.verb == "create", request.part == "token", !request.object.name.isEmpty else {
                return Self.denied("can only create tokens for individual service accounts")
            }
            return related(request)
        case ("coordination.k8s.io", "leases"): return lease(request)
        case ("storage.k8s.io", "csinodes"):
            return own(request, "CSINode", request.part.isEmpty ? nil : "cannot authorize CSINode subresources")
        case ("resource.k8s.io", "resourceslices"): return slice(request)
        case ("", "pods"): return pod(request)
        default: return nil
        }
    }

    private func read(_ request: Request, verbs: Set<String>, _ why: String) -> RBACPolicy.Decision {
        guard verbs.contains(request.verb) else { return Self.denied(why) }
        guard request.part.isEmpty else { return Self.denied("cannot read subresource") }
        return related(request)
    }

    private func related(_ request: Request) -> RBACPolicy.Decision {
        if request.object.name.isEmpty { return Self.denied("No Object name found") }
        return isRelated(request)
            ? Self.allowed : Self.denied("no relationship found between node '\(request.node)' and this object")
    }

    private func isRelated(_ request: Request) -> Bool {
        let object = request.object
        switch object.resource {
        case "persistentvolumes":
            guard let volume = pods.stored("", "persistentvolumes", "", object.name) else { return false }
            let claim = volume.spec["claimRef"]
            guard let namespace = claim?["namespace"]?.string, let name = claim?["name"]?.string,
                let stored = pods.stored("", "persistentvolumeclaims", namespace, name),
                stored.spec["volumeName"]?.string == object.name
            else { return false }
            return pods.uses(
                .init(group: "", resource: "persistentvolumeclaims", namespace: namespace, name: name),
                node: request.node)
        case "volumeattachments":
            return pods.stored(object.group, object.resource, "", object.name)?.spec["nodeName"]?.string
                == request.node
        case "resourceslices":
            return pods.stored(object.group, object.resource, "", object.name)?.spec["nodeName"]?.string
                == request.node
        case "pods":
            return pods.stored("", "pods", object.namespace, object.name)?.spec["nodeName"]?.string == request.node
        default: return pods.uses(object, node: request.node)
        }
    }

    private func lease(_ request: Request) -> RBACPolicy.Decision {
        let isOurs = request.object.namespace == "kube-node-lease"
        return own(
            request, "node lease",
            isOurs ? nil : "can only access leases in the \"kube-node-lease\" system namespace")
    }

    /// Objects that have the node's name; a creation does not tell it yet, so admission checks it.
    private func own(_ request: Request, _ what: String, _ obstacle: String?) -> RBACPolicy.Decision {
        guard ["get", "create", "update", "patch", "delete"].contains(request.verb) else {
            return Self.denied("can only get, create, update, patch, or delete a \(what)")
        }
        if let obstacle { return Self.denied(obstacle) }
        guard request.verb == "create" || request.object.name == request.node else {
            return Self.denied("can only access \(what) with the same name as the requesting node")
        }
        return Self.allowed
    }

    private func slice(_ request: Request) -> RBACPolicy.Decision {
        guard request.part.isEmpty else { return Self.denied("cannot authorize ResourceSlice subresources") }
        switch request.verb {
        case "create": return Self.allowed
        case "list", "watch", "deletecollection":
            if request.fields["spec.nodeName"] == request.node { return Self.allowed }
            return Self.denied("can only list/watch/deletecollection resourceslices with nodeName field selector")
        default: return related(request)
        }
    }

    private func pod(_ request: Request) -> RBACPolicy.Decision {
        switch (request.part, request.verb) {
        case ("", "get"): return related(request)
        case ("", "list"), ("", "watch"):
            if request.fields["spec.nodeName"] == request.node { return Self.allowed }
            if !request.object.name.isEmpty { return related(request) }
            return Self.denied("can only list/watch pods with spec.nodeName field selector")
        // Admission narrows the writes to the node's own pods.
        case ("", "create"), ("", "delete"), ("status", "update"), ("status", "patch"), ("eviction", "create"):
            return Self.allowed
        default: return Self.denied()
        }
    }
}
