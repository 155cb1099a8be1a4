// SPDX-License-Identifier: Apache-2.0

import APIServer
import APIServerFixture
import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Synchronization
import Testing

@testable import Controllers

/// The collector knows who depends on whom before it acts on it.
@Suite struct GarbageCollectorTests {
    private static let secrets = GroupVersionResource("", "v1", "secrets")

    /// An API of which one collection cannot be listed until it is opened.
    private final class HeldList: ResourceClient {
        private let base: InProcessClient
        private let held: GroupVersionResource
        private let state = Mutex((isOpen: false, hasWatched: false))

        init(_ base: InProcessClient, holding held: GroupVersionResource) {
            self.base = base
            self.held = held
        }

        func open() { state.withLock { $0.isOpen = true } }

        /// Whether another collection has been listed and is watched.
        var hasWatched: Bool { state.withLock { $0.hasWatched } }

        func get(_ resource: GroupVersionResource, namespace: String?, name: String) async throws -> KubeObject {
            try await base.get(resource, namespace: namespace, name: name)
        }

        func list(
            _ resource: GroupVersionResource, namespace: String?, options: ListOptions
        ) async throws -> KubeList {
            while resource == held, !state.withLock({ $0.isOpen }) { try await Task.sleep(for: .milliseconds(5)) }
            return try await base.list(resource, namespace: namespace, options: options)
        }

        func watch(
            _ resource: GroupVersionResource, namespace: String?, options: WatchOptions
        ) async throws -> WatchStream {
            state.withLock { $0.hasWatched = true }
            return try await base.watch(resource, namespace: namespace, options: options)
        }

        func create(
            _ resource: GroupVersionResource, namespace: String?, name: String?, subresource: String?,
            object: KubeObject, options: WriteOptions
        ) async throws -> KubeObject {
            try await base.create(
                resource, namespace: namespace, name: name, subresource: subresource, object: object,
                options: options)
        }

        func update(
            _ resource: GroupVersionResource, subresource: String?, object: KubeObject, options: WriteOptions
        ) async throws -> KubeObject {
            try await base.update(resource, subresource: subresource, object: object, options: options)
        }

        func patch(
            _ resource: GroupVersionResource, namespace: String?, name: String, subresource: String?, type: PatchType,
            patch: JSON, options: WriteOptions
        ) async throws -> KubeObject {
            try await base.patch(
                resource, namespace: namespace, name: name, subresource: subresource, type: type, patch: patch,
                options: options)
        }

        func delete(
            _ resource: GroupVersionResource, namespace: String?, name: String, options: DeleteOptions
        ) async throws -> KubeObject {
            try await base.delete(resource, namespace: namespace, name: name, options: options)
        }

        func deleteCollection(
            _ resource: GroupVersionResource, namespace: String?, selecting: ListOptions, options: DeleteOptions
        ) async throws {
            try await base.deleteCollection(resource, namespace: namespace, selecting: selecting, options: options)
        }
    }

    private static func collector(_ client: HeldList, of api: ServedAPI, patience: Duration) -> GarbageCollector {
        let shared = api.controllerContext()
        let context = ControllerContext(
            client: client, informers: shared.informers, logger: shared.logger, now: shared.now)
        return GarbageCollector(context: context, resources: [.configMaps, secrets], patience: patience) { kind in
            (resource: kind.kind == "Secret" ? secrets : .configMaps, isNamespaced: true)
        }
    }

    /// An owner that is to be deleted without its dependant, a Secret.
    private static func orphan(_ client: InProcessClient) async throws {
        let owner = try await client.create(
            .configMaps, object: KubeObject(.init("", "v1", "ConfigMap"), namespace: "default", name: "owner"))
        var child = KubeObject(.init("", "v1", "Secret"), namespace: "default", name: "child")
        child.json["metadata", "ownerReferences"] = [
            ["apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": .string(owner.uid)]
        ]
        _ = try await client.create(secrets, object: child)
        try await client.delete(
            .configMaps, namespace: "default", name: "owner", options: .init(propagationPolicy: .orphan))
    }

    private static func isGone(_ client: InProcessClient) async throws -> Bool {
        try await !client.list(.configMaps, namespace: "default", options: .init()).items.contains {
            $0.name == "owner"
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func nothingIsCollectedBeforeAllIsListed() async throws {
        try await ServedAPI.run { api in
            let client = HeldList(api.client, holding: Self.secrets)
            try await Self.orphan(api.client)
            let collector = Self.collector(client, of: api, patience: .seconds(3600))
            try await whileRunning([{ try await collector.run() }]) {
                while !client.hasWatched { try await Task.sleep(for: .milliseconds(5)) }
                client.open()
                while try await !Self.isGone(api.client) { try await Task.sleep(for: .milliseconds(5)) }
            }
            // It was set free before its owner went, so it is not garbage.
            let child = try await api.client.get(Self.secrets, namespace: "default", name: "child")
            #expect(child.ownerReferences.isEmpty)
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func aCollectionThatCannotBeListedIsNotWaitedForForEver() async throws {
        try await ServedAPI.run { api in
            let client = HeldList(api.client, holding: Self.secrets)
            try await Self.orphan(api.client)
            let collector = Self.collector(client, of: api, patience: .milliseconds(10))
            try await whileRunning([{ try await collector.run() }]) {
                while try await !Self.isGone(api.client) { try await Task.sleep(for: .milliseconds(5)) }
            }
        }
    }
}
