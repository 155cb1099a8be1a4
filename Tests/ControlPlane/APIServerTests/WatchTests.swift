// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Testing

@testable import APIServer

@Suite struct WatchTests {
    let configMaps = GroupVersionResource("", "v1", "configmaps")

    @Test func watchBeginsWithTheStateAndGoesOnWithChanges() async throws {
        let test = try await TestRegistry()
        let first = try await test.client.create(configMaps, object: configMap("a"))
        var events = try await test.client.watch(configMaps, namespace: "default", options: .init())
            .makeAsyncIterator()
        #expect(try await events.next() == .added(first))
        let second = try await test.client.create(configMaps, object: configMap("b"))
        #expect(try await events.next() == .added(second))
        try await test.client.delete(configMaps, namespace: "default", name: "a", options: .init())
        guard case .deleted(let gone) = try await events.next() else {
            Issue.record("no deletion")
            return
        }
        #expect(gone.name == "a")
        #expect(gone.resourceVersion > second.resourceVersion)
    }

    @Test func selectorTurnsChangesIntoAdditionsAndDeletions() async throws {
        let test = try await TestRegistry()
        var object = try await test.client.create(configMaps, object: configMap("a"))
        var events = try await test.client.watch(
            configMaps, namespace: nil,
            options: .init(labelSelector: "app=x", resourceVersion: object.resourceVersion)
        ).makeAsyncIterator()
        object.json["metadata", "labels"] = ["app": "x"]
        object = try await test.client.update(configMaps, object: object)
        #expect(try await events.next() == .added(object))
        object.json["metadata", "labels"] = ["app": "y"]
        object = try await test.client.update(configMaps, object: object)
        guard case .deleted(let gone) = try await events.next() else {
            Issue.record("no deletion")
            return
        }
        #expect(gone.labels["app"] == "x")
        #expect(gone.resourceVersion == object.resourceVersion)
    }

    @Test func streamingListEndsWithABookmark() async throws {
        let test = try await TestRegistry()
        let first = try await test.client.create(configMaps, object: configMap("a"))
        var options = WatchOptions()
        options.sendInitialEvents = true
        var events = try await test.client.watch(configMaps, namespace: nil, options: options).makeAsyncIterator()
        #expect(try await events.next() == .added(first))
        guard case .bookmark(let mark) = try await events.next() else {
            Issue.record("no bookmark")
            return
        }
        #expect(mark.annotations["k8s.io/initial-events-end"] == "true")
        #expect(mark.resourceVersion == first.resourceVersion)
    }

    @Test func compactedRevisionIsExpired() async throws {
        let test = try await TestRegistry()
        let first = try await test.client.create(configMaps, object: configMap("a"))
        _ = try await test.client.create(configMaps, object: configMap("b"))
        test.storage.compact()
        let error = await status {
            _ = try await test.client.watch(
                configMaps, namespace: nil, options: .init(resourceVersion: first.resourceVersion))
        }
        #expect(error?.isExpired == true)
    }
}
