// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging
import Synchronization

/// An object that a pod refers to.
struct ObjectReference: Hashable, Sendable {
    let resource: GroupVersionResource
    let key: ObjectKey

    /// What its copy on disk is kept under.
    var keptName: String { "\(resource.resource)/\(key)" }

    /// Nil for an object of the cluster.
    var namespace: String? { key.namespace.isEmpty ? nil : key.namespace }
}

/// Live copies of the ConfigMaps, Secrets and RuntimeClasses that this node's pods refer to: one watch each, while a pod needs it
/// (upstream: watchBasedManager). The node asks for nothing else, and may be allowed nothing else.
final class ObjectCache: Sendable {
    private struct Entry {
        let informer: Informer
        let cancellation: Cancellation
        var users: Set<String>
    }

    private let client: any ResourceClient
    /// Copies for when the API does not answer; nil where it runs in this process.
    private let kept: KeptObjects?
    private let nursery: Nursery
    private let logger: Logger
    /// Told which pods use an object that has changed.
    private let onChange: @Sendable (Set<String>) -> Void
    private let entries = Mutex<[ObjectReference: Entry]>([:])

    init(
        client: any ResourceClient, kept: KeptObjects?, nursery: Nursery, logger: Logger,
        onChange: @escaping @Sendable (Set<String>) -> Void
    ) {
        self.client = client
        self.kept = kept
        self.nursery = nursery
        self.logger = logger
        self.onChange = onChange
    }

    /// Makes these the objects that a pod uses; others that only it used are let go of.
    func setReferences(_ references: Set<ObjectReference>, of uid: String) {
        let released = entries.withLock { entries -> [(ObjectReference, Cancellation)] in
            for reference in references {
                if entries[reference] == nil { entries[reference] = makeEntry(reference) }
                entries[reference]?.users.insert(uid)
            }
            var released: [(ObjectReference, Cancellation)] = []
            for (reference, entry) in entries where !references.contains(reference) && entry.users.contains(uid) {
                entries[reference]?.users.remove(uid)
                if entry.users.count == 1 {
                    entries[reference] = nil
                    released.append((reference, entry.cancellation))
                }
            }
            return released
        }
        for (reference, cancellation) in released {
            cancellation.cancel()
            kept?.forget(reference.keptName)
        }
    }

    /// The object as the API has it now, or had it last where it does not answer; nil if there is none.
    func get(_ reference: ObjectReference) async throws -> KubeObject? {
        let informer = entries.withLock { $0[reference]?.informer }
        if let informer, informer.isSynced, let object = informer.get(reference.key) { return object }
        do {
            let object = try await client.get(
                reference.resource, namespace: reference.namespace, name: reference.key.name)
            kept?.keep(reference.keptName, object.json)
            return object
        } catch let error as StatusError where error.isNotFound {
            kept?.forget(reference.keptName)
            return nil
        } catch let error as ClientError {
            guard let copy = kept?.recall(reference.keptName) else { throw error }
            return KubeObject(copy)
        }
    }

    private func makeEntry(_ reference: ObjectReference) -> Entry {
        var options = ListOptions(fieldSelector: "metadata.name=\(reference.key.name)")
        options.resourceVersion = "0"
        let informer = Informer(
            reference.resource, client: client, namespace: reference.namespace, options: options, logger: logger)
        informer.addHandler { [weak self, kept] event in
            switch event {
            case .added(let object), .updated(_, let object): kept?.keep(reference.keptName, object.json)
            case .deleted: kept?.forget(reference.keptName)
            }
            // The first list only tells what the pod is going to read by itself.
            if case .added = event, !informer.isSynced { return }
            self?.changed(reference)
        }
        let cancellation = nursery.startCancellable {
            // It ends only by cancellation; what fails inside is logged and tried again there.
            try? await informer.run()
        }
        return Entry(informer: informer, cancellation: cancellation, users: [])
    }

    private func changed(_ reference: ObjectReference) {
        let users = entries.withLock { $0[reference]?.users ?? [] }
        if !users.isEmpty { onChange(users) }
    }
}
