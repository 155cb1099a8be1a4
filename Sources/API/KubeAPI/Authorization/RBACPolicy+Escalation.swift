// SPDX-License-Identifier: Apache-2.0

package import JSON

/// Nobody may grant what they do not hold: the checks on writes of roles and bindings
/// (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping).
extension RBACPolicy {
    private static let group = "rbac.authorization.k8s.io"

    /// Throws 403 if the user may not give a role (of kind Role or ClusterRole) these rules.
    ///
    /// `old` is the object before an update; one that changes nothing but owner references and finalizers is always
    /// allowed, so that garbage collection works.
    package func checkRoleWrite(_ role: KubeObject, old: KubeObject?, user: UserInfo) throws(StatusError) {
        let resource = GroupVersionResource(Self.group, "v1", role.kind == "Role" ? "roles" : "clusterroles")
        if user.isMaster || old.map({ Self.changesOnlyCollection(role, $0) }) == true { return }
        let escalation = AccessAttributes(
            user: user, verb: "escalate", group: Self.group, resource: resource.resource,
            namespace: role.namespace, name: role.name)
        if decide(escalation).isAllowed { return }
        let rules = (role.json["rules"]?.elements ?? []).map(PolicyRule.init)
        try checkHeld(rules, by: user, namespace: role.namespace, resource: resource, name: role.name)
        guard role.json["aggregationRule"]?.object != nil || old?.json["aggregationRule"]?.object != nil else { return }
        // An aggregation can gather anything.
        let everything = [
            PolicyRule(verbs: ["*"], apiGroups: ["*"], resources: ["*"]),
            PolicyRule(verbs: ["*"], nonResourceURLs: ["*"]),
        ]
        let held = self.rules(for: user, namespace: "").rules
        guard PolicyRule.notCovered(everything, by: held).isEmpty else {
            throw .forbidden(resource, role.name, "must have cluster-admin privileges to use the aggregationRule")
        }
    }

    /// Throws 403 if the user may not bind the role of a RoleBinding or ClusterRoleBinding, 404 if it does not exist.
    package func checkBindingWrite(_ binding: KubeObject, old: KubeObject?, user: UserInfo) throws(StatusError) {
        let isClusterWide = binding.kind == "ClusterRoleBinding"
        let resource = GroupVersionResource(
            Self.group, "v1", isClusterWide ? "clusterrolebindings" : "rolebindings")
        if user.isMaster || old.map({ Self.changesOnlyCollection(binding, $0) }) == true { return }
        let roleKind = binding.json["roleRef"]?["kind"]?.string ?? ""
        let roleName = binding.json["roleRef"]?["name"]?.string ?? ""
        let bind = AccessAttributes(
            user: user, verb: "bind", group: Self.group, resource: roleKind == "Role" ? "roles" : "clusterroles",
            namespace: binding.namespace, name: roleName)
        if decide(bind).isAllowed { return }
        let rules = try rules(roleKind: roleKind, roleName: roleName, namespace: binding.namespace)
        try checkHeld(rules, by: user, namespace: binding.namespace, resource: resource, name: binding.name)
    }

    private func checkHeld(
        _ rules: [PolicyRule], by user: UserInfo, namespace: String, resource: GroupVersionResource, name: String
    ) throws(StatusError) {
        let (held, errors) = self.rules(for: user, namespace: namespace)
        let missing = PolicyRule.notCovered(rules, by: held)
        guard !missing.isEmpty else { return }
        let descriptions = Set(PolicyRule.compacted(missing).map(\.compactDescription)).sorted()
        var message =
            "user \(goQuoted(user.name)) (groups=\(goQuotedList(user.groups))) is attempting to grant RBAC "
            + "permissions not currently held:\n\(descriptions.joined(separator: "\n"))"
        if !errors.isEmpty { message += "; resolution errors: [\(errors.joined(separator: " "))]" }
        throw .forbidden(resource, name, message)
    }

    private static func changesOnlyCollection(_ new: KubeObject, _ old: KubeObject) -> Bool {
        func bare(_ object: KubeObject) -> JSON {
            var json = object.json
            for field in ["ownerReferences", "finalizers", "managedFields"] { json["metadata", field] = nil }
            return json
        }
        return bare(new) == bare(old)
    }
}

/// ClusterRoles that gather the rules of others by label.
package enum ClusterRoleAggregation {
    /// The rules that an aggregated role should have: those of the roles that its selectors choose, in the order of
    /// their names and without repetition; nil if the role has no aggregation rule.
    package static func rules(of role: KubeObject, among roles: [KubeObject]) -> [JSON]? {
        guard let selectors = role.json["aggregationRule"]?["clusterRoleSelectors"]?.array else { return nil }
        var result: [JSON] = []
        var seen: Set<JSON> = []
        let sorted = roles.sorted { $0.name < $1.name }
        for selector in selectors {
            // A selector that validation would refuse selects nothing.
            guard let selector = try? LabelSelector(json: selector) else { continue }
            for other in sorted where other.name != role.name && selector.matches(other) {
                for rule in other.json["rules"]?.elements ?? [] where seen.insert(rule).inserted {
                    result.append(rule)
                }
            }
        }
        return result
    }
}
