// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

@testable import APIServer

@Suite struct NodeAccessTests {
    private static let kubelet = UserInfo(
        name: "system:node:n1",
        groups: [UserInfo.WellKnown.nodesGroup, UserInfo.WellKnown.authenticatedGroup])

    @Test func kubeletsMayDoWhatTheirRoleSaysAndOnlyToTheirOwnNode() async throws {
        try await ServedAPI.run { api in
            let authorizer = api.server.registry.authorizer
            func mayGet(_ resource: String) -> Bool {
                authorizer.decide(
                    AccessAttributes(user: Self.kubelet, verb: "get", group: "", resource: resource, name: "n1")
                ).isAllowed
            }
            #expect(mayGet("nodes"))
            #expect(!mayGet("namespaces/finalize"))
            let registry = api.server.registry
            let nodes = try registry.served(.init("", "v1", "nodes"))
            let context = RequestContext(user: Self.kubelet)
            _ = try await registry.create(
                nodes, namespace: "", object: KubeObject(.init("", "v1", "Node"), name: "n1"), options: .init(),
                context: context)
            let error = await status {
                _ = try await registry.create(
                    nodes, namespace: "", object: KubeObject(.init("", "v1", "Node"), name: "n2"), options: .init(),
                    context: context)
            }
            #expect(error?.message == #"nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2""#)
        }
    }

    @Test func aggregatedRolesHaveTheirRulesOnceTheServerIsReady() async throws {
        try await ServedAPI.run { api in
            let view = try await api.client.get(
                .init("rbac.authorization.k8s.io", "v1", "clusterroles"), namespace: nil, name: "view")
            #expect((view.json["rules"]?.elements.count ?? 0) > 5)
        }
    }
}
