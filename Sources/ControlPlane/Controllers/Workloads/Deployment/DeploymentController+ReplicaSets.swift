// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient

extension DeploymentController {
    /// Makes the ReplicaSet of the current template exist, if asked, and carry the Deployment's annotations and revision.
    func refreshCurrent(_ rollout: inout Rollout, create: Bool) async throws {
        let maximum = rollout.old.map(\.revision).max() ?? 0
        if let current = rollout.current {
            try await annotate(current, revision: maximum + 1, &rollout)
        } else if create {
            try await createReplicaSet(revision: maximum + 1, &rollout)
        }
    }

    private func annotate(_ current: ReplicaSetView, revision: Int, _ rollout: inout Rollout) async throws {
        let deployment = rollout.deployment
        var updated = current.object
        var annotations = Self.annotations(of: deployment, over: current.object.annotations)
        if current.revision < revision {
            if current.revision > 0 {
                let history = current.object.annotations[DeploymentAnnotations.revisionHistory]
                annotations[DeploymentAnnotations.revisionHistory] =
                    [history, String(current.revision)].compactMap { $0 }.joined(separator: ",")
            }
            annotations[DeploymentAnnotations.revision] = String(revision)
        }
        updated.json["metadata", "annotations"] = JSON(annotations)
        updated.json["spec", "minReadySeconds"] =
            deployment.minReadySeconds == 0 ? JSON?.none : JSON(deployment.minReadySeconds)
        rollout.revisionChanged = annotations[DeploymentAnnotations.revision]
        if updated.annotations == current.object.annotations,
            updated.spec["minReadySeconds"]?.int ?? 0 == current.object.spec["minReadySeconds"]?.int ?? 0
        {
            return
        }
        rollout.replace(try await write(updated, for: deployment))
    }

    private func createReplicaSet(revision: Int, _ rollout: inout Rollout) async throws {
        let deployment = rollout.deployment
        let hash = TemplateHash.hash(
            of: ReplicaSetView.comparable(deployment.template), collisionCount: deployment.collisionCount)
        let name = "\(deployment.object.name)-\(hash)"
        var replicaSet = KubeObject(
            .init("apps", "v1", "ReplicaSet"), namespace: deployment.object.namespace, name: name)
        var template = deployment.template
        template["metadata", "labels", DeploymentAnnotations.hashLabel] = .string(hash)
        var selector = deployment.object.spec["selector"] ?? .object([:])
        selector["matchLabels", DeploymentAnnotations.hashLabel] = .string(hash)
        let total = rollout.owned.reduce(0) { $0 + $1.replicas }
        let size =
            deployment.isRecreate
            ? deployment.replicas
            : RollingUpdatePlan(
                replicas: deployment.replicas, maxSurge: deployment.maxSurge,
                maxUnavailable: deployment.maxUnavailable
            ).newSize(current: 0, total: total)
        var annotations = Self.annotations(of: deployment, over: [:])
        annotations[DeploymentAnnotations.revision] = String(revision)
        Self.setSizes(&annotations, of: deployment)
        replicaSet.json["metadata", "labels"] = template["metadata"]?["labels"]
        replicaSet.json["metadata", "annotations"] = JSON(annotations)
        replicaSet.json["metadata", "ownerReferences"] = [OwnerReference(controller: deployment.object).json]
        replicaSet.json["spec"] = ["replicas": JSON(size), "selector": selector, "template": template]
        if deployment.minReadySeconds > 0 {
            replicaSet.json["spec", "minReadySeconds"] = JSON(deployment.minReadySeconds)
        }
        do {
            let created = try await context.client.create(.replicaSets, object: replicaSet)
            written.note(deployment.object.key, created)
            rollout.replace(created)
            rollout.revisionChanged = String(revision)
            if size > 0 { recordScaling(of: name, from: 0, to: size, deployment) }
        } catch let error as StatusError where error.isAlreadyExists {
            try await resolveCollision(name, &rollout)
        } catch {
            rollout.createError = error
            events.record(
                deployment.object, .warning, reason: "FailedCreate",
                message: "Failed to create new replica set \"\(name)\": \(error)")
            throw error
        }
    }

    /// The name is taken: by this very ReplicaSet, which the copy has not seen yet, or by another template's, whose hash
    /// collides; then the collision count makes another name.
    private func resolveCollision(_ name: String, _ rollout: inout Rollout) async throws {
        let deployment = rollout.deployment
        let existing = try await context.client.get(
            .replicaSets, namespace: deployment.object.namespace, name: name)
        let isOurs =
            existing.controller?.uid == deployment.object.uid
            && ReplicaSetView(existing).comparableTemplate == ReplicaSetView.comparable(deployment.template)
        if isOurs {
            written.note(deployment.object.key, existing)
            rollout.replace(existing)
        } else {
            rollout.collision = true
        }
    }

    /// Scales a ReplicaSet and notes the sizes that scaling in proportion needs later.
    func resize(_ replicaSet: ReplicaSetView, to size: Int, _ rollout: inout Rollout) async throws {
        let deployment = rollout.deployment
        var annotations = replicaSet.object.annotations
        Self.setSizes(&annotations, of: deployment)
        if replicaSet.replicas == size, annotations == replicaSet.object.annotations { return }
        var updated = replicaSet.object
        updated.json["metadata", "annotations"] = JSON(annotations)
        updated.json["spec", "replicas"] = JSON(size)
        rollout.replace(try await write(updated, for: deployment))
        if replicaSet.replicas != size {
            recordScaling(of: replicaSet.object.name, from: replicaSet.replicas, to: size, deployment)
        }
    }

    private func recordScaling(of name: String, from: Int, to: Int, _ deployment: DeploymentView) {
        let direction = to > from ? "up" : "down"
        events.record(
            deployment.object, .normal, reason: "ScalingReplicaSet",
            message: "Scaled \(direction) replica set \(name) from \(from) to \(to)")
    }

    private func write(_ replicaSet: KubeObject, for deployment: DeploymentView) async throws -> KubeObject {
        let result = try await context.client.update(.replicaSets, object: replicaSet)
        written.note(deployment.object.key, result)
        return result
    }

    /// Deletes the oldest ReplicaSets that no longer have pods, beyond the history limit.
    func trimHistory(_ rollout: Rollout) async throws {
        guard let limit = rollout.deployment.revisionHistoryLimit else { return }
        let old = rollout.old.filter { !$0.object.isBeingDeleted }
        let excess = old.count - limit
        if excess <= 0 { return }
        for replicaSet in old.sorted(by: { $0.revision < $1.revision }).prefix(excess) {
            let isIdle =
                replicaSet.statusReplicas == 0 && replicaSet.replicas == 0
                && replicaSet.object.status["observedGeneration"]?.int ?? 0 >= replicaSet.object.generation
            if !isIdle { continue }
            do {
                try await context.client.delete(
                    .replicaSets, namespace: replicaSet.object.namespace, name: replicaSet.object.name,
                    options: .init(propagationPolicy: .background))
            } catch let error as StatusError where error.isNotFound {
                continue
            }
        }
    }

    private static func annotations(of deployment: DeploymentView, over base: [String: String]) -> [String: String] {
        var annotations = base
        for (key, value) in deployment.object.annotations where !DeploymentAnnotations.notCopied.contains(key) {
            annotations[key] = value
        }
        return annotations
    }

    private static func setSizes(_ annotations: inout [String: String], of deployment: DeploymentView) {
        annotations[DeploymentAnnotations.desiredReplicas] = String(deployment.replicas)
        annotations[DeploymentAnnotations.maxReplicas] = String(deployment.replicas + deployment.maxSurge)
    }
}
