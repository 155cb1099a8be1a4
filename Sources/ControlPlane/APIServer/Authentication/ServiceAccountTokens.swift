// SPDX-License-Identifier: Apache-2.0

import JSON
package import KubeAPI
package import PKI

/// Issues and verifies service-account tokens: JSON Web Tokens bound to an account and, mostly, to a pod
/// (KEP-1205; upstream `pkg/serviceaccount/claims.go`).
package final class ServiceAccountTokens: Sendable {
    /// The `iss` claim, the URL by which the cluster is known.
    package let issuer: String
    /// The audiences that mean this API server.
    package let audiences: [String]
    let signingKey: PrivateKey
    let keyID: String
    private let verificationKeys: [String: PublicKey]
    let lookUp: @Sendable (GroupVersionResource, _ namespace: String, _ name: String) -> KubeObject?

    /// - Parameters:
    ///   - signingKey: signs new tokens.
    ///   - olderKeys: keys that signed tokens which may still be about.
    ///   - lookUp: reads the newest state of an object, by which bound tokens are checked.
    package init(
        issuer: String, audiences: [String], signingKey: PrivateKey, olderKeys: [PublicKey] = [],
        lookUp: @escaping @Sendable (GroupVersionResource, _ namespace: String, _ name: String) -> KubeObject?
    ) throws(PKIError) {
        self.issuer = issuer
        self.audiences = audiences.isEmpty ? [issuer] : audiences
        self.signingKey = signingKey
        let publicKey = try signingKey.publicKey()
        keyID = publicKey.keyID
        var keys = [keyID: publicKey]
        for key in olderKeys { keys[key.keyID] = key }
        verificationKeys = keys
        self.lookUp = lookUp
    }

    /// The keys as `/openid/v1/jwks` shows them.
    func jsonWebKeySet() throws(PKIError) -> JSON {
        try PublicKey.jsonWebKeySet(verificationKeys.values.sorted { $0.keyID < $1.keyID })
    }

    /// An object that a token dies with.
    package struct Binding: Hashable, Sendable {
        package var kind: String
        package var name: String
        package var uid: String
    }

    // MARK: Issuing

    /// Signs a token for a service account.
    ///
    /// - Parameters:
    ///   - pod: the pod that it is bound to.
    ///   - node: the pod's node, noted in the token; without a pod, the node that it is bound to.
    func issue(
        account: KubeObject, pod: Binding?, secret: Binding?, node: Binding?, audiences: [String],
        lifetimeSeconds: Int64, id: String, now: Int64
    ) throws(PKIError) -> String {
        var private_: JSON = [
            "namespace": .string(account.namespace),
            "serviceaccount": ["name": .string(account.name), "uid": .string(account.uid)],
        ]
        for (key, binding) in [("pod", pod), ("secret", secret), ("node", node)] {
            guard let binding else { continue }
            private_[key] = ["name": .string(binding.name), "uid": .string(binding.uid)]
        }
        if pod != nil, lifetimeSeconds > 3607 { private_["warnafter"] = .int(now + 3607) }
        let claims: JSON = [
            "aud": JSON(audiences), "exp": .int(now + lifetimeSeconds), "iat": .int(now), "iss": .string(issuer),
            "jti": .string(id), "kubernetes.io": private_, "nbf": .int(now),
            "sub": .string("system:serviceaccount:\(account.namespace):\(account.name)"),
        ]
        return try JSONWebToken.sign(claims, key: signingKey, keyID: keyID)
    }

    // MARK: Verifying

    /// A token that holds.
    struct Verified: Sendable {
        var user: UserInfo
        /// Those of the wanted audiences that the token is for.
        var audiences: [String]
        /// Seconds since 1970; nil for a token that is good as long as its Secret is, which every request must look at.
        var expiresAt: Int64?
    }

    /// Checks signature, times, audience and that what the token is bound to is still there.
    func verify(_ text: String, audiences wanted: [String], now: Int64) throws(PKIError) -> Verified {
        let token = try JSONWebToken(parsing: text)
        func refuse(_ why: String) -> PKIError { PKIError(.untrusted, "accept a service account token", why) }
        let tokenIssuer = token.claims["iss"]?.string
        guard tokenIssuer == issuer || tokenIssuer == Self.legacyIssuer else { throw refuse("another issuer") }
        let keys = token.keyID.map { id in verificationKeys[id].map { [$0] } ?? [] } ?? Array(verificationKeys.values)
        guard keys.contains(where: token.isSigned(by:)) else { throw refuse("its signature does not hold") }
        if tokenIssuer == Self.legacyIssuer { return try verifyLegacy(text, token.claims, audiences: wanted) }
        try token.checkTimes(now: now, leewaySeconds: 0)
        guard let expiry = token.claims["exp"]?.int else { throw refuse("it never expires") }
        let audiences = Self.strings(token.claims["aud"]).filter(wanted.contains)
        guard !audiences.isEmpty else { throw refuse("another audience") }
        guard let user = user(of: token.claims, now: now) else { throw refuse("what it is bound to is gone") }
        return Verified(user: user, audiences: audiences, expiresAt: Int64(expiry))
    }

    private static func strings(_ claim: JSON?) -> [String] {
        claim?.string.map { [$0] } ?? claim?.elements.compactMap(\.string) ?? []
    }

    private func user(of claims: JSON, now: Int64) -> UserInfo? {
        guard let bound = claims["kubernetes.io"], let namespace = bound["namespace"]?.string,
            let name = bound["serviceaccount"]?["name"]?.string, let uid = bound["serviceaccount"]?["uid"]?.string,
            claims["sub"]?.string == "system:serviceaccount:\(namespace):\(name)",
            isThere(GroupVersionResource("", "v1", "serviceaccounts"), namespace, name, uid: uid, now: now)
        else { return nil }
        var user = UserInfo.serviceAccount(namespace: namespace, name: name, uid: uid)
        if let id = claims["jti"]?.string { user.extra[UserInfo.ExtraKey.credentialID] = ["JTI=\(id)"] }
        if let pod = bound["pod"] {
            guard let name = pod["name"]?.string, let uid = pod["uid"]?.string,
                isThere(GroupVersionResource("", "v1", "pods"), namespace, name, uid: uid, now: now)
            else { return nil }
            user.extra[UserInfo.ExtraKey.podName] = [name]
            user.extra[UserInfo.ExtraKey.podUID] = [uid]
        }
        if let secret = bound["secret"] {
            guard let name = secret["name"]?.string, let uid = secret["uid"]?.string,
                isThere(GroupVersionResource("", "v1", "secrets"), namespace, name, uid: uid, now: now)
            else { return nil }
        }
        if let node = bound["node"], let name = node["name"]?.string {
            // Of a pod's token it only tells where the pod is; without one the token is bound to it.
            if bound["pod"] == nil {
                guard let uid = node["uid"]?.string,
                    isThere(GroupVersionResource("", "v1", "nodes"), "", name, uid: uid, now: now)
                else { return nil }
            }
            user.extra[UserInfo.ExtraKey.nodeName] = [name]
            if let uid = node["uid"]?.string { user.extra[UserInfo.ExtraKey.nodeUID] = [uid] }
        }
        return user
    }

    private func isThere(
        _ resource: GroupVersionResource, _ namespace: String, _ name: String, uid: String, now: Int64
    ) -> Bool {
        guard let object = lookUp(resource, namespace, name), object.uid == uid else { return false }
        guard let deletion = object.deletionTimestamp else { return true }
        // An account or pod on its way out keeps its tokens for a minute of grace (upstream: 60 s leeway).
        return KubeTime(deletion).map { Int64($0.seconds) + 60 > now } ?? false
    }
}
