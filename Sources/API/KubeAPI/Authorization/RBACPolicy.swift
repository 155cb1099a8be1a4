// SPDX-License-Identifier: Apache-2.0

package import JSON

/// All roles and bindings of a cluster, and the decisions that follow from them.
///
/// A value: whoever watches the RBAC objects keeps one up to date with ``update(_:)`` and ``remove(kind:key:)`` and
/// asks it on every request. Bindings are indexed by subject, so that a decision looks only at the user's own.
package struct RBACPolicy: Sendable {
    /// Whether a request is allowed, and why.
    package struct Decision: Hashable, Sendable {
        package var isAllowed: Bool
        /// What allowed it, or which roles could not be found.
        package var reason: String

        package init(isAllowed: Bool, reason: String) {
            self.isAllowed = isAllowed
            self.reason = reason
        }
    }

    /// To what a binding gives its role.
    enum Subject: Hashable, Sendable {
        /// A user's name; service accounts have one too.
        case user(String)
        case group(String)
    }

    struct Binding: Hashable, Sendable {
        var key: ObjectKey
        var roleKind: String
        var roleName: String
        var subjects: [(subject: Subject, description: String)]

        static func == (left: Binding, right: Binding) -> Bool { left.key == right.key }
        func hash(into hasher: inout Hasher) { hasher.combine(key) }
    }

    private var clusterRoles: [String: [PolicyRule]] = [:]
    private var roles: [ObjectKey: [PolicyRule]] = [:]
    /// By namespace and name; cluster role bindings have an empty namespace.
    private var bindings: [ObjectKey: Binding] = [:]
    /// The bindings of a subject, by namespace.
    private var index: [Subject: [String: Set<ObjectKey>]] = [:]

    package init() {}

    // MARK: Keeping it up to date

    /// Takes over a role or binding that was created or changed; objects of other kinds are ignored.
    package mutating func update(_ object: KubeObject) {
        let rules = (object.json["rules"]?.elements ?? []).map(PolicyRule.init)
        switch object.kind {
        case "ClusterRole": clusterRoles[object.name] = rules
        case "Role": roles[object.key] = rules
        case "ClusterRoleBinding", "RoleBinding":
            removeBinding(object.key)
            let binding = Self.binding(object)
            bindings[binding.key] = binding
            for (subject, _) in binding.subjects {
                index[subject, default: [:]][binding.key.namespace, default: []].insert(binding.key)
            }
        default: break
        }
    }

    /// Forgets a role or binding that was deleted.
    package mutating func remove(kind: String, key: ObjectKey) {
        switch kind {
        case "ClusterRole": clusterRoles[key.name] = nil
        case "Role": roles[key] = nil
        case "ClusterRoleBinding", "RoleBinding": removeBinding(key)
        default: break
        }
    }

    private mutating func removeBinding(_ key: ObjectKey) {
        guard let binding = bindings.removeValue(forKey: key) else { return }
        for (subject, _) in binding.subjects {
            index[subject]?[key.namespace]?.remove(key)
            if index[subject]?[key.namespace]?.isEmpty == true { index[subject]?[key.namespace] = nil }
            if index[subject]?.isEmpty == true { index[subject] = nil }
        }
    }

    private static func binding(_ object: KubeObject) -> Binding {
        var subjects: [(subject: Subject, description: String)] = []
        for json in object.json["subjects"]?.elements ?? [] {
            let name = json["name"]?.string ?? ""
            switch json["kind"]?.string {
            case "User": subjects.append((.user(name), "User \(goQuoted(name))"))
            case "Group": subjects.append((.group(name), "Group \(goQuoted(name))"))
            case "ServiceAccount":
                let given = json["namespace"]?.string ?? ""
                let namespace = given.isEmpty ? object.namespace : given
                subjects.append(
                    (
                        .user("system:serviceaccount:\(namespace):\(name)"),
                        "ServiceAccount \(goQuoted("\(name)/\(namespace)"))"
                    ))
            default: break
            }
        }
        let role = object.json["roleRef"]
        return Binding(
            key: object.key, roleKind: role?["kind"]?.string ?? "", roleName: role?["name"]?.string ?? "",
            subjects: subjects)
    }

    // MARK: Deciding

    /// Whether the request is allowed: to masters everything, to others what a role allows that is bound to them.
    package func decide(_ attributes: AccessAttributes) -> Decision {
        if attributes.user.isMaster { return Decision(isAllowed: true, reason: "") }
        var missing: [String] = []
        let namespace: String
        if case .resource(_, _, _, let value, _) = attributes.target { namespace = value } else { namespace = "" }
        for scope in namespace.isEmpty ? [""] : ["", namespace] {
            for subject in Self.subjects(of: attributes.user) {
                for key in index[subject]?[scope] ?? [] {
                    guard let binding = bindings[key] else { continue }
                    guard let rules = rules(of: binding) else {
                        missing.append(Self.notFound(binding).message)
                        continue
                    }
                    if rules.contains(where: { $0.allows(attributes) }) {
                        return Decision(isAllowed: true, reason: Self.explanation(binding, subject))
                    }
                }
            }
        }
        let reason = missing.isEmpty ? "" : "RBAC: \(Self.aggregate(missing))"
        return Decision(isAllowed: false, reason: reason)
    }

    /// Throws 403 unless the request is allowed.
    package func authorize(_ attributes: AccessAttributes) throws(StatusError) {
        let decision = decide(attributes)
        guard decision.isAllowed else { throw attributes.forbidden(reason: decision.reason) }
    }

    /// The rules that apply to a user in a namespace (empty for the cluster scope), and the errors of bindings to
    /// roles that are not there. Masters have their rules from their binding, like everyone.
    package func rules(for user: UserInfo, namespace: String) -> (rules: [PolicyRule], errors: [String]) {
        var rules: [PolicyRule] = []
        var errors: [String] = []
        var seen: Set<ObjectKey> = []
        for scope in namespace.isEmpty ? [""] : ["", namespace] {
            let keys = Self.subjects(of: user).flatMap { index[$0]?[scope] ?? [] }
            for key in keys.sorted() where seen.insert(key).inserted {
                guard let binding = bindings[key] else { continue }
                if let found = self.rules(of: binding) {
                    rules += found
                } else {
                    errors.append(Self.notFound(binding).message)
                }
            }
        }
        return (rules, errors)
    }

    /// The `status` of a SelfSubjectRulesReview.
    package func rulesReviewStatus(for user: UserInfo, namespace: String) -> JSON {
        let (rules, errors) = rules(for: user, namespace: namespace)
        var status: JSON = [
            "resourceRules": .array(
                rules.filter { !$0.resources.isEmpty }.map {
                    var rule = $0
                    rule.nonResourceURLs = []
                    return rule.json
                }),
            "nonResourceRules": .array(
                rules.filter { !$0.nonResourceURLs.isEmpty }.map {
                    ["verbs": JSON($0.verbs), "nonResourceURLs": JSON($0.nonResourceURLs)]
                }),
            "incomplete": .bool(!errors.isEmpty),
        ]
        if !errors.isEmpty { status["evaluationError"] = .string(Self.aggregate(errors)) }
        return status
    }

    /// The rules of the role that a binding in a namespace refers to; throws 404 if there is none.
    package func rules(roleKind: String, roleName: String, namespace: String) throws(StatusError) -> [PolicyRule] {
        let binding = Binding(
            key: .init(namespace: namespace, name: ""), roleKind: roleKind, roleName: roleName, subjects: [])
        guard let rules = rules(of: binding) else { throw Self.notFound(binding) }
        return rules
    }

    private func rules(of binding: Binding) -> [PolicyRule]? {
        switch binding.roleKind {
        case "ClusterRole": clusterRoles[binding.roleName]
        case "Role": roles[.init(namespace: binding.key.namespace, name: binding.roleName)]
        default: nil
        }
    }

    private static func subjects(of user: UserInfo) -> [Subject] {
        [.user(user.name)] + user.groups.map(Subject.group)
    }

    private static func notFound(_ binding: Binding) -> StatusError {
        let resource = binding.roleKind == "Role" ? "roles" : "clusterroles"
        return .notFound(.init("rbac.authorization.k8s.io", "v1", resource), binding.roleName)
    }

    /// Several errors as one, as upstream shows them.
    private static func aggregate(_ errors: [String]) -> String {
        errors.count == 1 ? errors[0] : "[\(errors.joined(separator: ", "))]"
    }

    private static func explanation(_ binding: Binding, _ subject: Subject) -> String {
        let who = binding.subjects.first { $0.subject == subject }?.description ?? ""
        let isClusterWide = binding.key.namespace.isEmpty
        let name =
            isClusterWide
            ? "ClusterRoleBinding \(goQuoted(binding.key.name))"
            : "RoleBinding \(goQuoted("\(binding.key.name)/\(binding.key.namespace)"))"
        return "RBAC: allowed by \(name) of \(binding.roleKind) \(goQuoted(binding.roleName)) to \(who)"
    }
}
