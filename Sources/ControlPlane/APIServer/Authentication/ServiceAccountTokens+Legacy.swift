// SPDX-License-Identifier: Apache-2.0

import JSON
package import KubeAPI
package import PKI

/// Tokens that are kept in Secrets: they never expire, and are good as long as their Secret holds them
/// (upstream: `pkg/serviceaccount/legacy.go`).
extension ServiceAccountTokens {
    static let legacyIssuer = "kubernetes/serviceaccount"

    /// The claims of such a token, and the labels and data of its Secret.
    private enum Key {
        static let namespace = "kubernetes.io/serviceaccount/namespace"
        static let secret = "kubernetes.io/serviceaccount/secret.name"
        static let account = "kubernetes.io/serviceaccount/service-account.name"
        static let accountUID = "kubernetes.io/serviceaccount/service-account.uid"
        static let invalidSince = "kubernetes.io/legacy-token-invalid-since"
        static let token = "token"
    }

    /// Signs the token that a Secret of type `kubernetes.io/service-account-token` is to hold.
    package func issueLegacy(account: KubeObject, secret: KubeObject) throws(PKIError) -> String {
        let claims: JSON = [
            "iss": .string(Self.legacyIssuer), Key.namespace: .string(account.namespace),
            Key.secret: .string(secret.name), Key.account: .string(account.name),
            Key.accountUID: .string(account.uid),
            "sub": .string("system:serviceaccount:\(account.namespace):\(account.name)"),
        ]
        return try JSONWebToken.sign(claims, key: signingKey, keyID: keyID)
    }

    /// Checks a token whose signature holds: account and Secret must be there, and the Secret must hold this very token.
    func verifyLegacy(_ text: String, _ claims: JSON, audiences wanted: [String]) throws(PKIError) -> Verified {
        func refuse(_ why: String) -> PKIError { PKIError(.untrusted, "accept a service account token", why) }
        func claim(_ name: String) -> String { claims[name]?.string ?? "" }
        let (namespace, name, uid) = (claim(Key.namespace), claim(Key.account), claim(Key.accountUID))
        guard !namespace.isEmpty, !name.isEmpty, !uid.isEmpty,
            claim("sub") == "system:serviceaccount:\(namespace):\(name)"
        else { throw refuse("its claims are not those of a service account") }
        guard let secret = lookUp(GroupVersionResource("", "v1", "secrets"), namespace, claim(Key.secret)),
            !secret.isBeingDeleted, secret.labels[Key.invalidSince] == nil,
            secret.json["data"]?[Key.token]?.string == Base64.encode(Array(text.utf8))
        else { throw refuse("its Secret does not hold it any more") }
        guard let account = lookUp(GroupVersionResource("", "v1", "serviceaccounts"), namespace, name),
            !account.isBeingDeleted, account.uid == uid
        else { throw refuse("its account is gone") }
        // It names no audience: it is for this server alone.
        let audiences = self.audiences.filter(wanted.contains)
        guard !audiences.isEmpty else { throw refuse("another audience") }
        return Verified(user: .serviceAccount(namespace: namespace, name: name, uid: uid), audiences: audiences)
    }
}
