// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Testing

@testable import APIServer

/// Changing an object that is missing makes it, which takes the right to create.
@Suite struct CreationRightsTests {
    private let user = UserInfo(name: "mallory")

    private func server(verbs: JSON) async throws -> TestRegistry {
        let test = try await TestRegistry()
        var role = KubeObject(.init("rbac.authorization.k8s.io", "v1", "Role"), namespace: "default", name: "r")
        role.json["rules"] = [
            ["apiGroups": ["", "coordination.k8s.io"], "resources": ["configmaps", "leases"], "verbs": verbs]
        ]
        _ = try await test.client.create(.init("rbac.authorization.k8s.io", "v1", "roles"), object: role)
        var binding = KubeObject(
            .init("rbac.authorization.k8s.io", "v1", "RoleBinding"), namespace: "default", name: "b")
        binding.json["roleRef"] = ["apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"]
        binding.json["subjects"] = [["apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"]]
        _ = try await test.client.create(.init("rbac.authorization.k8s.io", "v1", "rolebindings"), object: binding)
        return test
    }

    private func apply(_ test: TestRegistry) async throws -> Written {
        try await test.registry.patch(
            .init(
                served: try test.registry.served(.configMaps), namespace: "default", name: "a", subresource: "",
                type: .apply, patch: configMap("a", ["k": "v"]).json, options: WriteOptions(fieldManager: "m")),
            context: RequestContext(user: user))
    }

    private func put(_ test: TestRegistry) async throws -> Written {
        let lease = KubeObject(.init("coordination.k8s.io", "v1", "Lease"), namespace: "default", name: "a")
        return try await Subresources(registry: test.registry, tokens: nil).replace(
            .init(resource: .leases, namespace: "default", name: "a", subresource: "", options: .init()),
            try test.registry.served(.leases), with: lease, RequestContext(user: user))
    }

    @Test func nobodyCreatesByChanging() async throws {
        let test = try await server(verbs: ["update", "patch"])
        let applied = await status { _ = try await apply(test) }
        #expect(applied?.code == 403)
        #expect(
            applied?.message
                == #"configmaps "a" is forbidden: User "mallory" cannot create resource "configmaps" in API group "" "#
                + #"in the namespace "default""#)
        #expect(await status { _ = try await put(test) }?.code == 403)
        let objects = try await test.client.list(.configMaps, namespace: "default", options: .init())
        #expect(!objects.items.contains { $0.name == "a" })
    }

    @Test func whoMayCreateMayDoSoByChanging() async throws {
        let test = try await server(verbs: ["update", "patch", "create"])
        #expect(try await apply(test).isNew)
        #expect(try await put(test).isNew)
    }

    @Test func whatIsThereMayBeChanged() async throws {
        let test = try await server(verbs: ["update", "patch"])
        _ = try await test.client.create(.configMaps, object: configMap("a"))
        #expect(try await !apply(test).isNew)
    }
}
