// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
package import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Deletes objects whose owners are gone, and carries out foreground and orphaning deletions.
///
/// It follows the metadata of every collection that can be deleted. Before it deletes it asks the API itself whether the
/// owners really are gone: the graph is only as new as its watches. Who depends on an object only the graph says, so nothing
/// is collected before it is filled.
package final class GarbageCollector: ControlLoop {
    package let name = "garbage-collector-controller"
    private let context: ControllerContext
    private let resources: [GroupVersionResource]
    private let locate: @Sendable (GroupVersionKind) -> (resource: GroupVersionResource, isNamespaced: Bool)?
    private let graph = Mutex(OwnerGraph())
    private let queue = WorkQueue<String>()
    private let firstLists: FirstLists
    private let patience: Duration

    /// - Parameters:
    ///   - resources: All collections whose objects can own or be owned.
    ///   - patience: How long collecting waits for their first lists; a collection that cannot be listed must not stop it
    ///     for ever (upstream: `initialSyncTimeout`).
    ///   - locate: The collection of a kind.
    package init(
        context: ControllerContext, resources: [GroupVersionResource], patience: Duration = .seconds(30),
        locate: @escaping @Sendable (GroupVersionKind) -> (resource: GroupVersionResource, isNamespaced: Bool)?
    ) {
        self.context = context
        self.resources = resources
        self.patience = patience
        self.locate = locate
        firstLists = FirstLists(resources)
    }

    package func run() async throws {
        let controller = Controller<String>(name, workers: 4, queue: queue, logger: context.logger) { uid in
            try await self.reconcile(uid)
            return nil
        }
        try await withThrowingDiscardingTaskGroup { group in
            for resource in resources { group.addTask { try await self.follow(resource) } }
            group.addTask {
                await self.waitForGraph()
                try await controller.run()
            }
        }
    }

    private func waitForGraph() async {
        await firstLists.wait(atMost: patience)
        if Task.isCancelled { return }
        for resource in firstLists.missing {
            context.logger.warning(
                "Garbage is collected without knowing the objects of a resource",
                metadata: ["resource": "\(resource.groupResource)"])
        }
    }

    private func follow(_ resource: GroupVersionResource) async throws {
        let reflector = Reflector(
            resource, client: context.client, logger: context.logger, transform: Self.metadataOnly)
        try await reflector.run { sight in
            let wanted: [String] = self.graph.withLock { graph in
                switch sight {
                case .replaced(let objects, _): graph.replace(resource, with: objects)
                case .changed(.added(let object)), .changed(.modified(let object)): graph.put(object, at: resource)
                case .changed(.deleted(let object)): graph.remove(object.uid, at: resource)
                case .changed(.bookmark): []
                }
            }
            for uid in wanted { self.queue.add(uid) }
            if case .replaced = sight { self.firstLists.note(resource) }
        }
    }

    private static let metadataOnly: @Sendable (KubeObject) -> KubeObject = { object in
        var metadata = object.metadata
        metadata["managedFields"] = nil
        metadata["annotations"] = nil
        metadata["labels"] = nil
        return KubeObject(["metadata": metadata])
    }

    // MARK: Reconciling one object

    func reconcile(_ uid: String) async throws {
        guard let node = graph.withLock({ $0.node(uid) }) else { return }
        if node.orphansDependants { return try await orphanDependants(of: node) }
        if node.awaitsDependants { return try await finishForeground(node) }
        if node.isBeingDeleted { return }
        try await collect(node)
    }

    private enum OwnerState {
        case solid
        case absent
        case awaitingDependants
    }

    /// Deletes an object that no living owner keeps; drops references to owners that are gone from one that is kept.
    private func collect(_ node: OwnerGraph.Node) async throws {
        guard let live = try await get(node.location), live.uid == node.uid else {
            _ = graph.withLock { $0.remove(node.uid, at: node.location.resource) }
            return
        }
        var states: [(owner: OwnerReference, state: OwnerState)] = []
        for owner in live.ownerReferences {
            states.append((owner, try await state(of: owner, dependant: live)))
        }
        if states.isEmpty { return }
        let removable = states.filter { $0.state != .solid }.map(\.owner.uid)
        if removable.count < states.count {
            if !removable.isEmpty { try await dropOwners(removable, from: live, at: node.location) }
            return
        }
        let isForeground = states.contains { $0.state == .awaitingDependants }
        let hasDependants = graph.withLock { !$0.dependants(of: node.uid).isEmpty }
        if isForeground, hasDependants { try await unblockCycle(node, live) }
        try await delete(live, at: node.location, policy: isForeground && hasDependants ? .foreground : nil)
    }

    /// Two objects that wait for each other would wait for ever: this one stops blocking its owners.
    private func unblockCycle(_ node: OwnerGraph.Node, _ live: KubeObject) async throws {
        let isCircular = graph.withLock { graph in
            graph.dependants(of: node.uid).contains { $0.awaitsDependants }
        }
        guard isCircular else { return }
        let references = (live.metadata["ownerReferences"]?.elements ?? []).map { reference in
            var reference = reference
            reference["blockOwnerDeletion"] = false
            return reference
        }
        try await patchMetadata(["ownerReferences": .array(references)], of: live, at: node.location)
    }

    private func state(of owner: OwnerReference, dependant: KubeObject) async throws -> OwnerState {
        guard let groupVersion = GroupVersion(apiVersion: owner.apiVersion),
            let place = locate(groupVersion.kind(owner.kind))
        else {
            // A kind that is not served: its objects may come back with it, so nothing is deleted.
            return .solid
        }
        if place.isNamespaced, dependant.namespace.isEmpty { return .solid }
        let key = ObjectKey(namespace: place.isNamespaced ? dependant.namespace : "", name: owner.name)
        guard let object = try await get(.init(resource: place.resource, key: key)), object.uid == owner.uid else {
            return .absent
        }
        let awaits = object.isBeingDeleted && object.finalizers.contains(GarbageCollection.foregroundFinalizer)
        return awaits ? .awaitingDependants : .solid
    }

    private func delete(
        _ object: KubeObject, at location: OwnerGraph.Location, policy: PropagationPolicy?
    ) async throws {
        var options = DeleteOptions(propagationPolicy: policy ?? Self.policy(of: object))
        options.preconditionUID = object.uid
        options.preconditionResourceVersion = object.resourceVersion
        try await ignoringNotFound {
            try await self.context.client.delete(
                location.resource, namespace: Self.namespace(location), name: location.key.name, options: options)
        }
    }

    /// A deletion that was asked for earlier keeps its own propagation.
    private static func policy(of object: KubeObject) -> PropagationPolicy {
        if object.finalizers.contains(GarbageCollection.orphanFinalizer) { return .orphan }
        if object.finalizers.contains(GarbageCollection.foregroundFinalizer) { return .foreground }
        return .background
    }

    // MARK: Foreground and orphaning deletions

    private func finishForeground(_ node: OwnerGraph.Node) async throws {
        let dependants = graph.withLock { $0.dependants(of: node.uid) }
        let blocking = dependants.filter { dependant in
            dependant.owners.contains { $0.uid == node.uid && $0.blocksOwnerDeletion }
        }
        if blocking.isEmpty {
            return try await removeFinalizer(GarbageCollection.foregroundFinalizer, from: node)
        }
        for dependant in dependants where !dependant.isBeingDeleted { queue.add(dependant.uid) }
    }

    private func orphanDependants(of node: OwnerGraph.Node) async throws {
        for dependant in graph.withLock({ $0.dependants(of: node.uid) }) {
            guard let live = try await get(dependant.location), live.uid == dependant.uid else { continue }
            try await dropOwners([node.uid], from: live, at: dependant.location)
        }
        try await removeFinalizer(GarbageCollection.orphanFinalizer, from: node)
    }

    private func removeFinalizer(_ finalizer: String, from node: OwnerGraph.Node) async throws {
        guard let live = try await get(node.location), live.uid == node.uid, live.finalizers.contains(finalizer) else {
            return
        }
        let finalizers = live.finalizers.filter { $0 != finalizer }
        try await patchMetadata(["finalizers": JSON(finalizers)], of: live, at: node.location)
    }

    private func dropOwners(
        _ uids: [String], from object: KubeObject, at location: OwnerGraph.Location
    ) async throws {
        let references = object.metadata["ownerReferences"]?.elements ?? []
        let kept = references.filter { !uids.contains($0["uid"]?.string ?? "") }
        try await patchMetadata(["ownerReferences": .array(kept)], of: object, at: location)
    }

    // MARK: Talking to the API

    /// Patches metadata; the uid and revision guard against changing anything but what was looked at.
    private func patchMetadata(
        _ metadata: JSON, of object: KubeObject, at location: OwnerGraph.Location
    ) async throws {
        var metadata = metadata
        metadata["uid"] = .string(object.uid)
        metadata["resourceVersion"] = .string(object.resourceVersion)
        let patch: JSON = ["metadata": metadata]
        try await ignoringNotFound {
            _ = try await self.context.client.patch(
                location.resource, namespace: Self.namespace(location), name: location.key.name, subresource: nil,
                type: .merge, patch: patch, options: .init())
        }
    }

    private func get(_ location: OwnerGraph.Location) async throws -> KubeObject? {
        do {
            return try await context.client.get(
                location.resource, namespace: Self.namespace(location), name: location.key.name)
        } catch let error as StatusError where error.isNotFound {
            return nil
        }
    }

    private func ignoringNotFound(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as StatusError where error.isNotFound {
            return
        }
    }

    private static func namespace(_ location: OwnerGraph.Location) -> String? {
        location.key.namespace.isEmpty ? nil : location.key.namespace
    }
}
