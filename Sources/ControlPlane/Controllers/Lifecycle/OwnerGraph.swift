// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Who owns whom, as far as garbage collection must know: a value that changes are fed to.
///
/// Of an object without owners only its uid is kept, so that a cluster of thousands of ConfigMaps costs next to nothing.
struct OwnerGraph: Sendable {
    /// Where an object is found.
    struct Location: Hashable, Sendable {
        var resource: GroupVersionResource
        var key: ObjectKey
    }

    /// An object that has owners, or waits in its own deletion for its dependants.
    struct Node: Hashable, Sendable {
        var location: Location
        var uid: String
        var owners: [OwnerReference]
        var finalizers: [String]
        var isBeingDeleted: Bool

        init(_ object: KubeObject, at resource: GroupVersionResource) {
            location = Location(resource: resource, key: object.key)
            uid = object.uid
            owners = object.ownerReferences
            finalizers = object.finalizers
            isBeingDeleted = object.isBeingDeleted
        }

        /// Whether it stays until its blocking dependants are gone.
        var awaitsDependants: Bool { isBeingDeleted && finalizers.contains(GarbageCollection.foregroundFinalizer) }
        /// Whether its dependants are to be set free before it goes.
        var orphansDependants: Bool { isBeingDeleted && finalizers.contains(GarbageCollection.orphanFinalizer) }
    }

    private var nodes: [String: Node] = [:]
    private var dependants: [String: Set<String>] = [:]
    private var live: [GroupVersionResource: Set<String>] = [:]

    func node(_ uid: String) -> Node? { nodes[uid] }

    func dependants(of uid: String) -> [Node] { (dependants[uid] ?? []).compactMap { nodes[$0] } }

    /// Whether an object with this uid has been seen and not gone.
    func isLive(_ uid: String) -> Bool { live.values.contains { $0.contains(uid) } }

    /// Notes an object's state; gives the uids that want a look.
    mutating func put(_ object: KubeObject, at resource: GroupVersionResource) -> [String] {
        let node = Node(object, at: resource)
        live[resource, default: []].insert(node.uid)
        let old = nodes[node.uid]
        for owner in old?.owners ?? [] { unlink(node.uid, from: owner.uid) }
        guard !node.owners.isEmpty || node.awaitsDependants || node.orphansDependants else {
            nodes[node.uid] = nil
            return []
        }
        nodes[node.uid] = node
        for owner in node.owners { dependants[owner.uid, default: []].insert(node.uid) }
        if old == node { return [] }
        var wanted = [node.uid]
        // A dependant that stops blocking may free its owner.
        for owner in Set((old?.owners ?? []).map(\.uid)) where nodes[owner]?.awaitsDependants == true {
            wanted.append(owner)
        }
        return wanted
    }

    /// Notes that an object is gone; gives the uids that want a look: its dependants, and owners that waited for it.
    mutating func remove(_ uid: String, at resource: GroupVersionResource) -> [String] {
        live[resource]?.remove(uid)
        var wanted = Array(dependants[uid] ?? [])
        if let node = nodes.removeValue(forKey: uid) {
            for owner in node.owners {
                unlink(uid, from: owner.uid)
                if nodes[owner.uid]?.awaitsDependants == true { wanted.append(owner.uid) }
            }
        }
        return wanted
    }

    /// Notes a whole collection; gives the uids that want a look.
    mutating func replace(_ resource: GroupVersionResource, with objects: [KubeObject]) -> [String] {
        var wanted: [String] = []
        let gone = (live[resource] ?? []).subtracting(objects.map(\.uid))
        for object in objects { wanted += put(object, at: resource) }
        for uid in gone { wanted += remove(uid, at: resource) }
        return wanted
    }

    private mutating func unlink(_ uid: String, from owner: String) {
        dependants[owner]?.remove(uid)
        if dependants[owner]?.isEmpty == true { dependants[owner] = nil }
    }
}

/// The finalizers by which the API server asks the collector for a deletion's propagation.
enum GarbageCollection {
    static let foregroundFinalizer = "foregroundDeletion"
    static let orphanFinalizer = "orphan"
}
