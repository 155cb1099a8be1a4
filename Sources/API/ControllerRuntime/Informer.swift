// SPDX-License-Identifier: Apache-2.0

import JSON
package import KubeAPI
package import KubeClient
package import Logging
import Synchronization

/// A change of an informer's copy.
package enum InformerEvent: Sendable {
    case added(KubeObject)
    case updated(old: KubeObject, new: KubeObject)
    case deleted(KubeObject)

    /// The newest state known.
    package var object: KubeObject {
        switch self {
        case .added(let object), .updated(_, let object), .deleted(let object): object
        }
    }
}

/// A live local copy of a collection, kept by list and watch.
///
/// There is one writer, ``run()``, and any number of readers. Handlers are called by the writer, one event at a time and
/// in the order of the revisions, so they must be quick: they enqueue keys. The copy is only as new as the watch;
/// reconcilers therefore act on what they read and let the server refuse what is out of date.
package final class Informer: Sendable {
    package typealias Handler = @Sendable (InformerEvent) -> Void
    /// The index values of an object, none to leave it out.
    package typealias Indexer = @Sendable (KubeObject) -> [String]

    package let resource: GroupVersionResource
    private let reflector: Reflector
    private let state = Mutex(State())

    fileprivate struct State {
        var objects: [ObjectKey: KubeObject] = [:]
        var indexers: [String: Indexer] = [:]
        var indices: [String: [String: Set<ObjectKey>]] = [:]
        var handlers: [Handler] = []
        var isSynced = false
        var revision: Int64 = 0
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    /// - Parameters:
    ///   - namespace: Only this namespace; nil for all.
    ///   - options: Label and field selectors.
    ///   - transform: Reduces an object to what the readers need before it is kept.
    package init(
        _ resource: GroupVersionResource, client: any ResourceClient, namespace: String? = nil,
        options: ListOptions = .init(), logger: Logger,
        transform: @escaping @Sendable (KubeObject) -> KubeObject = Informer.withoutManagedFields
    ) {
        self.resource = resource
        reflector = Reflector(
            resource, client: client, namespace: namespace, options: options, logger: logger, transform: transform)
    }

    /// The default transform: managed fields are large and only the server needs them.
    package static let withoutManagedFields: @Sendable (KubeObject) -> KubeObject = { object in
        var object = object
        object.json["metadata", "managedFields"] = nil
        return object
    }

    // MARK: Reading

    package func get(_ key: ObjectKey) -> KubeObject? { state.withLock { $0.objects[key] } }

    package func get(namespace: String = "", name: String) -> KubeObject? {
        get(ObjectKey(namespace: namespace, name: name))
    }

    /// All objects, of one namespace if given, in no particular order.
    package func list(namespace: String? = nil) -> [KubeObject] {
        let all = state.withLock { Array($0.objects.values) }
        guard let namespace else { return all }
        return all.filter { $0.namespace == namespace }
    }

    /// The objects with a value in an index that ``addIndex(_:_:)`` defined.
    package func list(index: String, value: String) -> [KubeObject] {
        state.withLock { state in
            (state.indices[index]?[value] ?? []).compactMap { state.objects[$0] }
        }
    }

    package var count: Int { state.withLock { $0.objects.count } }

    /// The revision up to which this copy is complete: a write that was answered with a higher one is yet to come.
    package var observedRevision: Int64 { state.withLock { $0.revision } }

    /// Whether the first list has arrived.
    package var isSynced: Bool { state.withLock { $0.isSynced } }

    /// Waits for the first list; returns early when the task is cancelled and ``run()`` with it.
    package func waitForSync() async {
        await withCheckedContinuation { continuation in
            let isSynced = state.withLock { state in
                if !state.isSynced { state.waiters.append(continuation) }
                return state.isSynced
            }
            if isSynced { continuation.resume() }
        }
    }

    // MARK: Set-up

    /// Defines an index; call before ``run()``.
    package func addIndex(_ name: String, _ indexer: @escaping Indexer) {
        state.withLock { state in
            state.indexers[name] = indexer
            state.indices[name] = [:]
            for (key, object) in state.objects {
                for value in indexer(object) { state.indices[name]?[value, default: []].insert(key) }
            }
        }
    }

    /// Calls `handler` for every change; call before ``run()``.
    package func addHandler(_ handler: @escaping Handler) {
        state.withLock { $0.handlers.append(handler) }
    }

    // MARK: Running

    /// Lists and watches until the task is cancelled. Failures are logged and retried with growing waits.
    package func run() async throws {
        defer { finishWaiting() }
        try await reflector.run { sight in
            switch sight {
            case .replaced(let objects, let revision):
                self.replace(with: objects, revision: revision)
                self.finishWaiting()
            case .changed(let event): self.apply(event)
            }
        }
    }

    private func finishWaiting() {
        let waiters = state.withLock { state in
            state.isSynced = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    // MARK: Changing the copy

    private func replace(with objects: [KubeObject], revision: String) {
        change { state in
            state.revision = Int64(revision) ?? 0
            var gone = Set(state.objects.keys)
            var events: [InformerEvent] = []
            for object in objects {
                gone.remove(object.key)
                events += state.put(object)
            }
            for key in gone { events += state.remove(key) }
            return events
        }
    }

    private func apply(_ event: WatchEvent) {
        let object = event.object
        let revision = Int64(object.resourceVersion) ?? 0
        change { state in
            state.revision = max(state.revision, revision)
            return switch event {
            case .added, .modified: state.put(object)
            case .deleted: state.remove(object.key, last: object)
            case .bookmark: []
            }
        }
    }

    /// Changes the copy and then, outside the lock, tells the handlers, who may read it.
    private func change(_ body: (inout State) -> [InformerEvent]) {
        var handlers: [Handler] = []
        let events = state.withLock { state in
            handlers = state.handlers
            return body(&state)
        }
        for event in events {
            for handler in handlers { handler(event) }
        }
    }
}

extension Informer.State {
    /// Stores an object and gives the events that follow, none if it is the very revision that is there.
    mutating func put(_ object: KubeObject) -> [InformerEvent] {
        let key = object.key
        let old = objects.updateValue(object, forKey: key)
        guard let old else {
            reindex(key, from: nil, to: object)
            return [.added(object)]
        }
        if old.resourceVersion == object.resourceVersion { return [] }
        reindex(key, from: old, to: object)
        // Deleted and created again between two looks: reconcilers must not take the new for the old.
        if old.uid != object.uid { return [.deleted(old), .added(object)] }
        return [.updated(old: old, new: object)]
    }

    mutating func remove(_ key: ObjectKey, last: KubeObject? = nil) -> [InformerEvent] {
        guard let old = objects.removeValue(forKey: key) else { return [] }
        reindex(key, from: old, to: nil)
        return [.deleted(last ?? old)]
    }

    private mutating func reindex(_ key: ObjectKey, from old: KubeObject?, to new: KubeObject?) {
        for (name, indexer) in indexers {
            let before = old.map(indexer) ?? []
            let after = new.map(indexer) ?? []
            if before == after { continue }
            for value in before {
                indices[name]?[value]?.remove(key)
                if indices[name]?[value]?.isEmpty == true { indices[name]?[value] = nil }
            }
            for value in after { indices[name]?[value, default: []].insert(key) }
        }
    }
}
