// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

/// The facts are those of plugin/pkg/auth/authorizer/rbac and k8s.io/component-helpers/auth/rbac/validation.
struct PolicyRuleTests {
    private static let user = UserInfo(name: "ann", groups: ["devs"])

    private func allows(_ rule: PolicyRule, _ verb: String, _ path: String) -> Bool {
        rule.allows(.init(user: Self.user, verb: verb, path: path))
    }

    @Test(
        arguments: [
            (["*"], ["*"], ["*"], [], "delete", "apps", "deployments", "scale", "x", true),
            (["get"], [""], ["pods"], [], "get", "", "pods", "", "x", true),
            (["get"], [""], ["pods"], [], "list", "", "pods", "", "", false),
            (["get"], [""], ["pods"], [], "get", "apps", "pods", "", "x", false),
            (["get"], [""], ["pods"], [], "get", "", "pods", "log", "x", false),
            (["get"], [""], ["pods/log"], [], "get", "", "pods", "log", "x", true),
            (["get"], [""], ["pods/log"], [], "get", "", "pods", "", "x", false),
            (["get"], ["*"], ["*/scale"], [], "get", "apps", "deployments", "scale", "x", true),
            (["get"], ["*"], ["*/scale"], [], "get", "apps", "deployments", "status", "x", false),
            (["get"], ["*"], ["*/scale"], [], "get", "apps", "deployments", "", "x", false),
            (["get"], [""], ["pods"], ["a", "b"], "get", "", "pods", "", "b", true),
            (["get"], [""], ["pods"], ["a", "b"], "get", "", "pods", "", "c", false),
            (["create"], [""], ["pods"], ["a"], "create", "", "pods", "", "", false),
        ] as [([String], [String], [String], [String], String, String, String, String, String, Bool)])
    func rulesMatchRequests(
        _ verbs: [String], _ groups: [String], _ resources: [String], _ names: [String], _ verb: String,
        _ group: String, _ resource: String, _ subresource: String, _ name: String, _ expected: Bool
    ) {
        let rule = PolicyRule(verbs: verbs, apiGroups: groups, resources: resources, resourceNames: names)
        let attributes = AccessAttributes(
            user: Self.user, verb: verb, group: group, resource: resource, subresource: subresource,
            namespace: "default", name: name)
        #expect(rule.allows(attributes) == expected)
        #expect(PolicyRule(rule.json) == rule)
    }

    @Test func pathsMatchByPrefix() {
        let rule = PolicyRule(verbs: ["get"], nonResourceURLs: ["/api/*", "/version"])
        #expect(allows(rule, "get", "/api/v1"))
        #expect(allows(rule, "get", "/version"))
        #expect(!allows(rule, "get", "/version/"))
        #expect(!allows(rule, "get", "/api"))
        #expect(!allows(rule, "post", "/version"))
        #expect(allows(.init(verbs: ["*"], nonResourceURLs: ["*"]), "put", "/x"))
        #expect(!allows(.init(verbs: ["*"], apiGroups: ["*"], resources: ["*"]), "get", "/x"))
    }

    @Test func coveringTakesRulesApart() {
        let owned = [
            PolicyRule(verbs: ["get", "list"], apiGroups: [""], resources: ["pods"]),
            PolicyRule(verbs: ["get", "list"], apiGroups: [""], resources: ["services", "*/scale"]),
            PolicyRule(verbs: ["update"], apiGroups: [""], resources: ["secrets"], resourceNames: ["mine"]),
            PolicyRule(verbs: ["get"], nonResourceURLs: ["/api/*"]),
        ]
        func missing(_ rule: PolicyRule) -> [PolicyRule] { PolicyRule.notCovered([rule], by: owned) }
        #expect(missing(.init(verbs: ["get", "list"], apiGroups: [""], resources: ["pods", "services"])) == [])
        #expect(missing(.init(verbs: ["get"], apiGroups: [""], resources: ["deployments/scale"])) == [])
        #expect(missing(.init(verbs: ["get"], apiGroups: [""], resources: ["deployments"])).count == 1)
        #expect(
            missing(.init(verbs: ["get", "delete"], apiGroups: [""], resources: ["pods"])).map(\.verbs) == [["delete"]])
        #expect(missing(.init(verbs: ["update"], apiGroups: [""], resources: ["secrets"])).count == 1)
        #expect(
            missing(.init(verbs: ["update"], apiGroups: [""], resources: ["secrets"], resourceNames: ["mine"])) == [])
        #expect(missing(.init(verbs: ["get"], apiGroups: [""], resources: ["pods"], resourceNames: ["x"])) == [])
        #expect(missing(.init(verbs: ["get"], nonResourceURLs: ["/api/v1"])) == [])
        #expect(missing(.init(verbs: ["get"], nonResourceURLs: ["/metrics"])).count == 1)
    }
}

struct RBACPolicyTests {
    private func policy(_ objects: [JSON]) -> RBACPolicy {
        var policy = RBACPolicy()
        for object in objects { policy.update(KubeObject(object)) }
        return policy
    }

    private static let podReader: JSON = [
        "kind": "ClusterRole", "metadata": ["name": "pod-reader"],
        "rules": [["verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]]],
    ]

    private static func binding(_ kind: String, namespace: String?, subject: JSON) -> JSON {
        var result: JSON = [
            "kind": .string(kind), "metadata": ["name": "b"],
            "roleRef": ["kind": "ClusterRole", "name": "pod-reader"], "subjects": [subject],
        ]
        if let namespace { result["metadata", "namespace"] = .string(namespace) }
        return result
    }

    private func list(_ user: UserInfo, in namespace: String) -> AccessAttributes {
        .init(user: user, verb: "list", group: "", resource: "pods", namespace: namespace)
    }

    @Test func roleBindingsCountInTheirNamespaceOnly() {
        let policy = policy([
            Self.podReader,
            Self.binding("RoleBinding", namespace: "default", subject: ["kind": "User", "name": "ann"]),
        ])
        let ann = UserInfo(name: "ann")
        let decision = policy.decide(list(ann, in: "default"))
        #expect(decision.isAllowed)
        #expect(
            decision.reason
                == "RBAC: allowed by RoleBinding \"b/default\" of ClusterRole \"pod-reader\" to User \"ann\"")
        #expect(!policy.decide(list(ann, in: "other")).isAllowed)
        #expect(!policy.decide(list(ann, in: "")).isAllowed)
        #expect(!policy.decide(list(UserInfo(name: "bob"), in: "default")).isAllowed)
    }

    @Test func groupsAndServiceAccountsAreSubjects() {
        let forGroup = policy([
            Self.podReader,
            Self.binding("ClusterRoleBinding", namespace: nil, subject: ["kind": "Group", "name": "devs"]),
        ])
        #expect(forGroup.decide(list(UserInfo(name: "x", groups: ["devs"]), in: "any")).isAllowed)
        #expect(!forGroup.decide(list(UserInfo(name: "devs"), in: "any")).isAllowed)
        let forAccount = policy([
            Self.podReader,
            Self.binding("RoleBinding", namespace: "ns", subject: ["kind": "ServiceAccount", "name": "app"]),
        ])
        #expect(forAccount.decide(list(.serviceAccount(namespace: "ns", name: "app"), in: "ns")).isAllowed)
        #expect(!forAccount.decide(list(.serviceAccount(namespace: "other", name: "app"), in: "ns")).isAllowed)
    }

    @Test func changesTakeEffect() {
        var policy = policy([
            Self.podReader,
            Self.binding("ClusterRoleBinding", namespace: nil, subject: ["kind": "User", "name": "ann"]),
        ])
        let ann = UserInfo(name: "ann")
        policy.update(
            KubeObject(Self.binding("ClusterRoleBinding", namespace: nil, subject: ["kind": "User", "name": "bob"])))
        #expect(!policy.decide(list(ann, in: "")).isAllowed)
        #expect(policy.decide(list(UserInfo(name: "bob"), in: "")).isAllowed)
        policy.remove(kind: "ClusterRoleBinding", key: .init(name: "b"))
        #expect(!policy.decide(list(UserInfo(name: "bob"), in: "")).isAllowed)
    }

    @Test func refusalsAreWordedAsUpstream() {
        let policy = policy([
            Self.binding("ClusterRoleBinding", namespace: nil, subject: ["kind": "User", "name": "x"])
        ])
        let cases: [(AccessAttributes, String)] = [
            (
                .init(user: .init(name: "y"), verb: "list", group: "", resource: "pods", namespace: "default"),
                "pods is forbidden: User \"y\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
            ),
            (
                .init(
                    user: .init(name: "y"), verb: "get", group: "apps", resource: "deployments", subresource: "scale",
                    name: "web"),
                "deployments.apps \"web\" is forbidden: User \"y\" cannot get resource \"deployments/scale\" in API group \"apps\" at the cluster scope"
            ),
            (
                .init(user: .anonymous, verb: "get", path: "/"),
                "forbidden: User \"system:anonymous\" cannot get path \"/\""
            ),
            (
                .init(user: .init(name: "x"), verb: "list", group: "", resource: "nodes"),
                "nodes is forbidden: User \"x\" cannot list resource \"nodes\" in API group \"\" at the cluster scope: RBAC: clusterroles.rbac.authorization.k8s.io \"pod-reader\" not found"
            ),
        ]
        for (attributes, message) in cases {
            #expect {
                try policy.authorize(attributes)
            } throws: { error in
                (error as? StatusError)?.code == 403 && (error as? StatusError)?.message == message
            }
        }
    }

    @Test func grantingWhatOneLacksIsRefused() throws {
        let policy = policy([
            Self.podReader,
            Self.binding("ClusterRoleBinding", namespace: nil, subject: ["kind": "User", "name": "ann"]),
            [
                "kind": "ClusterRole", "metadata": ["name": "big"],
                "rules": [["verbs": ["get", "delete"], "apiGroups": [""], "resources": ["pods"]]],
            ],
        ])
        let ann = UserInfo(name: "ann", groups: ["devs", "system:authenticated"])
        var role = KubeObject([
            "kind": "ClusterRole", "metadata": ["name": "r"],
            "rules": [["verbs": ["get", "delete", "patch"], "apiGroups": [""], "resources": ["pods"]]],
        ])
        #expect {
            try policy.checkRoleWrite(role, old: nil, user: ann)
        } throws: { error in
            (error as? StatusError)?.message
                == "clusterroles.rbac.authorization.k8s.io \"r\" is forbidden: user \"ann\" (groups=[\"devs\" \"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\" \"patch\"]}"
        }
        try policy.checkRoleWrite(role, old: role, user: ann)
        role.json["rules"] = [["verbs": ["get"], "apiGroups": [""], "resources": ["pods"]]]
        try policy.checkRoleWrite(role, old: nil, user: ann)
        role.json["aggregationRule"] = ["clusterRoleSelectors": []]
        #expect {
            try policy.checkRoleWrite(role, old: nil, user: ann)
        } throws: { error in
            (error as? StatusError)?.message.hasSuffix(
                "must have cluster-admin privileges to use the aggregationRule") == true
        }
        try policy.checkRoleWrite(role, old: nil, user: UserInfo(name: "root", groups: ["system:masters"]))
    }

    @Test func bindingNeedsTheRulesOrTheBindVerb() throws {
        let objects: [JSON] = [
            Self.podReader,
            [
                "kind": "ClusterRole", "metadata": ["name": "big"],
                "rules": [["verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]]],
            ],
            [
                "kind": "ClusterRole", "metadata": ["name": "binder"],
                "rules": [
                    [
                        "verbs": ["bind"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"],
                        "resourceNames": ["big"],
                    ]
                ],
            ],
        ]
        let ann = UserInfo(name: "ann")
        let binding = KubeObject([
            "kind": "ClusterRoleBinding", "metadata": ["name": "new"],
            "roleRef": ["kind": "ClusterRole", "name": "big"],
        ])
        #expect(throws: StatusError.self) { try policy(objects).checkBindingWrite(binding, old: nil, user: ann) }
        let bound: JSON = [
            "kind": "ClusterRoleBinding", "metadata": ["name": "x"],
            "roleRef": ["kind": "ClusterRole", "name": "binder"], "subjects": [["kind": "User", "name": "ann"]],
        ]
        try policy(objects + [bound]).checkBindingWrite(binding, old: nil, user: ann)
        var missing = binding
        missing.json["roleRef", "name"] = "nope"
        #expect {
            try policy(objects).checkBindingWrite(missing, old: nil, user: ann)
        } throws: { ($0 as? StatusError)?.code == 404 }
    }

    @Test func rulesReviewsListWhatAppliesToTheUser() {
        let policy = policy(BootstrapPolicy.objects.map(\.json))
        let status = policy.rulesReviewStatus(
            for: UserInfo(name: "ann", groups: ["system:authenticated"]), namespace: "default")
        let resources = status["resourceRules"]?.elements.flatMap { $0["resources"]?.elements ?? [] } ?? []
        #expect(resources.contains("selfsubjectaccessreviews"))
        let paths = status["nonResourceRules"]?.elements.flatMap { $0["nonResourceURLs"]?.elements ?? [] } ?? []
        #expect(paths.contains("/healthz"))
        #expect(status["incomplete"] == false)
    }
}

struct BootstrapPolicyTests {
    private let policy: RBACPolicy

    init() {
        var policy = RBACPolicy()
        for object in BootstrapPolicy.objects { policy.update(object) }
        self.policy = policy
    }

    private func isAllowed(_ user: UserInfo, _ verb: String, _ resource: String, group: String = "") -> Bool {
        policy.decide(.init(user: user, verb: verb, group: group, resource: resource, namespace: "default")).isAllowed
    }

    @Test func namesAreUniqueAndRolesExist() {
        let objects = BootstrapPolicy.objects
        let names = objects.map { "\($0.kind) \($0.key)" }
        #expect(Set(names).count == names.count)
        for object in objects where object.kind.hasSuffix("Binding") {
            let reference = object.json["roleRef"]
            let namespace = reference?["kind"] == "Role" ? object.namespace : ""
            #expect(
                objects.contains {
                    $0.kind == reference?["kind"]?.string && $0.name == reference?["name"]?.string
                        && $0.namespace == namespace
                }, "\(object.name)")
        }
    }

    @Test func componentsMayDoTheirWork() {
        let scheduler = UserInfo(name: "system:kube-scheduler")
        #expect(isAllowed(scheduler, "list", "pods"))
        #expect(!isAllowed(scheduler, "create", "pods"))
        let controller = UserInfo.serviceAccount(namespace: "kube-system", name: "deployment-controller")
        #expect(isAllowed(controller, "create", "replicasets", group: "apps"))
        #expect(!isAllowed(controller, "create", "pods"))
        #expect(isAllowed(.serviceAccount(namespace: "kube-system", name: "replicaset-controller"), "create", "pods"))
        #expect(policy.decide(.init(user: .anonymous, verb: "get", path: "/livez")).isAllowed)
        #expect(!policy.decide(.init(user: .anonymous, verb: "get", path: "/api")).isAllowed)
    }

    @Test func aggregatedRolesNest() throws {
        let roles = Dictionary(uniqueKeysWithValues: BootstrapPolicy.clusterRoles.map { ($0.name, $0) })
        func rules(_ name: String) throws -> [JSON] { try #require(roles[name]?.json["rules"]?.array) }
        #expect(try Set(rules("edit")).isSuperset(of: rules("view")))
        #expect(try Set(rules("admin")).isSuperset(of: rules("edit")))
        #expect(try rules("admin").count > rules("edit").count)
        #expect(try !rules("view").contains { $0["resources"]?.elements.contains("secrets") == true })
        #expect(
            roles["view"]?.json["metadata"]?["labels"]?["rbac.authorization.k8s.io/aggregate-to-edit"] == "true")
    }
}
