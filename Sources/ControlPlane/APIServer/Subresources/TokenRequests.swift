// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// `serviceaccounts/token`: issues tokens (authentication.k8s.io/v1 TokenRequest).
struct TokenRequests: Sendable {
    private let registry: Registry
    private let tokens: ServiceAccountTokens

    /// The default lifetime, the longest and the shortest one that may be asked for, in seconds.
    private static let standardSeconds = 3600
    private static let maximumSeconds = 1 << 32
    private static let minimumSeconds = 600

    /// What upstream makes of the kubelet's hour, so that clients that read their token once live on.
    private static let extendedSeconds = 365 * 86400

    init(_ registry: Registry, _ tokens: ServiceAccountTokens) {
        self.registry = registry
        self.tokens = tokens
    }

    func issue(
        _ request: SubresourceRequest, _ object: KubeObject, _ context: RequestContext
    ) async throws -> KubeObject {
        let accounts = try registry.served(.init("", "v1", "serviceaccounts"))
        let account = try StoredObjectDecoder.decode(
            try await registry.value(accounts, namespace: request.namespace, name: request.name))
        let seconds = object.spec["expirationSeconds"]?.int ?? Self.standardSeconds
        try Self.checkLifetime(seconds, name: request.name)
        let wanted = object.spec["audiences"]?.elements.compactMap(\.string) ?? []
        let audiences = wanted.isEmpty ? tokens.audiences : wanted
        if !context.isTrusted, let node = context.user.nodeName {
            try NodeRestriction.checkToken(object, account, by: context.user, node: node, registry)
        }
        let bindings = try await bindings(of: object, account)
        let now = registry.clock.now
        // A kubelet asks for 3607 s; such a token for the API itself lives on for clients that do not reload it.
        let isExtended = bindings.pod != nil && seconds == 3607 && Set(audiences) == Set(tokens.audiences)
        let lifetime = isExtended ? Self.extendedSeconds : seconds
        let text = try tokens.issue(
            account: account, pod: bindings.pod, secret: bindings.secret, node: bindings.node, audiences: audiences,
            lifetimeSeconds: Int64(lifetime), id: ObjectNames.uid(), now: now)
        var result = object
        result.json["kind"] = "TokenRequest"
        result.json["apiVersion"] = "authentication.k8s.io/v1"
        result.metadata = [
            "name": .string(request.name), "namespace": .string(request.namespace),
            "creationTimestamp": .string(registry.clock.timestamp),
        ]
        result.json["spec", "audiences"] = JSON(audiences)
        result.json["spec", "expirationSeconds"] = JSON(seconds)
        result.status = [
            "token": .string(text),
            "expirationTimestamp": .string(KubeTime(seconds: Int(now) + seconds).text),
        ]
        return result
    }

    private static func checkLifetime(_ seconds: Int, name: String) throws(StatusError) {
        let problem: String
        if seconds < minimumSeconds {
            problem = "may not specify a duration less than 10 minutes"
        } else if seconds > maximumSeconds {
            problem = "may not specify a duration larger than 2^32 seconds"
        } else {
            return
        }
        throw SchemaRules.invalid(
            GroupVersionKind("authentication.k8s.io", "v1", "TokenRequest"), name: name,
            [
                .init(
                    reason: "FieldValueInvalid", message: "Invalid value: \(seconds): \(problem)",
                    field: "spec.expirationSeconds")
            ])
    }

    private struct Bindings: Sendable {
        var pod: ServiceAccountTokens.Binding?
        var secret: ServiceAccountTokens.Binding?
        var node: ServiceAccountTokens.Binding?
    }

    /// Finds the object that the token is to be bound to.
    private func bindings(of object: KubeObject, _ account: KubeObject) async throws -> Bindings {
        var result = Bindings()
        guard let reference = object.spec["boundObjectRef"], !reference.isNull else { return result }
        let kind = reference["kind"]?.string ?? ""
        let name = reference["name"]?.string ?? ""
        let plural = ["Pod": "pods", "Secret": "secrets", "Node": "nodes"][kind]
        guard let plural else {
            throw StatusError.badRequest("cannot bind token for serviceaccount to a type \(kind)")
        }
        let served = try registry.served(.init("", "v1", plural))
        let namespace = served.isNamespaced ? account.namespace : ""
        let bound = try StoredObjectDecoder.decode(try await registry.value(served, namespace: namespace, name: name))
        if let uid = reference["uid"]?.string, !uid.isEmpty, uid != bound.uid {
            throw StatusError.conflict(
                served.resource, name,
                "the UID in the bound object reference (\(uid)) does not match the UID in record. The object might "
                    + "have been deleted and then recreated")
        }
        let binding = ServiceAccountTokens.Binding(kind: kind, name: name, uid: bound.uid)
        switch kind {
        case "Pod":
            let user = bound.spec["serviceAccountName"]?.string ?? ""
            guard user == account.name else {
                throw StatusError.badRequest(
                    "cannot bind token for serviceaccount \"\(account.name)\" to pod running with different "
                        + "serviceaccount name.")
            }
            result.pod = binding
            if let node = bound.spec["nodeName"]?.string, !node.isEmpty {
                let uid = registry.cachedObject(.init("", "v1", "nodes"), "", node)?.uid ?? ""
                result.node = .init(kind: "Node", name: node, uid: uid)
            }
        case "Secret": result.secret = binding
        default: result.node = binding
        }
        return result
    }
}
