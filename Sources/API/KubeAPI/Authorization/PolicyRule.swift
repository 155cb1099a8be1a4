// SPDX-License-Identifier: Apache-2.0

package import JSON

/// A rule of a role (rbac.authorization.k8s.io/v1 PolicyRule): what it allows.
package struct PolicyRule: Hashable, Sendable {
    package var verbs: [String]
    package var apiGroups: [String]
    package var resources: [String]
    package var resourceNames: [String]
    package var nonResourceURLs: [String]

    package init(
        verbs: [String], apiGroups: [String] = [], resources: [String] = [], resourceNames: [String] = [],
        nonResourceURLs: [String] = []
    ) {
        self.verbs = verbs
        self.apiGroups = apiGroups
        self.resources = resources
        self.resourceNames = resourceNames
        self.nonResourceURLs = nonResourceURLs
    }

    package init(_ json: JSON) {
        func strings(_ key: String) -> [String] { json[key]?.elements.compactMap(\.string) ?? [] }
        self.init(
            verbs: strings("verbs"), apiGroups: strings("apiGroups"), resources: strings("resources"),
            resourceNames: strings("resourceNames"), nonResourceURLs: strings("nonResourceURLs"))
    }

    /// The rule as it stands in a role.
    package var json: JSON {
        var result: JSON = ["verbs": JSON(verbs)]
        let lists = [
            ("apiGroups", apiGroups), ("resources", resources), ("resourceNames", resourceNames),
            ("nonResourceURLs", nonResourceURLs),
        ]
        for (key, list) in lists where !list.isEmpty { result[key] = JSON(list) }
        return result
    }

    /// Whether the rule allows the request.
    package func allows(_ attributes: AccessAttributes) -> Bool {
        guard verbs.contains("*") || verbs.contains(attributes.verb) else { return false }
        switch attributes.target {
        case .path(let path): return nonResourceURLs.contains { Self.matches(path, pattern: $0) }
        case .resource(let group, let resource, let subresource, _, let name):
            return (apiGroups.contains("*") || apiGroups.contains(group))
                && allows(resource: resource, subresource: subresource)
                && (resourceNames.isEmpty || resourceNames.contains(name))
        }
    }

    private func allows(resource: String, subresource: String) -> Bool {
        resources.contains { rule in
            if rule == "*" { return true }
            if subresource.isEmpty { return rule == resource }
            if rule.hasPrefix("*/") { return rule.utf8.dropFirst(2).elementsEqual(subresource.utf8) }
            return rule == "\(resource)/\(subresource)"
        }
    }

    /// Whether a path matches `*`, the path itself, or a prefix that ends with `*`.
    private static func matches(_ path: String, pattern: String) -> Bool {
        if pattern == "*" || pattern == path { return true }
        guard pattern.hasSuffix("*") else { return false }
        var prefix = pattern[...]
        while prefix.last == "*" { prefix.removeLast() }
        return path.hasPrefix(prefix)
    }

    // MARK: - Covering

    /// The parts of `rules` that these rules do not allow, in the smallest units; empty if they cover them all.
    ///
    /// After k8s.io/component-helpers/auth/rbac/validation.
    package static func notCovered(_ rules: [PolicyRule], by owned: [PolicyRule]) -> [PolicyRule] {
        rules.flatMap(\.parts).filter { part in !owned.contains { $0.covers(part) } }
    }

    /// The rule taken apart, so that each part has one verb, and one URL or one group, resource and name at most.
    private var parts: [PolicyRule] {
        var parts: [PolicyRule] = []
        for group in apiGroups {
            for resource in resources {
                for verb in verbs {
                    for name in resourceNames.isEmpty ? [nil] : resourceNames.map(Optional.some) {
                        parts.append(
                            .init(
                                verbs: [verb], apiGroups: [group], resources: [resource],
                                resourceNames: name.map { [$0] } ?? []))
                    }
                }
            }
        }
        for url in nonResourceURLs {
            for verb in verbs { parts.append(.init(verbs: [verb], nonResourceURLs: [url])) }
        }
        return parts
    }

    /// Whether this rule alone allows all that a part allows.
    private func covers(_ part: PolicyRule) -> Bool {
        func holds(_ owned: [String], _ wanted: [String]) -> Bool {
            owned.contains("*") || wanted.allSatisfy(owned.contains)
        }
        let namesMatch =
            part.resourceNames.isEmpty
            ? resourceNames.isEmpty : resourceNames.isEmpty || part.resourceNames.allSatisfy(resourceNames.contains)
        return holds(verbs, part.verbs) && holds(apiGroups, part.apiGroups) && namesMatch
            && part.resources.allSatisfy(coversResource)
            && part.nonResourceURLs.allSatisfy { url in nonResourceURLs.contains { Self.matches(url, pattern: $0) } }
    }

    private func coversResource(_ resource: String) -> Bool {
        if resources.contains("*") || resources.contains(resource) { return true }
        guard let slash = resource.firstIndex(of: "/") else { return false }
        return resources.contains("*\(resource[slash...])")
    }

    /// The rules with those for one resource joined into one, as messages list them.
    static func compacted(_ rules: [PolicyRule]) -> [PolicyRule] {
        var result: [PolicyRule] = []
        var positions: [PolicyRule: Int] = [:]
        for rule in rules {
            let isSimple =
                rule.apiGroups.count == 1 && rule.resources.count == 1 && rule.resourceNames.count <= 1
                && rule.nonResourceURLs.isEmpty
            guard isSimple else {
                result.append(rule)
                continue
            }
            var key = rule
            key.verbs = []
            if let position = positions[key] {
                result[position].verbs += rule.verbs.filter { !result[position].verbs.contains($0) }
            } else {
                positions[key] = result.count
                result.append(rule)
            }
        }
        return result
    }

    /// `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`, as messages show a rule.
    var compactDescription: String {
        let lists = [
            ("APIGroups", apiGroups), ("Resources", resources), ("NonResourceURLs", nonResourceURLs),
            ("ResourceNames", resourceNames), ("Verbs", verbs),
        ]
        let parts = lists.filter { !$1.isEmpty }.map { "\($0):\(goQuotedList($1))" }
        return "{\(parts.joined(separator: ", "))}"
    }
}

/// A list of strings as Go's `%q` shows it: `["a" "b"]`.
func goQuotedList(_ list: [String]) -> String { "[\(list.map(goQuoted).joined(separator: " "))]" }
