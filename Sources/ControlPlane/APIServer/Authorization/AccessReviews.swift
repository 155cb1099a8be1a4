// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import PKI

/// Answers the reviews of `authorization.k8s.io` and `authentication.k8s.io`, which are created and forgotten.
struct AccessReviews: Sendable {
    let authorizer: Authorizer
    let authenticator: Authenticator
    let clock: any WallClock

    static let resources: Set<String> = [
        "subjectaccessreviews", "selfsubjectaccessreviews", "localsubjectaccessreviews", "selfsubjectrulesreviews",
        "selfsubjectreviews", "tokenreviews",
    ]

    func answer(
        _ resource: GroupVersionResource, namespace: String, _ object: KubeObject, user: UserInfo
    ) throws(StatusError) -> KubeObject {
        var result = object
        result.json["metadata"] = object.json["metadata"] ?? .object([:])
        switch resource.resource {
        case "subjectaccessreviews": result.status = try review(object, user: Self.subject(object))
        case "localsubjectaccessreviews":
            let wanted = object.spec["resourceAttributes"]?["namespace"]?.string ?? ""
            guard wanted == namespace else {
                throw SchemaRules.invalid(
                    GroupVersionKind("authorization.k8s.io", "v1", "LocalSubjectAccessReview"), name: "",
                    [
                        .init(
                            reason: "FieldValueInvalid",
                            message: "Invalid value: \"\(wanted)\": must match metadata.namespace: \(namespace)",
                            field: "spec.resourceAttributes.namespace")
                    ])
            }
            result.status = try review(object, user: Self.subject(object))
        case "selfsubjectaccessreviews": result.status = try review(object, user: user)
        case "selfsubjectrulesreviews":
            result.status = authorizer.policy.rulesReviewStatus(
                for: user, namespace: object.spec["namespace"]?.string ?? "")
        case "selfsubjectreviews":
            result.metadata["creationTimestamp"] = .string(clock.timestamp)
            result.status = ["userInfo": user.json]
        case "tokenreviews": result.status = tokenReview(object)
        default: throw Registry.noSuchResource
        }
        return result
    }

    // MARK: Access

    private static func subject(_ object: KubeObject) throws(StatusError) -> UserInfo {
        let spec = object.spec
        let groups = spec["groups"]?.elements.compactMap(\.string) ?? []
        let name = spec["user"]?.string ?? ""
        guard !name.isEmpty || !groups.isEmpty else {
            throw SchemaRules.invalid(
                GroupVersionKind("authorization.k8s.io", "v1", object.kind), name: "",
                [
                    .init(
                        reason: "FieldValueInvalid",
                        message: "Invalid value: \"\": at least one of user or group must be specified",
                        field: "spec.user")
                ])
        }
        return UserInfo(name: name, uid: spec["uid"]?.string ?? "", groups: groups)
    }

    private func review(_ object: KubeObject, user: UserInfo) throws(StatusError) -> JSON {
        let resource = object.spec["resourceAttributes"]
        let path = object.spec["nonResourceAttributes"]
        var attributes: AccessAttributes
        if let resource, resource.object != nil, path?.object == nil {
            func text(_ key: String) -> String { resource[key]?.string ?? "" }
            attributes = AccessAttributes(
                user: user, verb: text("verb"), group: text("group"), resource: text("resource"),
                subresource: text("subresource"), namespace: text("namespace"), name: text("name"))
            for term in resource["fieldSelector"]?["requirements"]?.elements ?? [] {
                let values = term["values"]?.elements.compactMap(\.string) ?? []
                guard term["operator"]?.string == "In", values.count == 1, let key = term["key"]?.string else {
                    continue
                }
                attributes.requiredFields[key] = values[0]
            }
        } else if let path, path.object != nil, resource?.object == nil {
            attributes = AccessAttributes(
                user: user, verb: path["verb"]?.string ?? "", path: path["path"]?.string ?? "")
        } else {
            throw SchemaRules.invalid(
                GroupVersionKind("authorization.k8s.io", "v1", object.kind), name: "",
                [
                    .init(
                        reason: "FieldValueInvalid",
                        message: "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must "
                            + "be specified", field: "spec.resourceAttributes")
                ])
        }
        let decision = authorizer.decide(attributes)
        var status: JSON = ["allowed": .bool(decision.isAllowed)]
        if !decision.reason.isEmpty { status["reason"] = .string(decision.reason) }
        return status
    }

    // MARK: Tokens

    private func tokenReview(_ object: KubeObject) -> JSON {
        let token = object.spec["token"]?.string ?? ""
        let audiences = object.spec["audiences"]?.elements.compactMap(\.string) ?? []
        do {
            let (user, matched) = try authenticator.review(token: token, audiences: audiences)
            var status: JSON = ["authenticated": true, "user": user.json]
            if !matched.isEmpty { status["audiences"] = JSON(matched) }
            return status
        } catch {
            return ["user": [:], "error": .string("[invalid bearer token, \(error)]")]
        }
    }
}
