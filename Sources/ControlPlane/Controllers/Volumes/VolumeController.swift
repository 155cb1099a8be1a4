// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging

/// Binds PersistentVolumeClaims to PersistentVolumes that exist (static provisioning), and releases volumes whose claims
/// are gone.
package final class VolumeController: ControlLoop {
    package let name = "persistentvolume-binder-controller"
    static let bindCompleted = "pv.kubernetes.io/bind-completed"
    static let boundByController = "pv.kubernetes.io/bound-by-controller"

    /// One queue serves both kinds, with one worker: binding compares all volumes with all claims.
    enum Item: Hashable, Sendable, CustomStringConvertible {
        case claim(ObjectKey)
        case volume(String)

        var description: String {
            switch self {
            case .claim(let key): "persistentvolumeclaims/\(key)"
            case .volume(let name): "persistentvolumes/\(name)"
            }
        }
    }

    private let context: ControllerContext
    private let events: EventRecorder
    private let queue = WorkQueue<Item>()
    private let claims: Informer
    private let volumes: Informer
    private let classes: Informer
    private let pods: Informer

    package init(context: ControllerContext) {
        self.context = context
        events = context.recorder(name)
        claims = context.informers.informer(.persistentVolumeClaims)
        volumes = context.informers.informer(.persistentVolumes)
        classes = context.informers.informer(.init("storage.k8s.io", "v1", "storageclasses"))
        pods = context.informers.informer(.pods)
        claims.addHandler { [queue] event in
            queue.add(.claim(event.object.key))
            if let volume = event.object.spec["volumeName"]?.string { queue.add(.volume(volume)) }
        }
        volumes.addHandler { [queue, claims] event in
            queue.add(.volume(event.object.name))
            if let claim = event.object.spec["claimRef"], let name = claim["name"]?.string {
                queue.add(.claim(.init(namespace: claim["namespace"]?.string ?? "", name: name)))
            }
            // A new volume may be what a claim waits for.
            for claim in claims.list() where claim.status["phase"]?.string != "Bound" { queue.add(.claim(claim.key)) }
        }
        pods.addHandler { [queue] event in
            for claim in Self.claims(of: event.object) { queue.add(.claim(claim)) }
        }
    }

    private static func claims(of pod: KubeObject) -> [ObjectKey] {
        (pod.spec["volumes"]?.elements ?? []).compactMap { volume in
            volume["persistentVolumeClaim"]?["claimName"]?.string.map { .init(namespace: pod.namespace, name: $0) }
        }
    }

    package func run() async throws {
        let controller = Controller<Item>(name, workers: 1, queue: queue, logger: context.logger) { item in
            switch item {
            case .claim(let key): try await self.reconcileClaim(key)
            case .volume(let name): try await self.reconcileVolume(name)
            }
            return nil
        }
        for informer in [claims, volumes, classes, pods] { await informer.waitForSync() }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.events.run() }
            group.addTask { try await controller.run() }
        }
    }

    // MARK: Claims

    func reconcileClaim(_ key: ObjectKey) async throws {
        guard var claim = claims.get(key) else { return }
        claim = try await protect(claim, .persistentVolumeClaims, by: "kubernetes.io/pvc-protection") {
            self.isUsed(claim)
        }
        if claim.isBeingDeleted { return }
        let volumeName = claim.spec["volumeName"]?.string ?? ""
        if claim.annotations[Self.bindCompleted] != nil {
            return try await checkBound(claim, volumeName)
        }
        if volumeName.isEmpty {
            try await bindToBest(claim)
        } else if let volume = volumes.get(name: volumeName) {
            if volume.spec["claimRef"] == nil || VolumeMatch.isReserved(volume, for: claim) {
                try await bind(volume, to: claim)
            } else {
                try await setPhase("Pending", of: claim)
            }
        } else {
            try await setPhase("Pending", of: claim)
        }
    }

    private func isUsed(_ claim: KubeObject) -> Bool {
        pods.list(namespace: claim.namespace).contains { pod in
            !PodView(pod).isTerminal && Self.claims(of: pod).contains(claim.key)
        }
    }

    private func bindToBest(_ claim: KubeObject) async throws {
        if let volume = VolumeMatch.best(for: claim, among: volumes.list()) {
            return try await bind(volume, to: claim)
        }
        let className = VolumeMatch.className(of: claim)
        if className.isEmpty {
            events.record(
                claim, .normal, reason: "FailedBinding",
                message: "no persistent volumes available for this claim and no storage class is set")
        } else if classes.get(name: className) == nil {
            events.record(
                claim, .warning, reason: "ProvisioningFailed",
                message: "storageclass.storage.k8s.io \"\(className)\" not found")
        } else {
            events.record(
                claim, .normal, reason: "ExternalProvisioning",
                message: "Waiting for a volume of class \"\(className)\" to be created by its external provisioner.")
        }
        try await setPhase("Pending", of: claim)
    }

    private func checkBound(_ claim: KubeObject, _ volumeName: String) async throws {
        guard let volume = volumes.get(name: volumeName) else {
            events.record(
                claim, .warning, reason: "ClaimLost",
                message: "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
            return try await setPhase("Lost", of: claim)
        }
        guard VolumeMatch.isReserved(volume, for: claim) || volume.spec["claimRef"] == nil else {
            events.record(
                claim, .warning, reason: "ClaimMisbound",
                message: "Two claims are bound to the same volume, this one is bound incorrectly")
            return try await setPhase("Lost", of: claim)
        }
        try await bind(volume, to: claim)
    }

    /// Binds both sides; each step alone may be what a power cut left, and is made again where it is missing.
    private func bind(_ volume: KubeObject, to claim: KubeObject) async throws {
        var volume = volume
        if volume.spec["claimRef"]?["uid"]?.string != claim.uid {
            if volume.spec["claimRef"] == nil {
                volume.json["metadata", "annotations", Self.boundByController] = "yes"
            }
            volume.json["spec", "claimRef"] = [
                "kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": .string(claim.namespace),
                "name": .string(claim.name), "uid": .string(claim.uid),
                "resourceVersion": .string(claim.resourceVersion),
            ]
            volume = try await context.client.update(.persistentVolumes, object: volume)
        }
        try await setPhase("Bound", of: volume)
        var claim = claim
        if claim.spec["volumeName"]?.string != volume.name || claim.annotations[Self.bindCompleted] == nil {
            if claim.spec["volumeName"]?.string ?? "" == "" {
                claim.json["metadata", "annotations", Self.boundByController] = "yes"
            }
            claim.json["metadata", "annotations", Self.bindCompleted] = "yes"
            claim.json["spec", "volumeName"] = .string(volume.name)
            claim = try await context.client.update(.persistentVolumeClaims, object: claim)
        }
        var status = claim.status
        status["phase"] = "Bound"
        status["accessModes"] = volume.spec["accessModes"]
        status["capacity"] = volume.spec["capacity"]
        if status == claim.status { return }
        claim.status = status
        _ = try await context.client.updateStatus(.persistentVolumeClaims, object: claim)
    }

    // MARK: Volumes

    func reconcileVolume(_ name: String) async throws {
        guard var volume = volumes.get(name: name) else { return }
        volume = try await protect(volume, .persistentVolumes, by: "kubernetes.io/pv-protection") {
            volume.status["phase"]?.string == "Bound"
        }
        if volume.isBeingDeleted { return }
        guard let reference = volume.spec["claimRef"], let uid = reference["uid"]?.string, !uid.isEmpty else {
            return try await setPhase("Available", of: volume)
        }
        let key = ObjectKey(namespace: reference["namespace"]?.string ?? "", name: reference["name"]?.string ?? "")
        if try await claimExists(key, uid: uid) {
            queue.add(.claim(key))
            return
        }
        try await release(volume)
    }

    /// Asked of the API as well: a volume must not be released because the local copy is old.
    private func claimExists(_ key: ObjectKey, uid: String) async throws -> Bool {
        if claims.get(key)?.uid == uid { return true }
        do {
            return try await context.client.get(
                .persistentVolumeClaims, namespace: key.namespace, name: key.name
            ).uid == uid
        } catch let error as StatusError where error.isNotFound {
            return false
        }
    }

    private func release(_ volume: KubeObject) async throws {
        let policy = volume.spec["persistentVolumeReclaimPolicy"]?.string ?? "Retain"
        if policy == "Retain" || volume.status["phase"]?.string == "Failed" {
            if volume.status["phase"]?.string != "Failed" { try await setPhase("Released", of: volume) }
            return
        }
        if volume.annotations["pv.kubernetes.io/provisioned-by"] != nil {
            // Its provisioner deletes it.
            return try await setPhase("Released", of: volume)
        }
        let message = "no \(policy == "Delete" ? "deletable" : "recyclable") volume plugin matched"
        events.record(
            volume, .warning, reason: policy == "Delete" ? "VolumeFailedDelete" : "VolumeFailedRecycle",
            message: message)
        try await setPhase("Failed", of: volume, message: message)
    }

    // MARK: Both

    private func setPhase(_ phase: String, of object: KubeObject, message: String = "") async throws {
        if object.status["phase"]?.string == phase { return }
        var updated = object
        updated.json["status", "phase"] = .string(phase)
        updated.json["status", "message"] = message.isEmpty ? nil : .string(message)
        if object.kind == "PersistentVolume" {
            updated.json["status", "lastPhaseTransitionTime"] = .string(context.now().text)
        }
        let resource: GroupVersionResource =
            object.kind == "PersistentVolume" ? .persistentVolumes : .persistentVolumeClaims
        _ = try await context.client.updateStatus(resource, object: updated)
    }

    /// Keeps an object that is in use from vanishing: a finalizer that goes only when `isUsed` says no.
    private func protect(
        _ object: KubeObject, _ resource: GroupVersionResource, by finalizer: String, isUsed: () -> Bool
    ) async throws -> KubeObject {
        let has = object.finalizers.contains(finalizer)
        let wanted: [String]
        if object.isBeingDeleted {
            if !has || isUsed() { return object }
            wanted = object.finalizers.filter { $0 != finalizer }
        } else {
            if has { return object }
            wanted = object.finalizers + [finalizer]
        }
        var updated = object
        updated.json["metadata", "finalizers"] = JSON(wanted)
        do {
            return try await context.client.update(resource, object: updated)
        } catch let error as StatusError where error.isNotFound {
            return updated
        }
    }
}
