// SPDX-License-Identifier: Apache-2.0

import APIServerFixture
import JSON
import KubeAPI
import KubeClient
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
            func create(_ name: String) async -> StatusError? {
                await status {
                    _ = try await registry.create(
                        nodes, namespace: "", object: KubeObject(.init("", "v1", "Node"), name: name), options: .init(),
                        context: context)
                }
            }
            let error = await create("n2")
            #expect(error?.message == #"nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2""#)
            // A machine that was removed does not come back by itself.
            let again = await create("n1")
            #expect(again?.code == 403 && again?.message.contains("by joining") == true)
        }
    }

    @Test func kubeletsReadOnlyWhatTheirPodsUse() async throws {
        try await ServedAPI.run { api in
            func may(_ verb: String, _ resource: String, _ name: String, fields: [String: String] = [:]) -> Bool {
                let namespace = ["nodes", "persistentvolumes"].contains(resource) ? "" : "default"
                var attributes = AccessAttributes(
                    user: Self.kubelet, verb: verb, group: "", resource: resource, namespace: namespace, name: name)
                attributes.requiredFields = fields
                return api.server.isAllowed(attributes)
            }
            #expect(!may("get", "secrets", "key"))
            #expect(!may("list", "secrets", ""))
            var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: "p")
            pod.spec = [
                "containers": [
                    ["name": "c", "image": "i", "envFrom": [["configMapRef": ["name": "settings"]]]]
                ],
                "volumes": [
                    ["name": "v", "secret": ["secretName": "key"]],
                    ["name": "d", "persistentVolumeClaim": ["claimName": "data"]],
                ],
            ]
            _ = try await api.client.create(
                .serviceAccounts,
                object: KubeObject(
                    .init("", "v1", "ServiceAccount"), namespace: "default", name: "default"))
            _ = try await api.client.create(.pods, object: pod)
            #expect(!may("get", "secrets", "key"))
            var binding = KubeObject(.init("", "v1", "Binding"), namespace: "default", name: "p")
            binding.json["target"] = ["kind": "Node", "name": "n1"]
            _ = try await api.client.create(
                .pods, namespace: "default", name: "p", subresource: "binding", object: binding, options: .init())
            #expect(may("get", "secrets", "key"))
            #expect(may("watch", "configmaps", "settings"))
            #expect(may("get", "persistentvolumeclaims", "data"))
            #expect(!may("get", "secrets", "other"))
            #expect(!may("update", "secrets", "key"))
            #expect(may("get", "pods", "p"))
            #expect(may("list", "pods", "", fields: ["spec.nodeName": "n1"]))
            #expect(!may("list", "pods", "", fields: ["spec.nodeName": "n2"]))
            #expect(!may("list", "pods", ""))
            #expect(may("watch", "nodes", ""))
            try await api.client.delete(
                .pods, namespace: "default", name: "p", options: .init(gracePeriodSeconds: 0))
            #expect(!may("get", "secrets", "key"))
        }
    }

    @Test func kubeletsDrawNoPodsToThemselves() async throws {
        try await ServedAPI.run { api in
            let registry = api.server.registry
            let nodes = try registry.served(.init("", "v1", "nodes"))
            let context = RequestContext(user: Self.kubelet)
            _ = try await api.client.create(.nodes, object: KubeObject(.init("", "v1", "Node"), name: "n1"))
            func label(_ labels: JSON) async -> StatusError? {
                await status {
                    _ = try await registry.update(
                        .init(served: nodes, namespace: "", name: "n1", options: .init()) { old in
                            var node = old ?? KubeObject(.null)
                            node.metadata["labels"] = labels
                            return node
                        }, context: context)
                }
            }
            let refused = await label(["node-restriction.kubernetes.io/secure": "yes", "a": "b"])
            #expect(refused?.message.contains("modify labels: node-restriction.kubernetes.io/secure") ?? false)
            #expect(await label(["node-role.kubernetes.io/control-plane": ""]) != nil)
            #expect(await label(["kubernetes.io/hostname": "n1", "node.kubernetes.io/x": "", "mine": ""]) == nil)
            let tainted = await status {
                _ = try await registry.update(
                    .init(served: nodes, namespace: "", name: "n1", options: .init()) { old in
                        var node = old ?? KubeObject(.null)
                        node.json["spec", "taints"] = [["key": "k", "effect": "NoSchedule"]]
                        return node
                    }, context: context)
            }
            #expect(tainted?.message.contains("is not allowed to modify taints") ?? false)
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
