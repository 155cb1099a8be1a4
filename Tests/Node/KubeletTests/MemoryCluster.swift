// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Synchronization

/// An API kept in memory: as much of one as the kubelet needs, so that its tests see no control plane.
final class MemoryCluster: ResourceClient {
    struct Entry: Hashable {
        let resource: GroupVersionResource
        let key: ObjectKey
    }

    struct State {
        var objects: [Entry: KubeObject] = [:]
        var revision = 0
        /// How often an object was asked for.
        var requests = 0
        var watches: [Int: (resource: GroupVersionResource, namespace: String?, selector: String, source: Source)] = [:]
        var lastWatch = 0
    }

    /// Events of one watch, in a queue that grows only as far as a test goes.
    final class Source: WatchSource {
        private let stream: AsyncStream<WatchEvent>
        let continuation: AsyncStream<WatchEvent>.Continuation
        private let iterator: Mutex<AsyncStream<WatchEvent>.Iterator?>

        init() {
            (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(10_000))
            iterator = Mutex(nil)
        }

        func next() async throws -> WatchEvent? {
            for await event in stream { return event }
            return nil
        }
    }

    let state = Mutex(State())

    private static func matches(_ object: KubeObject, _ selector: String) -> Bool {
        selector.split(separator: ",").allSatisfy { term in
            let sides = term.split(separator: "=", maxSplits: 1).map(String.init)
            return object.json[path: sides[0].split(separator: ".").map(String.init)]?.string == sides.last
        }
    }

    private func put(_ resource: GroupVersionResource, _ object: KubeObject, isNew: Bool) -> KubeObject {
        state.withLock { state in
            state.revision += 1
            var object = object
            object.resourceVersion = "\(state.revision)"
            state.objects[Entry(resource: resource, key: object.key)] = object
            state.tell(resource, isNew ? .added(object) : .modified(object), Self.matches)
            return object
        }
    }

    func get(_ resource: GroupVersionResource, namespace: String?, name: String) async throws -> KubeObject {
        let key = ObjectKey(namespace: namespace ?? "", name: name)
        let found = state.withLock { state in
            state.requests += 1
            return state.objects[Entry(resource: resource, key: key)]
        }
        guard let object = found else {
            throw StatusError.notFound(resource, name)
        }
        return object
    }

    func list(_ resource: GroupVersionResource, namespace: String?, options: ListOptions) async throws -> KubeList {
        state.withLock { state in
            let items = state.objects.filter { entry, object in
                entry.resource == resource && (namespace == nil || object.namespace == namespace)
                    && Self.matches(object, options.fieldSelector)
            }
            return KubeList(items: Array(items.values), resourceVersion: "\(state.revision)")
        }
    }

    func watch(
        _ resource: GroupVersionResource, namespace: String?, options: WatchOptions
    ) async throws -> WatchStream {
        let source = Source()
        state.withLock { state in
            state.lastWatch += 1
            state.watches[state.lastWatch] = (resource, namespace, options.fieldSelector, source)
            // What came between the list and the watch.
            let since = Int(options.resourceVersion) ?? 0
            for (entry, object) in state.objects where entry.resource == resource {
                guard Int(object.resourceVersion) ?? 0 > since, namespace == nil || object.namespace == namespace,
                    Self.matches(object, options.fieldSelector)
                else { continue }
                source.continuation.yield(.added(object))
            }
        }
        return WatchStream(source)
    }

    func create(
        _ resource: GroupVersionResource, namespace: String?, name: String?, subresource: String?, object: KubeObject,
        options: WriteOptions
    ) async throws -> KubeObject {
        if subresource == "token" {
            var answer = object
            answer.json["status"] = ["token": "a.b.c", "expirationTimestamp": "2100-01-01T00:00:00Z"]
            return answer
        }
        let entry = Entry(resource: resource, key: object.key)
        if state.withLock({ $0.objects[entry] }) != nil { throw StatusError.alreadyExists(resource, object.name) }
        var object = object
        if object.uid.isEmpty { object.metadata["uid"] = .string("uid-\(object.name)") }
        return put(resource, object, isNew: true)
    }

    func update(
        _ resource: GroupVersionResource, subresource: String?, object: KubeObject, options: WriteOptions
    ) async throws -> KubeObject { put(resource, object, isNew: false) }

    func patch(
        _ resource: GroupVersionResource, namespace: String?, name: String, subresource: String?, type: PatchType,
        patch: JSON, options: WriteOptions
    ) async throws -> KubeObject {
        var object = try await get(resource, namespace: namespace, name: name)
        if let uid = patch["metadata"]?["uid"]?.string, uid != object.uid {
            throw StatusError.conflict(resource, name)
        }
        for (key, value) in patch["status"]?.members ?? [:] {
            let elements = value.elements.filter { $0["$patch"] == nil }
            if value.object == nil {
                object.json["status", key] = value.isNull ? .null : value.array == nil ? value : .array(elements)
            }
            for (name, part) in value.members {
                object.json["status", key, name] = part
                if part.isNull { object.json["status", key, name] = nil }
            }
        }
        for (key, value) in patch["metadata"]?["labels"]?.members ?? [:] {
            object.json["metadata", "labels", key] = value
        }
        for key in ["count", "lastTimestamp"] { if let value = patch[key] { object.json[key] = value } }
        return put(resource, object, isNew: false)
    }

    @discardableResult
    func delete(
        _ resource: GroupVersionResource, namespace: String?, name: String, options: DeleteOptions
    ) async throws -> KubeObject {
        var object = try await get(resource, namespace: namespace, name: name)
        if resource == .pods, options.gracePeriodSeconds != 0 {
            object.metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            object.metadata["deletionGracePeriodSeconds"] = JSON(options.gracePeriodSeconds ?? 30)
            return put(resource, object, isNew: false)
        }
        return state.withLock { state in
            state.revision += 1
            object.resourceVersion = "\(state.revision)"
            state.objects[Entry(resource: resource, key: object.key)] = nil
            state.tell(resource, .deleted(object), Self.matches)
            return object
        }
    }

    func deleteCollection(
        _ resource: GroupVersionResource, namespace: String?, selecting: ListOptions, options: DeleteOptions
    ) async throws {}

    /// The object once it is as `condition` wants it; nil stands for one that is gone.
    func wait(
        _ resource: GroupVersionResource, _ key: ObjectKey, seconds: Int = 20,
        until condition: (KubeObject?) -> Bool
    ) async throws -> KubeObject? {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < deadline {
            let object = state.withLock { $0.objects[Entry(resource: resource, key: key)] }
            if condition(object) { return object }
            try await Task.sleep(for: .milliseconds(2))
        }
        let last = state.withLock { $0.objects[Entry(resource: resource, key: key)] }
        let events = state.withLock {
            $0.objects.values.filter { $0.kind == "Event" }.map { $0.json["message"]?.string ?? "" }
        }
        throw StatusError.internalError("timed out; last: \(last?.status.text() ?? "gone"); events: \(events)")
    }
}

extension MemoryCluster.State {
    func tell(
        _ resource: GroupVersionResource, _ event: WatchEvent, _ matches: (KubeObject, String) -> Bool
    ) {
        for watch in watches.values where watch.resource == resource {
            guard watch.namespace == nil || watch.namespace == event.object.namespace,
                matches(event.object, watch.selector)
            else { continue }
            watch.source.continuation.yield(event)
        }
    }
}
