// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Testing

@testable import APIServer

/// What the server makes of pods on their way in: generations.
@Suite struct PodRulesTests {
    private let pods = GroupVersionResource("", "v1", "pods")

    private func server() async throws -> TestRegistry {
        let test = try await TestRegistry()
        let account = KubeObject(.init("", "v1", "ServiceAccount"), namespace: "default", name: "default")
        _ = try await test.client.create(.init("", "v1", "serviceaccounts"), object: account)
        return test
    }

    private func pod(_ name: String, _ spec: JSON = [:]) -> KubeObject {
        var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: name)
        pod.spec = spec
        pod.json["spec", "containers"] = [["name": "c", "image": "i"]]
        return pod
    }

    private func bind(_ test: TestRegistry, _ name: String) async throws {
        let binding = KubeObject([
            "apiVersion": "v1", "kind": "Binding", "metadata": ["name": .string(name), "namespace": "default"],
            "target": ["kind": "Node", "name": "n1"],
        ])
        _ = try await test.client.create(
            pods, namespace: "default", name: name, subresource: "binding", object: binding, options: .init())
    }

    // MARK: Generations

    @Test func onlyWhatUsersWishCountsAsGeneration() async throws {
        let test = try await server()
        func current() async throws -> KubeObject { try await test.client.get(pods, namespace: "default", name: "p") }
        _ = try await test.client.create(pods, object: pod("p"))
        try await bind(test, "p")
        var changed = try await current()
        #expect(changed.generation == 1)
        changed.json["metadata", "labels"] = ["a": "b"]
        changed = try await test.client.update(pods, object: changed)
        #expect(changed.generation == 1)
        changed.json["status", "phase"] = "Running"
        changed = try await test.client.updateStatus(pods, object: changed)
        #expect(changed.generation == 1)
        changed.json["spec", "activeDeadlineSeconds"] = 1000
        changed = try await test.client.update(pods, object: changed)
        #expect(changed.generation == 2)
        try await test.client.delete(
            pods, namespace: "default", name: "p", options: .init(gracePeriodSeconds: 30))
        changed = try await current()
        #expect(changed.generation == 3)
    }

    @Test func ephemeralContainersAndResizeCountAsGeneration() async throws {
        let test = try await server()
        _ = try await test.client.create(pods, object: pod("p"))
        try await bind(test, "p")
        var changed = try await test.client.get(pods, namespace: "default", name: "p")
        changed.json["spec", "ephemeralContainers"] = [["name": "e", "image": "i"]]
        changed = try await test.client.update(
            pods, subresource: "ephemeralcontainers", object: changed, options: .init())
        #expect(changed.generation == 2)
        changed.json["spec", "containers"] = [
            ["name": "c", "image": "i", "resources": ["requests": ["cpu": "100m"]]]
        ]
        changed = try await test.client.update(pods, subresource: "resize", object: changed, options: .init())
        #expect(changed.generation == 3)
    }
}
