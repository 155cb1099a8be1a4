// SPDX-License-Identifier: Apache-2.0

import JSON

/// The roles and bindings that every Kubernetes cluster has, as the API server creates and repairs them when it
/// starts (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings).
package enum BootstrapPolicy {
    /// All objects, in the order in which they are to be created: roles before the bindings that refer to them.
    /// Aggregated roles come with the rules that aggregation gives them.
    package static var objects: [KubeObject] { clusterRoles + clusterRoleBindings + roles + roleBindings }

    package static var clusterRoles: [KubeObject] {
        let plain =
            (userRoles + systemRoles).map { clusterRole($0) }
            + controllerRoles.map { clusterRole(.init("system:controller:\($0.name)", rules: $0.rules)) }
        let aggregated = [
            aggregatedRole("view", label: "aggregate-to-view", feeds: "aggregate-to-edit"),
            aggregatedRole("edit", label: "aggregate-to-edit", feeds: "aggregate-to-admin"),
            aggregatedRole("admin", label: "aggregate-to-admin", feeds: nil),
        ]
        // In this order each finds the rules of the one before.
        return aggregated.reduce(into: plain) { roles, role in
            var role = role
            role.json["rules"] = .array(ClusterRoleAggregation.rules(of: role, among: roles) ?? [])
            roles.append(role)
        }
    }

    package static var clusterRoleBindings: [KubeObject] {
        let bindings: [(role: String, subjects: [JSON])] = [
            ("cluster-admin", [group("system:masters")]),
            ("system:monitoring", [group("system:monitoring")]),
            ("system:discovery", [group("system:authenticated")]),
            ("system:basic-user", [group("system:authenticated")]),
            ("system:public-info-viewer", [group("system:authenticated"), group("system:unauthenticated")]),
            ("system:node-proxier", [user("system:kube-proxy")]),
            ("system:kube-controller-manager", [user("system:kube-controller-manager")]),
            ("system:kube-dns", [serviceAccount("kube-dns")]),
            ("system:kube-scheduler", [user("system:kube-scheduler")]),
            ("system:volume-scheduler", [user("system:kube-scheduler")]),
            ("system:node", []),
            ("system:service-account-issuer-discovery", [group("system:serviceaccounts")]),
        ]
        return bindings.map { binding($0.role, roleKind: "ClusterRole", role: $0.role, $0.subjects) } + nodeBindings
            + controllerRoles.map {
                let name = "system:controller:\($0.name)"
                return binding(name, roleKind: "ClusterRole", role: name, [serviceAccount($0.name)])
            }
    }

    /// What lets machines join with a bootstrap token and renew their certificates afterwards, as kubeadm binds it.
    private static var nodeBindings: [KubeObject] {
        let requests = "system:certificates.k8s.io:certificatesigningrequests"
        let rows = [
            ("kubelet-bootstrap", "system:node-bootstrapper", UserInfo.WellKnown.bootstrappersGroup),
            ("node-autoapprove-bootstrap", "\(requests):nodeclient", UserInfo.WellKnown.bootstrappersGroup),
            (
                "node-autoapprove-certificate-rotation", "\(requests):selfnodeclient", UserInfo.WellKnown.nodesGroup
            ),
        ]
        return rows.map { name, role, subject in
            binding("swiftlet:\(name)", roleKind: "ClusterRole", role: role, [group(subject)])
        }
    }

    /// The roles of single namespaces.
    package static var roles: [KubeObject] {
        namespaceRoles.map { namespace, role in
            var object = object("Role", role.name, namespace: namespace)
            object.json["rules"] = .array(role.rules.map(\.json))
            return object
        }
    }

    package static var roleBindings: [KubeObject] {
        let manager = user("system:kube-controller-manager")
        let scheduler = user("system:kube-scheduler")
        let bindings: [(namespace: String, name: String, role: String, subjects: [JSON])] = [
            (
                "kube-system", "system::extension-apiserver-authentication-reader",
                "extension-apiserver-authentication-reader", [manager, scheduler]
            ),
            (
                "kube-system", "system::leader-locking-kube-controller-manager",
                "system::leader-locking-kube-controller-manager",
                [manager, serviceAccount("kube-controller-manager")]
            ),
            (
                "kube-system", "system::leader-locking-kube-scheduler", "system::leader-locking-kube-scheduler",
                [scheduler, serviceAccount("kube-scheduler")]
            ),
            // By this ConfigMap nodes see that the cluster trusts other authorities.
            (
                "kube-public", "swiftlet:root-certificates", "swiftlet:root-certificates",
                [group(UserInfo.WellKnown.nodesGroup)]
            ),
        ]
        let controllers = [
            ("kube-public", "bootstrap-signer"), ("kube-system", "bootstrap-signer"),
            ("kube-system", "cloud-provider"), ("kube-system", "token-cleaner"),
        ]
        return bindings.map { binding($0.name, namespace: $0.namespace, roleKind: "Role", role: $0.role, $0.subjects) }
            + controllers.map { namespace, name in
                binding(
                    "system:controller:\(name)", namespace: namespace, roleKind: "Role",
                    role: "system:controller:\(name)", [serviceAccount(name)])
            }
    }

    // MARK: - Making objects

    private static let group = "rbac.authorization.k8s.io"

    private static func object(_ kind: String, _ name: String, namespace: String? = nil) -> KubeObject {
        var object = KubeObject(.init(group, "v1", kind), namespace: namespace, name: name)
        object.json["metadata", "annotations"] = ["rbac.authorization.kubernetes.io/autoupdate": "true"]
        object.json["metadata", "labels"] = ["kubernetes.io/bootstrapping": "rbac-defaults"]
        return object
    }

    private static func clusterRole(_ role: Role) -> KubeObject {
        var object = object("ClusterRole", role.name)
        if let label = role.aggregation { object.json["metadata", "labels", "\(group)/\(label)"] = "true" }
        object.json["rules"] = .array(role.rules.map(\.json))
        return object
    }

    private static func aggregatedRole(_ name: String, label: String, feeds: String?) -> KubeObject {
        var object = object("ClusterRole", name)
        if let feeds { object.json["metadata", "labels", "\(group)/\(feeds)"] = "true" }
        object.json["aggregationRule"] = [
            "clusterRoleSelectors": [["matchLabels": .object(["\(group)/\(label)": "true"])]]
        ]
        return object
    }

    private static func binding(
        _ name: String, namespace: String? = nil, roleKind: String, role: String, _ subjects: [JSON]
    ) -> KubeObject {
        var object = object(namespace == nil ? "ClusterRoleBinding" : "RoleBinding", name, namespace: namespace)
        object.json["roleRef"] = ["apiGroup": .string(group), "kind": .string(roleKind), "name": .string(role)]
        if !subjects.isEmpty { object.json["subjects"] = .array(subjects) }
        return object
    }

    private static func user(_ name: String) -> JSON {
        ["apiGroup": .string(group), "kind": "User", "name": .string(name)]
    }

    private static func group(_ name: String) -> JSON {
        ["apiGroup": .string(group), "kind": "Group", "name": .string(name)]
    }

    private static func serviceAccount(_ name: String) -> JSON {
        ["kind": "ServiceAccount", "name": .string(name), "namespace": "kube-system"]
    }

    // MARK: - Rows of the tables

    /// A role of one of the tables.
    struct Role {
        var name: String
        /// The label by which `admin`, `edit` or `view` gathers the role.
        var aggregation: String?
        var rules: [PolicyRule]

        init(_ name: String, aggregation: String? = nil, rules: [PolicyRule]) {
            self.name = name
            self.aggregation = aggregation
            self.rules = rules
        }
    }

    /// A rule from lists separated by spaces; `core` is the group with the empty name.
    static func rule(_ verbs: String, _ groups: String, _ resources: String, names: String = "") -> PolicyRule {
        PolicyRule(
            verbs: words(verbs), apiGroups: words(groups).map { $0 == "core" ? "" : $0 },
            resources: words(resources), resourceNames: words(names))
    }

    /// A rule for paths, separated by spaces.
    static func rule(_ verbs: String, paths: String) -> PolicyRule {
        PolicyRule(verbs: words(verbs), nonResourceURLs: words(paths))
    }

    private static func words(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }

    static let read = "get list watch"
    static let write = "create delete deletecollection patch update"
    static let readWrite = "create delete deletecollection get list patch update watch"
    /// What everyone needs who reports events.
    static let events = rule("create patch update", "core events.k8s.io", "events")
}
