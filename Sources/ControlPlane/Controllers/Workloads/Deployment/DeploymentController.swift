// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging

/// Rolls a Deployment's pod template out through ReplicaSets: rolling update, Recreate, pause, scaling in proportion,
/// revision history and progress, as upstream's deployment controller.
package final class DeploymentController: ControlLoop {
    package let name = "deployment-controller"
    let context: ControllerContext
    let events: EventRecorder
    private let queue = WorkQueue<ObjectKey>()
    private let deployments: Informer
    private let replicaSets: Informer
    private let pods: Informer
    private let claims: OwnershipClaims
    let written = WrittenRevisions()

    package init(context: ControllerContext) {
        self.context = context
        events = context.recorder(name)
        deployments = context.informers.informer(.deployments)
        replicaSets = context.informers.informer(.replicaSets)
        replicaSets.addIndex(OwnershipClaims.index, OwnershipClaims.indexValues)
        pods = context.informers.informer(.pods)
        pods.addIndex(OwnershipClaims.index, OwnershipClaims.indexValues)
        claims = OwnershipClaims(
            client: context.client, ownerResource: .deployments, dependentResource: .replicaSets)
        queue.addChanges(of: deployments)
        queue.addOwners(ofChangesIn: replicaSets, ownerKind: "Deployment")
        queue.addSelectors(ofOrphansIn: replicaSets, owners: deployments) { DeploymentView($0).selector }
        queueRecreations()
    }

    /// A deployment that recreates goes on when its last old pod is gone.
    private func queueRecreations() {
        pods.addHandler { [queue, replicaSets, deployments] event in
            guard case .deleted(let pod) = event, let owner = pod.controller, owner.kind == "ReplicaSet",
                let replicaSet = replicaSets.get(namespace: pod.namespace, name: owner.name),
                let deployment = replicaSet.controller, deployment.kind == "Deployment"
            else { return }
            let key = ObjectKey(namespace: pod.namespace, name: deployment.name)
            if let object = deployments.get(key), DeploymentView(object).isRecreate { queue.add(key) }
        }
    }

    package func run() async throws {
        let controller = Controller(name, workers: 4, queue: queue, logger: context.logger) { key in
            try await self.reconcile(key)
        }
        await deployments.waitForSync()
        await replicaSets.waitForSync()
        await pods.waitForSync()
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.events.run() }
            group.addTask { try await controller.run() }
        }
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard let object = deployments.get(key) else {
            written.forget(key)
            return nil
        }
        let deployment = DeploymentView(object)
        guard let selector = deployment.selector, !selector.isEverything else { return nil }
        guard written.areSeen(key, by: replicaSets) else { return .seconds(30) }
        let owned = try await claims.claim(for: object, selector: selector, from: replicaSets)
        var rollout = Rollout(
            deployment: deployment, owned: owned.map(ReplicaSetView.init),
            hasOldPods: { [pods] old in
                old.contains { replicaSet in
                    pods.list(index: OwnershipClaims.index, value: replicaSet.object.uid).contains {
                        !PodView($0).isTerminal
                    }
                }
            })
        if !object.isBeingDeleted { try await advance(&rollout) }
        return try await updateStatus(rollout)
    }

    // MARK: One step of the rollout

    /// Everything that one reconciliation knows.
    struct Rollout {
        let deployment: DeploymentView
        /// The newest first by what it was when the reconciliation began.
        var owned: [ReplicaSetView]
        let hasOldPods: ([ReplicaSetView]) -> Bool
        var collision = false
        var createError: (any Error)?
        var revisionChanged: String?

        /// The ReplicaSet of the current template; of several the oldest.
        var current: ReplicaSetView? {
            let template = ReplicaSetView.comparable(deployment.template)
            return owned.sorted {
                ($0.object.creationTimestamp ?? "", $0.object.name)
                    < ($1.object.creationTimestamp ?? "", $1.object.name)
            }
            .first { $0.comparableTemplate == template }
        }

        var old: [ReplicaSetView] {
            let current = current
            return owned.filter { $0.object.uid != current?.object.uid }
        }

        mutating func replace(_ replicaSet: KubeObject) {
            if let index = owned.firstIndex(where: { $0.object.uid == replicaSet.uid }) {
                owned[index] = ReplicaSetView(replicaSet)
            } else {
                owned.append(ReplicaSetView(replicaSet))
            }
        }
    }

    private func advance(_ rollout: inout Rollout) async throws {
        let deployment = rollout.deployment
        if deployment.isPaused || isScaling(rollout) {
            try await refreshCurrent(&rollout, create: false)
            try await scaleInProportion(&rollout)
            if deployment.isPaused { try await trimHistory(rollout) }
            return
        }
        if deployment.isRecreate {
            try await recreate(&rollout)
        } else {
            try await rollingUpdate(&rollout)
        }
        if isComplete(rollout) { try await trimHistory(rollout) }
    }

    /// Whether the wanted number changed since the ReplicaSets were last sized.
    private func isScaling(_ rollout: Rollout) -> Bool {
        rollout.owned.contains { replicaSet in
            guard replicaSet.replicas > 0, let desired = replicaSet.desired else { return false }
            return desired != rollout.deployment.replicas
        }
    }

    private func recreate(_ rollout: inout Rollout) async throws {
        try await refreshCurrent(&rollout, create: false)
        var hasScaledDown = false
        for old in rollout.old where old.replicas > 0 {
            try await resize(old, to: 0, &rollout)
            hasScaledDown = true
        }
        // Only when every old pod is gone may the first new one come.
        if hasScaledDown || rollout.hasOldPods(rollout.old) { return }
        try await refreshCurrent(&rollout, create: true)
        if let current = rollout.current, current.replicas != rollout.deployment.replicas {
            try await resize(current, to: rollout.deployment.replicas, &rollout)
        }
    }

    private func rollingUpdate(_ rollout: inout Rollout) async throws {
        try await refreshCurrent(&rollout, create: true)
        guard let current = rollout.current else { return }
        let plan = plan(for: rollout.deployment)
        let total = rollout.owned.reduce(0) { $0 + $1.replicas }
        let size = plan.newSize(current: current.replicas, total: total)
        if size != current.replicas {
            try await resize(current, to: size, &rollout)
            return
        }
        let sizes = plan.oldSizes(
            rollout.old.map(Self.member), newSize: current.replicas,
            newUnavailable: current.replicas - current.availableReplicas)
        for old in rollout.old {
            if let size = sizes[old.object.name] { try await resize(old, to: size, &rollout) }
        }
    }

    private func scaleInProportion(_ rollout: inout Rollout) async throws {
        let deployment = rollout.deployment
        let active = rollout.owned.filter { $0.replicas > 0 }
        if active.count <= 1 {
            // At rest: only the one that counts, be it the newest or the only one alive.
            if let only = active.first ?? rollout.current ?? rollout.owned.max(by: { $0.revision < $1.revision }),
                only.replicas != deployment.replicas
            {
                try await resize(only, to: deployment.replicas, &rollout)
            }
            return
        }
        if let current = rollout.current, current.availableReplicas == deployment.replicas,
            current.replicas == deployment.replicas
        {
            for old in rollout.old where old.replicas > 0 { try await resize(old, to: 0, &rollout) }
            return
        }
        guard !deployment.isRecreate else { return }
        let sizes = plan(for: deployment).proportionalSizes(active.map(Self.member))
        for replicaSet in active {
            try await resize(replicaSet, to: sizes[replicaSet.object.name] ?? replicaSet.replicas, &rollout)
        }
    }

    private func plan(for deployment: DeploymentView) -> RollingUpdatePlan {
        RollingUpdatePlan(
            replicas: deployment.replicas, maxSurge: deployment.maxSurge, maxUnavailable: deployment.maxUnavailable)
    }

    private static func member(_ replicaSet: ReplicaSetView) -> RollingUpdatePlan.Member {
        .init(
            name: replicaSet.object.name, replicas: replicaSet.replicas, available: replicaSet.availableReplicas,
            created: replicaSet.object.creationTimestamp ?? "", maximum: replicaSet.maximum)
    }

    /// Whether the rollout has arrived: all pods are new, and available.
    func isComplete(_ rollout: Rollout) -> Bool {
        let wanted = rollout.deployment.replicas
        let current = rollout.current
        return current?.statusReplicas ?? 0 == wanted && current?.availableReplicas ?? 0 == wanted
            && rollout.owned.reduce(0) { $0 + $1.statusReplicas } == wanted
            && rollout.deployment.object.status["observedGeneration"]?.int ?? 0 >= rollout.deployment.object.generation
    }
}
