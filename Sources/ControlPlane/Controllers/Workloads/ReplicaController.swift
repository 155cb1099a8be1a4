// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging

/// Keeps as many pods as a ReplicaSet or ReplicationController asks for.
///
/// Both kinds differ only in their selector's form, so one controller serves both, as upstream's does.
package final class ReplicaController: ControlLoop {
    /// What distinguishes the two kinds.
    package struct Kind: Sendable {
        let resource: GroupVersionResource
        let kind: String
        let name: String
        let selector: @Sendable (KubeObject) -> LabelSelector?

        package static let replicaSet = Kind(
            resource: .replicaSets, kind: "ReplicaSet", name: "replicaset-controller",
            selector: { owner in owner.spec["selector"].flatMap { LabelSelector(reading: $0) } })
        package static let replicationController = Kind(
            resource: .init("", "v1", "replicationcontrollers"), kind: "ReplicationController",
            name: "replication-controller",
            selector: { owner in owner.spec["selector"].flatMap { LabelSelector(matchLabels: $0.stringMap) } })
    }

    /// The most pods created or deleted in one go (upstream's BurstReplicas).
    static let burst = 500

    package var name: String { kind.name }
    private let kind: Kind
    private let context: ControllerContext
    private let queue = WorkQueue<ObjectKey>()
    private let owners: Informer
    private let pods: Informer
    private let events: EventRecorder
    private let creation: PodCreation
    private let claims: OwnershipClaims
    private let written = WrittenRevisions()

    package init(_ kind: Kind, context: ControllerContext) {
        self.kind = kind
        self.context = context
        owners = context.informers.informer(kind.resource)
        pods = context.informers.informer(.pods)
        pods.addIndex(OwnershipClaims.index, OwnershipClaims.indexValues)
        events = context.recorder(kind.name)
        creation = PodCreation(client: context.client, events: events)
        claims = OwnershipClaims(client: context.client, ownerResource: kind.resource, dependentResource: .pods)
        queue.addChanges(of: owners)
        queue.addOwners(ofChangesIn: pods, ownerKind: kind.kind)
        queue.addSelectors(ofOrphansIn: pods, owners: owners, selector: kind.selector)
    }

    package func run() async throws {
        let controller = Controller(name, workers: 4, queue: queue, logger: context.logger) { key in
            try await self.reconcile(key)
        }
        await owners.waitForSync()
        await pods.waitForSync()
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.events.run() }
            group.addTask { try await controller.run() }
        }
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard let owner = owners.get(key) else {
            written.forget(key)
            return nil
        }
        guard let selector = kind.selector(owner), !selector.isEverything else { return nil }
        // Our own pods are still on their way into the copy; their arrival queues this key again.
        guard written.areSeen(key, by: pods) else { return .seconds(30) }
        let claimed = try await claims.claim(for: owner, selector: selector, from: pods) {
            !PodView($0).isTerminal
        }
        let views = claimed.map(PodView.init)
        var failure: (any Error)?
        if !owner.isBeingDeleted {
            failure = await scale(owner, active: views.filter(\.isActive))
        }
        let recheck = try await updateStatus(of: owner, pods: views, failure: failure)
        if let failure { throw failure }
        return recheck
    }

    // MARK: Creating and deleting

    /// Brings the number of pods to the wanted one; gives the first error.
    private func scale(_ owner: KubeObject, active: [PodView]) async -> (any Error)? {
        let wanted = owner.spec["replicas"]?.boundedInt ?? 1
        let missing = wanted - active.count
        if missing > 0 {
            return await create(min(missing, Self.burst), for: owner)
        }
        if missing < 0 {
            return await delete(min(-missing, Self.burst), of: active, for: owner)
        }
        return nil
    }

    private func create(_ count: Int, for owner: KubeObject) async -> (any Error)? {
        let pod = PodCreation.pod(from: owner.spec["template"] ?? .object([:]), owner: owner)
        return await PodCreation.slowStart(count) { [creation, written] _ in
            written.note(owner.key, try await creation.create(pod, for: owner))
        }.error
    }

    private func delete(_ count: Int, of active: [PodView], for owner: KubeObject) async -> (any Error)? {
        var podsPerNode: [String: Int] = [:]
        for pod in active { podsPerNode[pod.nodeName, default: 0] += 1 }
        let victims = ReplicaCount.deletionOrder(active, podsPerNode: podsPerNode).prefix(count).map(\.object)
        return await withTaskGroup(of: (any Error)?.self) { group in
            for victim in victims {
                group.addTask { [creation, written] in
                    do {
                        if let deleted = try await creation.delete(victim, for: owner) {
                            written.note(owner.key, deleted)
                        }
                        return nil
                    } catch {
                        return error
                    }
                }
            }
            var first: (any Error)?
            for await error in group { first = first ?? error }
            return first
        }
    }

    // MARK: Status

    /// Writes the status if it changed; gives the time after which a ready pod becomes available.
    private func updateStatus(
        of owner: KubeObject, pods: [PodView], failure: (any Error)?
    ) async throws -> Duration? {
        let minReadySeconds = owner.spec["minReadySeconds"]?.boundedInt ?? 0
        let active = pods.filter(\.isActive)
        let waits = active.compactMap {
            ReplicaCount.secondsUntilAvailable($0, minReadySeconds: minReadySeconds, now: context.now())
        }
        let templateLabels = owner.spec["template"]?["metadata"]?["labels"]?.stringMap ?? [:]
        let labelled = active.filter { pod in
            let labels = pod.object.labels
            return templateLabels.allSatisfy { labels[$0.key] == $0.value }
        }
        var updated = owner
        var status = owner.status
        status["replicas"] = JSON(active.count)
        status.setCount("fullyLabeledReplicas", labelled.count)
        status.setCount("readyReplicas", active.count { $0.isReady })
        status.setCount("availableReplicas", waits.count { $0 == 0 })
        if kind.kind == "ReplicaSet" {
            status["terminatingReplicas"] = JSON(pods.count { $0.object.isBeingDeleted && !$0.isTerminal })
        }
        status["observedGeneration"] = JSON(owner.generation)
        updated.status = status
        setFailureCondition(&updated, failure, missing: (owner.spec["replicas"]?.boundedInt ?? 1) > active.count)
        if updated.status != owner.status {
            do {
                _ = try await context.client.updateStatus(kind.resource, object: updated)
            } catch let error as StatusError where error.isNotFound {
                return nil
            }
        }
        return waits.filter { $0 > 0 }.min().map { .seconds($0) }
    }

    private func setFailureCondition(_ owner: inout KubeObject, _ failure: (any Error)?, missing: Bool) {
        guard let failure else {
            if owner.condition("ReplicaFailure") != nil { owner.removeCondition("ReplicaFailure") }
            return
        }
        owner.setCondition(
            Condition(
                type: "ReplicaFailure", status: "True", reason: missing ? "FailedCreate" : "FailedDelete",
                message: "\(failure)", lastTransitionTime: context.now().text))
    }
}
