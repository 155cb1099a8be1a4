// SPDX-License-Identifier: Apache-2.0

import JSON

/// Rules for RBAC (`pkg/apis/rbac/validation`).
extension Validator {
    private static let group = "rbac.authorization.k8s.io"

    mutating func role(_ object: JSON, isNamespaced: Bool) {
        for (index, rule) in object.list("rules").enumerated() {
            let path = FieldPath("rules").index(index)
            if rule.list("verbs").isEmpty {
                add(.required(path.child("verbs"), "verbs must contain at least one value"))
            }
            let urls = rule.list("nonResourceURLs")
            let groups = rule.list("apiGroups")
            let resources = rule.list("resources")
            if !urls.isEmpty {
                let place = path.child("nonResourceURLs")
                if isNamespaced {
                    add(.invalid(place, .array(urls), "namespaced rules cannot apply to non-resource URLs"))
                }
                if !groups.isEmpty || !resources.isEmpty || !rule.list("resourceNames").isEmpty {
                    let reason = "rules cannot apply to both regular resources and non-resource URLs"
                    add(.invalid(place, .array(urls), reason))
                }
                continue
            }
            if groups.isEmpty {
                add(.required(path.child("apiGroups"), "resource rules must supply at least one api group"))
            }
            if resources.isEmpty {
                add(.required(path.child("resources"), "resource rules must supply at least one resource"))
            }
        }
        if let aggregation = object.value("aggregationRule") {
            let path = FieldPath("aggregationRule").child("clusterRoleSelectors")
            let selectors = aggregation.list("clusterRoleSelectors")
            if selectors.isEmpty {
                add(.required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
            }
            for (index, selector) in selectors.enumerated() { labelSelector(selector, path.index(index)) }
        }
    }

    mutating func roleBinding(_ object: JSON, isNamespaced: Bool) {
        let reference = object["roleRef"] ?? [:]
        let path = FieldPath("roleRef")
        if reference.text("apiGroup") != Self.group {
            add(.unsupported(path.child("apiGroup"), .string(reference.text("apiGroup")), [Self.group]))
        }
        let kinds = isNamespaced ? ["ClusterRole", "Role"] : ["ClusterRole"]
        if !kinds.contains(reference.text("kind")) {
            add(.unsupported(path.child("kind"), .string(reference.text("kind")), kinds))
        }
        text(reference, "name", path, NameSyntax.pathSegment)
        for (index, subject) in object.list("subjects").enumerated() {
            self.subject(subject, FieldPath("subjects").index(index), isNamespaced: isNamespaced)
        }
    }

    private mutating func subject(_ subject: JSON, _ path: FieldPath, isNamespaced: Bool) {
        let name = subject.text("name")
        if name.isEmpty { add(.required(path.child("name"))) }
        let apiGroup = subject.text("apiGroup")
        switch subject.text("kind") {
        case "ServiceAccount":
            if !name.isEmpty { add(NameSyntax.dns1123Subdomain(name), path.child("name"), .string(name)) }
            if !apiGroup.isEmpty { add(.unsupported(path.child("apiGroup"), .string(apiGroup), [""])) }
            if !isNamespaced, subject.text("namespace").isEmpty { add(.required(path.child("namespace"))) }
        case "User", "Group":
            if apiGroup != Self.group {
                add(.unsupported(path.child("apiGroup"), .string(apiGroup), [Self.group]))
            }
        case let kind:
            add(.unsupported(path.child("kind"), .string(kind), ["Group", "ServiceAccount", "User"]))
        }
    }
}
