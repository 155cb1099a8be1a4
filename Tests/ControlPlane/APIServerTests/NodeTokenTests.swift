// SPDX-License-Identifier: Apache-2.0

import APIServerFixture
import JSON
import KubeAPI
import KubeClient
import Testing

@testable import APIServer

/// Tokens of service accounts that have to do with nodes.
@Suite struct NodeTokenTests {
    private static let kubelet = UserInfo(
        name: "system:node:n1", groups: [UserInfo.WellKnown.nodesGroup, UserInfo.WellKnown.authenticatedGroup])

    private func withAccount(_ body: @Sendable @escaping (ServedAPI, TokenRequests) async throws -> Void) async throws {
        try await ServedAPI.run { api in
            _ = try await api.client.create(
                .serviceAccounts,
                object: KubeObject(.init("", "v1", "ServiceAccount"), namespace: "default", name: "default"))
            _ = try await api.client.create(.nodes, object: KubeObject(.init("", "v1", "Node"), name: "n1"))
            try await body(api, TokenRequests(api.server.registry, api.server.tokens))
        }
    }

    /// Asks for a token for the account `default` that is bound to an object.
    private func ask(
        _ requests: TokenRequests, boundTo object: KubeObject, audiences: [String] = [], as user: UserInfo = .loopback
    ) async throws -> String {
        var request = KubeObject(.init("authentication.k8s.io", "v1", "TokenRequest"), name: "")
        request.spec = [
            "audiences": JSON(audiences),
            "boundObjectRef": [
                "apiVersion": "v1", "kind": .string(object.kind), "name": .string(object.name),
                "uid": .string(object.uid),
            ],
        ]
        let answer = try await requests.issue(
            .init(
                resource: .serviceAccounts, namespace: "default", name: "default", subresource: "token",
                options: .init()),
            request, RequestContext(user: user))
        return try #require(answer.status["token"]?.string)
    }

    @Test func aKubeletGetsTokensForTheAudiencesOfItsPods() async throws {
        try await withAccount { api, requests in
            var driver = KubeObject(.init("storage.k8s.io", "v1", "CSIDriver"), name: "vault.example.org")
            driver.spec = ["tokenRequests": [["audience": "vault"]]]
            _ = try await api.client.create(.init("storage.k8s.io", "v1", "csidrivers"), object: driver)
            var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: "p")
            pod.spec = [
                "nodeName": "n1", "containers": [["name": "c", "image": "i"]],
                "volumes": [
                    [
                        "name": "tokens",
                        "projected": [
                            "sources": [
                                ["serviceAccountToken": ["path": "api"]],
                                ["serviceAccountToken": ["path": "other", "audience": "other"]],
                            ]
                        ],
                    ], ["name": "secrets", "csi": ["driver": "vault.example.org"]],
                ],
            ]
            let stored = try await api.client.create(.pods, object: pod)
            func refusal(_ audiences: [String]) async -> StatusError? {
                await status { _ = try await ask(requests, boundTo: stored, audiences: audiences, as: Self.kubelet) }
            }
            for audiences in [[], ["other"], ["vault"]] { #expect(await refusal(audiences) == nil, "\(audiences)") }
            #expect(await refusal(["other", "vault"])?.message.contains("0 or 1 audiences") == true)
            let error = await refusal(["bank"])
            #expect(error?.code == 403)
            #expect(
                error?.message.contains(
                    #"audience "bank" not found in pod spec volume, system:node:n1 is not authorized to request"#)
                    == true,
                "\(error?.message ?? "")")
            // Who is no kubelet is not asked, and an administrator can allow more.
            _ = try await ask(requests, boundTo: stored, audiences: ["bank"])
            let access = "rbac.authorization.k8s.io"
            var role = KubeObject(.init(access, "v1", "ClusterRole"), name: "bank-tokens")
            role.json["rules"] = [
                ["apiGroups": [""], "resources": ["bank"], "verbs": ["request-serviceaccounts-token-audience"]]
            ]
            _ = try await api.client.create(.init(access, "v1", "clusterroles"), object: role)
            var binding = KubeObject(.init(access, "v1", "ClusterRoleBinding"), name: "bank-tokens")
            binding.json["roleRef"] = ["apiGroup": .string(access), "kind": "ClusterRole", "name": "bank-tokens"]
            binding.json["subjects"] = [["apiGroup": .string(access), "kind": "Group", "name": "system:nodes"]]
            _ = try await api.client.create(.init(access, "v1", "clusterrolebindings"), object: binding)
            #expect(await refusal(["bank"]) == nil)
        }
    }

    @Test func aTokenThatIsBoundToANodeEndsWithIt() async throws {
        try await withAccount { api, requests in
            let tokens = api.server.tokens
            let node = try await api.client.get(.nodes, namespace: nil, name: "n1")
            let token = try await ask(requests, boundTo: node)
            func user() throws -> UserInfo {
                try tokens.verify(token, audiences: tokens.audiences, now: SystemClock().now).user
            }
            #expect(try user().extra["authentication.kubernetes.io/node-name"] == ["n1"])
            try await api.client.delete(.nodes, namespace: nil, name: "n1", options: .init())
            #expect(throws: (any Error).self) { try user() }
            // Another node of its name is another node.
            _ = try await api.client.create(.nodes, object: KubeObject(.init("", "v1", "Node"), name: "n1"))
            #expect(throws: (any Error).self) { try user() }
        }
    }
}
