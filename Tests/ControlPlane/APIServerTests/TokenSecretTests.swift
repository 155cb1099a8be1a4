// SPDX-License-Identifier: Apache-2.0

import APIServerFixture
import Controllers
import JSON
import KubeAPI
import KubeClient
import PKI
import Testing

@testable import APIServer

/// Secrets of type `kubernetes.io/service-account-token`: their controller, and the tokens in them.
@Suite(.timeLimit(.minutes(1))) struct TokenSecretTests {
    private func withController(_ body: @Sendable @escaping (ServedAPI) async throws -> Void) async throws {
        try await ServedAPI.run { api in
            let context = api.controllerContext()
            let controller = ServiceAccountTokenController(context: context, certificateAuthority: { "authority" }) {
                try api.server.tokens.issueLegacy(account: $0, secret: $1)
            }
            try await api.withControllers(context, [controller]) {
                _ = try await api.client.create(
                    .serviceAccounts,
                    object: KubeObject(.init("", "v1", "ServiceAccount"), namespace: "default", name: "robot"))
                try await body(api)
            }
        }
    }

    private static func secret(_ name: String, account: String) -> KubeObject {
        var secret = KubeObject(.init("", "v1", "Secret"), namespace: "default", name: name)
        secret.json["type"] = "kubernetes.io/service-account-token"
        secret.json["metadata", "annotations"] = ["kubernetes.io/service-account.name": .string(account)]
        return secret
    }

    /// Waits until a Secret is as wanted; the test's own limit ends a wait in vain.
    private static func secret(
        _ name: String, of api: ServedAPI, _ isWanted: (KubeObject) -> Bool
    ) async throws -> KubeObject {
        while true {
            let secret = try await api.client.get(.secrets, namespace: "default", name: name)
            if isWanted(secret) { return secret }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private static func text(_ secret: KubeObject, _ key: String) throws -> String {
        let value = try #require(secret.json["data"]?[key]?.string)
        return String(decoding: try #require(Base64.decode(value)), as: UTF8.self)
    }

    private static func waitUntilGone(_ name: String, of api: ServedAPI) async throws {
        do {
            while true {
                _ = try await api.client.get(.secrets, namespace: "default", name: name)
                try await Task.sleep(for: .milliseconds(5))
            }
        } catch let error as StatusError where error.isNotFound {
            return
        }
    }

    @Test func aSecretIsFilledAndGoesWithItsAccount() async throws {
        try await withController { api in
            let account = try await api.client.get(.serviceAccounts, namespace: "default", name: "robot")
            _ = try await api.client.create(.secrets, object: Self.secret("robot-token", account: "robot"))
            _ = try await api.client.create(.secrets, object: Self.secret("orphan", account: "nobody"))
            let filled = try await Self.secret("robot-token", of: api) { $0.json["data"]?["token"] != nil }
            #expect(try Self.text(filled, "ca.crt") == "authority")
            #expect(try Self.text(filled, "namespace") == "default")
            #expect(filled.annotations["kubernetes.io/service-account.uid"] == account.uid)
            let claims = try JSONWebToken(parsing: try Self.text(filled, "token")).claims
            #expect(
                claims == [
                    "iss": "kubernetes/serviceaccount", "kubernetes.io/serviceaccount/namespace": "default",
                    "kubernetes.io/serviceaccount/secret.name": "robot-token",
                    "kubernetes.io/serviceaccount/service-account.name": "robot",
                    "kubernetes.io/serviceaccount/service-account.uid": .string(account.uid),
                    "sub": "system:serviceaccount:default:robot",
                ])
            try await Self.waitUntilGone("orphan", of: api)
            try await api.client.delete(.serviceAccounts, namespace: "default", name: "robot", options: .init())
            try await Self.waitUntilGone("robot-token", of: api)
        }
    }

    @Test func aTokenIsGoodAsLongAsItsSecretHoldsIt() async throws {
        try await withController { api in
            let account = try await api.client.get(.serviceAccounts, namespace: "default", name: "robot")
            _ = try await api.client.create(.secrets, object: Self.secret("kept", account: "robot"))
            var secret = try await Self.secret("kept", of: api) { $0.json["data"]?["token"] != nil }
            let token = try Self.text(secret, "token")
            func verify(_ audiences: [String]? = nil) throws -> UserInfo {
                let tokens = api.server.tokens
                return try tokens.verify(token, audiences: audiences ?? tokens.audiences, now: 1 << 40).user
            }
            #expect(try verify() == .serviceAccount(namespace: "default", name: "robot", uid: account.uid))
            #expect(throws: PKIError.self) { try verify(["vault"]) }
            // One that this key signed, but that no Secret holds.
            let stranger = try api.server.tokens.issueLegacy(
                account: account, secret: Self.secret("other", account: "robot"))
            #expect(throws: PKIError.self) {
                try api.server.tokens.verify(stranger, audiences: api.server.tokens.audiences, now: 0)
            }
            secret.json["metadata", "labels"] = ["kubernetes.io/legacy-token-invalid-since": "2026-01-01"]
            secret = try await api.client.update(.secrets, object: secret)
            #expect(throws: PKIError.self) { try verify() }
            secret.json["metadata", "labels"] = nil
            secret.json["data", "token"] = nil
            _ = try await api.client.update(.secrets, object: secret)
            // The new token is the same: nothing in it tells of the time.
            _ = try await Self.secret("kept", of: api) { $0.json["data"]?["token"] != nil }
            #expect(throws: Never.self) { try verify() }
            try await api.client.delete(.secrets, namespace: "default", name: "kept", options: .init())
            #expect(throws: PKIError.self) { try verify() }
        }
    }

    @Test(.enabled(if: Kubectl.isInstalled)) func kubectlUsesATokenUntilItsSecretIsDeleted() async throws {
        try await withController { api in
            let kubectl = try Kubectl(api)
            defer { kubectl.remove() }
            _ = try await api.client.create(.secrets, object: Self.secret("robot-token", account: "robot"))
            let secret = try await Self.secret("robot-token", of: api) { $0.json["data"]?["token"] != nil }
            let token = try Self.text(secret, "token")
            let shown = try await kubectl(
                "--token", token, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
            #expect(shown.output == "system:serviceaccount:default:robot", "\(shown.errors)")
            try await kubectl("delete", "secret", "robot-token")
            let refused = try await kubectl("--token", token, "auth", "whoami")
            #expect(refused.errors.contains("You must be logged in to the server"), "\(refused)")
        }
    }
}
