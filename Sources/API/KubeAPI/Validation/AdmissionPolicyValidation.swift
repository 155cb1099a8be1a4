// SPDX-License-Identifier: Apache-2.0

import JSON

/// Rules for ValidatingAdmissionPolicies and their bindings, but for the syntax of their expressions
/// (`pkg/apis/admissionregistration/validation`).
extension Validator {
    private static let maximumAuditAnnotations = 20
    private static let maximumAnnotationExpressionBytes = 5 * 1024
    private static let maximumMatchConditions = 64
    private static let reasons = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"]

    mutating func admissionPolicy(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        let path = FieldPath("spec")
        choice(spec, "failurePolicy", path, ["Fail", "Ignore"])
        if let kind = spec.value("paramKind") { parameterKind(kind, path.child("paramKind")) }
        let constraints = path.child("matchConstraints")
        if let match = spec.value("matchConstraints") {
            matchResources(match, constraints)
            if match.list("resourceRules").isEmpty { add(.required(constraints.child("resourceRules"))) }
        } else {
            add(.required(constraints))
        }
        matchConditions(spec.list("matchConditions"), path.child("matchConditions"))
        for (index, variable) in spec.list("variables").enumerated() {
            policyVariable(variable, path.child("variables").index(index))
        }
        if spec.list("validations").isEmpty, spec.list("auditAnnotations").isEmpty {
            for name in ["validations", "auditAnnotations"] {
                add(.required(path.child(name), "validations or auditAnnotations must contain at least one item"))
            }
        }
        for (index, validation) in spec.list("validations").enumerated() {
            policyValidation(validation, path.child("validations").index(index))
        }
        auditAnnotations(
            spec.list("auditAnnotations"), policy: object["metadata"]?.text("name") ?? "",
            path.child("auditAnnotations"))
    }

    mutating func admissionPolicyBinding(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        let path = FieldPath("spec")
        text(spec, "policyName", path, NameSyntax.dns1123Subdomain)
        if let reference = spec.value("paramRef") { parameterReference(reference, path.child("paramRef")) }
        if let match = spec.value("matchResources") { matchResources(match, path.child("matchResources")) }
        validationActions(spec.list("validationActions"), path.child("validationActions"))
    }

    private static func isBlank(_ text: String) -> Bool { text.allSatisfy(\.isWhitespace) }

    private static func trimmed(_ text: String) -> Substring {
        var rest = text[...]
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        return rest
    }

    // MARK: Policies

    private mutating func parameterKind(_ kind: JSON, _ path: FieldPath) {
        let version = kind.text("apiVersion")
        let parts = version.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let versionPath = path.child("apiVersion")
        if version.isEmpty {
            add(.required(versionPath))
        } else if parts.count > 2 {
            add(.invalid(versionPath, .string(version), "unexpected GroupVersion string: \(version)"))
        } else {
            if parts.count == 2, !parts[0].isEmpty {
                add(NameSyntax.dns1123Subdomain(parts[0]), versionPath, .string(parts[0]))
            }
            let last = parts.last ?? ""
            if last.isEmpty {
                add(.invalid(versionPath, .string(version), "version must be specified"))
            } else {
                add(NameSyntax.dns1035Label(last), versionPath, .string(last))
            }
        }
        text(kind, "kind", path) { name in
            NameSyntax.dns1035Label(name.lowercased()).map {
                "may have mixed case, but should otherwise match: \($0)"
            }
        }
    }

    private mutating func matchConditions(_ conditions: [JSON], _ path: FieldPath) {
        let maximum = Self.maximumMatchConditions
        if conditions.count > maximum { add(.tooMany(path, conditions.count, maximum: maximum)) }
        var names: Set<String> = []
        for (index, condition) in conditions.enumerated() {
            let path = path.index(index)
            if Self.isBlank(condition.text("expression")) { add(.required(path.child("expression"))) }
            text(condition, "name", path, LabelSyntax.problems(inKey:))
            let name = condition.text("name")
            if !name.isEmpty, !names.insert(name).inserted { add(.duplicate(path.child("name"), .string(name))) }
        }
    }

    private mutating func policyVariable(_ variable: JSON, _ path: FieldPath) {
        let name = variable.text("name")
        if Self.isBlank(name) {
            add(.required(path.child("name"), "name is not specified"))
        } else if !Self.isIdentifier(name) {
            add(.invalid(path.child("name"), .string(name), "name is not a valid CEL identifier"))
        }
        if Self.isBlank(variable.text("expression")) {
            add(.required(path.child("expression"), "expression is not specified"))
        }
    }

    /// Words that CEL keeps for itself.
    private static let reservedWords: Set<String> = [
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
        "let", "loop", "package", "namespace", "return", "var", "void", "while",
    ]

    private static func isIdentifier(_ text: String) -> Bool {
        func isStart(_ byte: UInt8) -> Bool { NameSyntax.isLetter(byte) || byte == UInt8(ascii: "_") }
        guard let first = text.utf8.first, isStart(first), !reservedWords.contains(text) else { return false }
        return text.utf8.allSatisfy { isStart($0) || NameSyntax.isDigit($0) }
    }

    private mutating func policyValidation(_ validation: JSON, _ path: FieldPath) {
        if Self.isBlank(validation.text("expression")) {
            add(.required(path.child("expression"), "expression is not specified"))
        }
        let dynamic = validation.text("messageExpression")
        if !dynamic.isEmpty, Self.isBlank(dynamic) {
            add(.invalid(path.child("messageExpression"), .string(dynamic), "must be non-empty if specified"))
        }
        let message = validation.text("message")
        if !message.isEmpty, Self.isBlank(message) {
            add(.invalid(path.child("message"), .string(message), "message must be non-empty if specified"))
        } else if Self.trimmed(message).contains(where: \.isNewline) {
            add(.invalid(path.child("message"), .string(message), "message must not contain line breaks"))
        }
        if validation.value("reason") != nil, !Self.reasons.contains(validation.text("reason")) {
            add(.unsupported(path.child("reason"), validation["reason"] ?? .null, Self.reasons))
        }
    }

    private mutating func auditAnnotations(_ annotations: [JSON], policy: String, _ path: FieldPath) {
        let maximum = Self.maximumAuditAnnotations
        if annotations.count > maximum {
            add(.invalid(path, .array(annotations), "must not have more than \(maximum) auditAnnotations"))
        }
        var keys: Set<String> = []
        for (index, annotation) in annotations.enumerated() {
            let path = path.index(index)
            let key = annotation.text("key")
            if policy.isEmpty {
                add(.invalid(path.child("key"), .string(key), "requires metadata.name be non-empty"))
            } else {
                let name = "\(policy)/\(key)"
                add(LabelSyntax.problems(inKey: name), path.child("key"), .string(name))
            }
            let expression = annotation.text("valueExpression")
            if Self.isBlank(expression) {
                add(.required(path.child("valueExpression"), "valueExpression is not specified"))
            } else if expression.utf8.count > Self.maximumAnnotationExpressionBytes {
                let reason = "must not exceed \(Self.maximumAnnotationExpressionBytes) bytes in length"
                add(.required(path.child("valueExpression"), reason))
            }
            if !keys.insert(key).inserted { add(.duplicate(path.child("key"), .string(key))) }
        }
    }

    // MARK: Bindings

    private mutating func parameterReference(_ reference: JSON, _ path: FieldPath) {
        let name = reference.text("name")
        let selector = reference.value("selector")
        let exclusive = "name and selector are mutually exclusive"
        if !name.isEmpty {
            add(NameSyntax.pathSegment(name), path.child("name"), .string(name))
            if selector != nil { add(.forbidden(path.child("name"), exclusive)) }
        }
        if selector != nil {
            labelSelector(selector, path.child("selector"))
            if !name.isEmpty { add(.forbidden(path.child("selector"), exclusive)) }
        } else if name.isEmpty {
            add(.required(path, "one of name or selector must be specified"))
        }
        choice(reference, "parameterNotFoundAction", path, ["Allow", "Deny"])
    }

    private mutating func validationActions(_ actions: [JSON], _ path: FieldPath) {
        let supported = ["Audit", "Deny", "Warn"]
        var seen: Set<String> = []
        for (index, action) in actions.enumerated() {
            let name = action.string ?? ""
            if !supported.contains(name) { add(.unsupported(path.index(index), action, supported)) }
            if !seen.insert(name).inserted { add(.duplicate(path.index(index), action)) }
        }
        if seen.isSuperset(of: ["Deny", "Warn"]) {
            let reason =
                "must not contain both Deny and Warn (repeating the same validation failure information in the API "
                + "response and headers serves no purpose)"
            add(.invalid(path, .array(actions), reason))
        }
        if actions.isEmpty { add(.required(path, "at least one validation action is required")) }
    }

    // MARK: What is matched

    private mutating func matchResources(_ match: JSON, _ path: FieldPath) {
        choice(match, "matchPolicy", path, ["Equivalent", "Exact"])
        for name in ["namespaceSelector", "objectSelector"] {
            if match.value(name) == nil { add(.required(path.child(name))) }
            labelSelector(match[name], path.child(name))
        }
        for list in ["resourceRules", "excludeResourceRules"] {
            for (index, rule) in match.list(list).enumerated() { matchRule(rule, path.child(list).index(index)) }
        }
    }

    private mutating func matchRule(_ rule: JSON, _ path: FieldPath) {
        var names: Set<String> = []
        for (index, name) in rule.list("resourceNames").enumerated() {
            let path = path.child("resourceNames").index(index)
            add(NameSyntax.pathSegment(name.string ?? ""), path, name)
            if !names.insert(name.string ?? "").inserted { add(.duplicate(path, name)) }
        }
        let operations = rule.list("operations")
        let supported = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"]
        if operations.isEmpty { add(.required(path.child("operations"))) }
        wildcard(operations, path.child("operations"), "if '*' is present, must not specify other operations")
        for (index, operation) in operations.enumerated() where !supported.contains(operation.string ?? "") {
            add(.unsupported(path.child("operations").index(index), operation, supported))
        }
        for (key, what) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
            let values = rule.list(key)
            if values.isEmpty { add(.required(path.child(key))) }
            wildcard(values, path.child(key), "if '*' is present, must not specify other \(what)")
        }
        for (index, version) in rule.list("apiVersions").enumerated() where version.string?.isEmpty ?? true {
            add(.required(path.child("apiVersions").index(index)))
        }
        matchedResources(rule.list("resources"), path.child("resources"))
        choice(rule, "scope", path, ["*", "Cluster", "Namespaced"], optional: true)
    }

    private mutating func wildcard(_ values: [JSON], _ path: FieldPath, _ reason: String) {
        if values.count > 1, values.contains("*") { add(.invalid(path, .array(values), reason)) }
    }

    private mutating func matchedResources(_ resources: [JSON], _ path: FieldPath) {
        if resources.isEmpty { add(.required(path)) }
        var allParts: Set<String> = []
        var allOwners: Set<String> = []
        for (index, resource) in resources.enumerated() {
            let text = resource.string ?? ""
            if text.isEmpty { add(.required(path.index(index))) }
            let halves = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard halves.count == 2 else { continue }
            let (owner, part) = (halves[0], halves[1])
            if allParts.contains(owner) {
                add(.invalid(path.index(index), resource, "if '\(owner)/*' is present, must not specify \(text)"))
            }
            if allOwners.contains(part) {
                add(.invalid(path.index(index), resource, "if '*/\(part)' is present, must not specify \(text)"))
            }
            if part == "*" { allParts.insert(owner) }
            if owner == "*" { allOwners.insert(part) }
        }
        wildcardResources(resources, path)
    }

    private mutating func wildcardResources(_ resources: [JSON], _ path: FieldPath) {
        if resources.count > 1, resources.contains("*/*") {
            add(.invalid(path, .array(resources), "if '*/*' is present, must not specify other resources"))
        }
        let hasPlain = resources.contains { $0 != "*" && !($0.string ?? "").contains("/") }
        if resources.contains("*"), hasPlain {
            let reason = "if '*' is present, must not specify other resources without subresources"
            add(.invalid(path, .array(resources), reason))
        }
    }
}
