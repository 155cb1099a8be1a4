// SPDX-License-Identifier: Apache-2.0

import JSON

private let policy = "ValidatingAdmissionPolicy"
private let binding = "ValidatingAdmissionPolicyBinding"
private let rule = "spec.matchConstraints.resourceRules.0"
private let ruleField = "spec.matchConstraints.resourceRules[0]"

/// Rules of admission policies and their bindings.
let admissionPolicyRules: [BrokenRule] = [
    .init(
        policy, "spec.failurePolicy", "Panic",
        "spec.failurePolicy: Unsupported value: \"Panic\": supported values: \"Fail\", \"Ignore\""),
    .init(policy, "spec.matchConstraints", nil, "spec.matchConstraints: Required value"),
    .init(
        policy, "spec.matchConstraints.resourceRules", [],
        "spec.matchConstraints.resourceRules: Required value"),
    .init(
        policy, "spec.paramKind", ["apiVersion": "a/b/c", "kind": "X"],
        "spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c"),
    .init(
        policy, "spec.validations", [],
        "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
        "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item"),
    .init(
        policy, "spec.validations.0.expression", " ",
        "spec.validations[0].expression: Required value: expression is not specified"),
    .init(
        policy, "spec.validations.0.message", "a\nb",
        "spec.validations[0].message: Invalid value: \"a\\nb\": message must not contain line breaks"),
    .init(
        policy, "spec.validations.0.reason", "Because",
        "spec.validations[0].reason: Unsupported value: \"Because\": supported values: \"Forbidden\", \"Invalid\", "
            + "\"RequestEntityTooLarge\", \"Unauthorized\""),
    .init(
        policy, "spec.variables.+", ["name": "a-b", "expression": "1"],
        "spec.variables[0].name: Invalid value: \"a-b\": name is not a valid CEL identifier"),
    .init(
        policy, "spec.matchConditions", [["name": "a", "expression": "1"], ["name": "a", "expression": "2"]],
        "spec.matchConditions[1].name: Duplicate value: \"a\""),
    .init(
        policy, "spec.auditAnnotations.+", ["key": "a", "valueExpression": ""],
        "spec.auditAnnotations[0].valueExpression: Required value: valueExpression is not specified"),
    .init(
        policy, "\(rule).operations", ["*", "CREATE"],
        "\(ruleField).operations: Invalid value: [\"*\",\"CREATE\"]: if '*' is present, must not specify other "
            + "operations"),
    .init(
        policy, "\(rule).resources", ["*", "pods"],
        "\(ruleField).resources: Invalid value: [\"*\",\"pods\"]: if '*' is present, must not specify other resources "
            + "without subresources"),
    .init(
        policy, "\(rule).resources", ["pods/*", "pods/log"],
        "\(ruleField).resources[1]: Invalid value: \"pods/log\": if 'pods/*' is present, must not specify pods/log"),
    .init(binding, "spec.policyName", "", "spec.policyName: Required value"),
    .init(
        binding, "spec.validationActions", [],
        "spec.validationActions: Required value: at least one validation action is required"),
    .init(
        binding, "spec.validationActions", ["Deny", "Warn"],
        "spec.validationActions: Invalid value: [\"Deny\",\"Warn\"]: must not contain both Deny and Warn (repeating "
            + "the same validation failure information in the API response and headers serves no purpose)"),
    .init(
        binding, "spec.validationActions", ["Audit", "Audit"],
        "spec.validationActions[1]: Duplicate value: \"Audit\""),
    .init(
        binding, "spec.paramRef", ["parameterNotFoundAction": "Deny"],
        "spec.paramRef: Required value: one of name or selector must be specified"),
    .init(
        binding, "spec.paramRef", ["name": "a", "selector": [:], "parameterNotFoundAction": "Deny"],
        "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
        "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive"),
    .init(
        binding, "spec.paramRef", ["name": "a"], "spec.paramRef.parameterNotFoundAction: Required value"),
]
