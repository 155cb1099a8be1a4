// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Storage
import Synchronization

/// Which objects the pods of which node use, as the store has them now.
///
/// A hit is checked against the one pod that it comes from; a miss takes over the pods that have changed since the last
/// one. So a decision is never older than the store, and no request reads pods that have not changed.
final class NodePods: Sendable {
    /// An object that a pod may use.
    struct Reference: Hashable, Sendable {
        var group: String
        var resource: String
        var namespace: String
        var name: String
    }

    private struct Pod {
        var revision: Revision
        var node: String
        var references: Set<Reference>
    }

    private struct State {
        /// Pods by their keys in the store.
        var pods: [String: Pod] = [:]
        /// The keys of the pods that use an object.
        var users: [Reference: Set<String>] = [:]
        /// The store's revision up to which all pods are known.
        var revision: Revision = -1
    }

    private let storage: any Storage
    private let state = Mutex(State())
    private static let prefix = StorageKeys.prefix("", "pods")

    init(storage: any Storage) { self.storage = storage }

    /// Whether a pod that is bound to the node uses an object.
    func uses(_ reference: Reference, node: String) -> Bool {
        let snapshot = storage.snapshot()
        return state.withLock { state in
            if Self.finds(reference, node, &state, snapshot) { return true }
            guard state.revision != snapshot.revision else { return false }
            Self.refresh(&state, snapshot)
            return Self.finds(reference, node, &state, snapshot)
        }
    }

    /// An object as the store has it, nil when there is none or it cannot be read.
    func stored(_ group: String, _ resource: String, _ namespace: String, _ name: String) -> KubeObject? {
        let place = namespace.isEmpty ? name : "\(namespace)/\(name)"
        guard let value = storage.snapshot().get(StorageKeys.prefix(group, resource) + place) else { return nil }
        // What cannot be read relates to no node.
        return try? StoredObjectDecoder.decode(value)
    }

    private static func finds(
        _ reference: Reference, _ node: String, _ state: inout State, _ snapshot: any StorageSnapshot
    ) -> Bool {
        for key in state.users[reference] ?? [] where state.pods[key]?.node == node {
            let value = snapshot.get(key)
            if let value, value.revision == state.pods[key]?.revision { return true }
            take(key, value, &state)
            if let pod = state.pods[key], pod.node == node, pod.references.contains(reference) { return true }
        }
        return false
    }

    private static func refresh(_ state: inout State, _ snapshot: any StorageSnapshot) {
        var gone = Set(state.pods.keys)
        snapshot.forEach(prefix: prefix, after: nil) { value in
            gone.remove(value.key)
            if state.pods[value.key]?.revision != value.revision { take(value.key, value, &state) }
            return true
        }
        for key in gone { take(key, nil, &state) }
        state.revision = snapshot.revision
    }

    /// Takes over one pod's present state; nil when it is gone.
    private static func take(_ key: String, _ value: StoredValue?, _ state: inout State) {
        for reference in state.pods[key]?.references ?? [] {
            state.users[reference]?.remove(key)
            if state.users[reference]?.isEmpty ?? false { state.users[reference] = nil }
        }
        // A damaged pod uses nothing.
        guard let value, let object = try? StoredObjectDecoder.decode(value) else {
            state.pods[key] = nil
            return
        }
        let node = object.spec["nodeName"]?.string ?? ""
        let references = node.isEmpty ? [] : self.references(of: object)
        state.pods[key] = Pod(revision: value.revision, node: node, references: references)
        for reference in references { state.users[reference, default: []].insert(key) }
    }

    /// The objects that a pod uses. A mirror pod uses none: the node itself made it.
    static func references(of pod: KubeObject) -> Set<Reference> {
        guard pod.annotations["kubernetes.io/config.mirror"] == nil else { return [] }
        var found: Set<Reference> = []
        func add(_ resource: String, _ name: JSON?, group: String = "") {
            guard let name = name?.string, !name.isEmpty else { return }
            found.insert(.init(group: group, resource: resource, namespace: pod.namespace, name: name))
        }
        let spec = pod.spec
        add("serviceaccounts", spec["serviceAccountName"])
        for secret in spec["imagePullSecrets"]?.elements ?? [] { add("secrets", secret["name"]) }
        for list in ["initContainers", "containers", "ephemeralContainers"] {
            for container in spec[list]?.elements ?? [] {
                for source in container["envFrom"]?.elements ?? [] {
                    add("configmaps", source["configMapRef"]?["name"])
                    add("secrets", source["secretRef"]?["name"])
                }
                for variable in container["env"]?.elements ?? [] {
                    add("configmaps", variable["valueFrom"]?["configMapKeyRef"]?["name"])
                    add("secrets", variable["valueFrom"]?["secretKeyRef"]?["name"])
                }
            }
        }
        for volume in spec["volumes"]?.elements ?? [] { addSources(of: volume, of: pod, add) }
        for claim in spec["resourceClaims"]?.elements ?? [] {
            add("resourceclaims", claim["resourceClaimName"], group: "resource.k8s.io")
        }
        for claim in pod.status["resourceClaimStatuses"]?.elements ?? [] {
            add("resourceclaims", claim["resourceClaimName"], group: "resource.k8s.io")
        }
        return found
    }

    /// The volume types whose secret stands in `secretRef.name`.
    private static let secretVolumes = ["cephfs", "csi", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"]

    private static func addSources(
        of volume: JSON, of pod: KubeObject, _ add: (_ resource: String, _ name: JSON?, _ group: String) -> Void
    ) {
        add("configmaps", volume["configMap"]?["name"], "")
        add("secrets", volume["secret"]?["secretName"], "")
        add("persistentvolumeclaims", volume["persistentVolumeClaim"]?["claimName"], "")
        if volume["ephemeral"] != nil, let name = volume["name"]?.string {
            add("persistentvolumeclaims", .string("\(pod.name)-\(name)"), "")
        }
        for source in volume["projected"]?["sources"]?.elements ?? [] {
            add("configmaps", source["configMap"]?["name"], "")
            add("secrets", source["secret"]?["name"], "")
        }
        for type in secretVolumes {
            add("secrets", volume[type]?["secretRef"]?["name"], "")
            add("secrets", volume[type]?["nodePublishSecretRef"]?["name"], "")
        }
    }
}
