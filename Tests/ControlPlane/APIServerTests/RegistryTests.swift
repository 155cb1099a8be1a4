// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Storage
import Testing

@testable import APIServer

@Suite struct RegistryTests {
    let configMaps = GroupVersionResource("", "v1", "configmaps")

    @Test func createdObjectGetsIdentityAndRevision() async throws {
        let test = try await TestRegistry()
        let created = try await test.client.create(configMaps, object: configMap("a", ["k": "v"]))
        #expect(created.uid.count == 36)
        #expect(created.creationTimestamp == "2026-09-21T14:13:20Z")
        let read = try await test.client.get(configMaps, namespace: "default", name: "a")
        #expect(read.resourceVersion == created.resourceVersion)
        #expect(!read.resourceVersion.isEmpty)
        #expect(read.json["data"]?["k"]?.string == "v")
    }

    @Test func storedBytesBeginWithTheTypeAndCarryTheRevision() async throws {
        let test = try await TestRegistry()
        let created = try await test.client.create(configMaps, object: configMap("a"))
        let served = try test.registry.served(configMaps)
        let value = try await test.registry.value(served, namespace: "default", name: "a")
        let text = String(decoding: value.bytes, as: UTF8.self)
        #expect(text.hasPrefix(#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"default""#))
        #expect(text.contains(#""resourceVersion":"\#(created.resourceVersion)""#))
    }

    @Test func secondCreationIsRefused() async throws {
        let test = try await TestRegistry()
        _ = try await test.client.create(configMaps, object: configMap("a"))
        let error = await status { _ = try await test.client.create(configMaps, object: configMap("a")) }
        #expect(error?.reason == "AlreadyExists")
        #expect(error?.message == #"configmaps "a" already exists"#)
    }

    @Test func creationNeedsItsNamespace() async throws {
        let test = try await TestRegistry()
        let error = await status {
            _ = try await test.client.create(configMaps, object: configMap("a", namespace: "nowhere"))
        }
        #expect(error?.message == #"namespaces "nowhere" not found"#)
        #expect(error?.code == 404)
    }

    @Test func generatedNamesAreFilledIn() async throws {
        let test = try await TestRegistry()
        var object = configMap("")
        object.json["metadata", "generateName"] = "base-"
        object.json["metadata", "name"] = nil
        let created = try await test.client.create(configMaps, object: object)
        #expect(created.name.hasPrefix("base-"))
        #expect(created.name.count == 10)
    }

    @Test func staleUpdateConflicts() async throws {
        let test = try await TestRegistry()
        let first = try await test.client.create(configMaps, object: configMap("a", ["k": "1"]))
        var second = first
        second.json["data", "k"] = "2"
        let updated = try await test.client.update(configMaps, object: second)
        #expect(updated.resourceVersion != first.resourceVersion)
        let error = await status { _ = try await test.client.update(configMaps, object: first) }
        #expect(error?.isConflict == true)
    }

    @Test func updateWithoutChangeKeepsTheRevision() async throws {
        let test = try await TestRegistry()
        let first = try await test.client.create(configMaps, object: configMap("a", ["k": "1"]))
        let second = try await test.client.update(configMaps, object: first)
        #expect(second.resourceVersion == first.resourceVersion)
    }

    @Test func concurrentPatchesAllArrive() async throws {
        let test = try await TestRegistry()
        _ = try await test.client.create(configMaps, object: configMap("a"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<20 {
                group.addTask {
                    _ = try await test.client.patch(
                        configMaps, namespace: "default", name: "a", subresource: nil, type: .merge,
                        patch: ["data": ["k\(index)": "v"]], options: .init())
                }
            }
            try await group.waitForAll()
        }
        let object = try await test.client.get(configMaps, namespace: "default", name: "a")
        #expect(object.json["data"]?.members.count == 20)
    }

    @Test func finalizerHoldsADeletedObjectUntilItIsRemoved() async throws {
        let test = try await TestRegistry()
        var object = configMap("a")
        object.json["metadata", "finalizers"] = ["example.com/hold"]
        _ = try await test.client.create(configMaps, object: object)
        let deleted = try await test.client.delete(configMaps, namespace: "default", name: "a", options: .init())
        #expect(deleted.isBeingDeleted)
        var waiting = try await test.client.get(configMaps, namespace: "default", name: "a")
        #expect(waiting.deletionTimestamp == "2026-09-21T14:13:20Z")
        waiting.json["metadata", "finalizers"] = nil
        _ = try await test.client.update(configMaps, object: waiting)
        let error = await status { _ = try await test.client.get(configMaps, namespace: "default", name: "a") }
        #expect(error?.isNotFound == true)
    }

    @Test func orphanPolicyAddsItsFinalizer() async throws {
        let test = try await TestRegistry()
        _ = try await test.client.create(configMaps, object: configMap("a"))
        let deleted = try await test.client.delete(
            configMaps, namespace: "default", name: "a", options: .init(propagationPolicy: .orphan))
        #expect(deleted.finalizers == ["orphan"])
    }

    @Test func pagesAreConsistent() async throws {
        let test = try await TestRegistry()
        for index in 0..<5 { _ = try await test.client.create(configMaps, object: configMap("c\(index)")) }
        var options = ListOptions()
        options.limit = 2
        let first = try await test.client.list(configMaps, namespace: "default", options: options)
        #expect(first.items.map(\.name) == ["c0", "c1"])
        _ = try await test.client.delete(configMaps, namespace: "default", name: "c3", options: .init())
        options.continueToken = first.continueToken
        let second = try await test.client.list(configMaps, namespace: "default", options: options)
        #expect(second.items.map(\.name) == ["c2", "c3"])
        #expect(second.resourceVersion == first.resourceVersion)
        options.continueToken = second.continueToken
        let third = try await test.client.list(configMaps, namespace: "default", options: options)
        #expect(third.items.map(\.name) == ["c4"])
        #expect(third.continueToken.isEmpty)
    }

    @Test func compactedPageTellsHowToGoOn() async throws {
        let test = try await TestRegistry()
        for index in 0..<4 { _ = try await test.client.create(configMaps, object: configMap("c\(index)")) }
        var options = ListOptions()
        options.limit = 2
        options.continueToken = try await test.client.list(
            configMaps, namespace: "default", options: options
        ).continueToken
        _ = try await test.client.create(configMaps, object: configMap("d"))
        test.storage.compact()
        let error = await status {
            _ = try await test.client.list(configMaps, namespace: "default", options: options)
        }
        #expect(error?.isExpired == true)
        options.continueToken = error?.continueToken ?? ""
        let rest = try await test.client.list(configMaps, namespace: "default", options: options)
        #expect(rest.items.map(\.name) == ["c2", "c3"])
    }
}
