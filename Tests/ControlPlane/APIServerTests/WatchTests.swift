// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import KubeClient
import NIOCore
import Storage
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

    /// Somebody asks from before a backup was restored.
    @Test func aRevisionThatNobodyHasSeenIsExpired() async throws {
        let test = try await TestRegistry()
        let first = try await test.client.create(configMaps, object: configMap("a"))
        let revision = try #require(Int64(first.resourceVersion))
        let error = await status {
            _ = try await test.client.watch(
                configMaps, namespace: nil, options: .init(resourceVersion: String(revision + 1)))
        }
        #expect(error?.isExpired == true)
        _ = try await test.client.watch(
            configMaps, namespace: nil, options: .init(resourceVersion: first.resourceVersion))
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

    /// The end of a watch's time, or of the time between two bookmarks, must not tear the connection of a slow reader.
    @Test func aSlowReaderGetsTheRestWhenTheTimeIsUp() async throws {
        let test = try await TestRegistry()
        let served = try test.registry.served(configMaps)
        let watch = try await test.registry.watch(
            served, namespace: "default", options: .init(resourceVersion: String(test.storage.snapshot().revision)))
        let body = WatchBody(
            watch: watch, presentation: .init(negotiated: .json, served: served, includeObject: "", now: 0),
            registry: test.registry, allowsBookmarks: true, duration: .milliseconds(300))
        let reader = SlowReader()
        async let writing: Void = body.write(to: reader)
        await reader.waitForWrites(1)
        _ = try await test.client.create(configMaps, object: configMap("a"))
        await reader.waitForWrites(2)
        // Longer than the watch lasts; its last event is on its way all the time.
        try await Task.sleep(for: .milliseconds(600))
        await reader.goOn()
        try await writing
        #expect(await reader.text.contains("\"name\":\"a\""))
        #expect(await reader.text.contains("BOOKMARK"))
    }
}

/// A client that takes what is written to it only when it is told to.
private actor SlowReader: HTTPBodyWriter {
    private(set) var text = ""
    private var writes = 0
    private var isTaking = false
    private var held: [CheckedContinuation<Void, Never>] = []

    func write(_ bytes: ByteBuffer) async throws {
        text += String(buffer: bytes)
        writes += 1
        // The first one is the answer's head.
        if !isTaking, writes > 1 { await withCheckedContinuation { held.append($0) } }
        try Task.checkCancellation()
    }

    func rest() async {}

    func waitForWrites(_ count: Int) async {
        while writes < count { await Task.yield() }
    }

    func goOn() {
        isTaking = true
        for continuation in held { continuation.resume() }
        held = []
    }
}
