// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient

extension DeploymentController {
    /// Writes the status and the revision annotation if they changed; gives when the progress deadline is to be checked.
    func updateStatus(_ rollout: Rollout) async throws -> Duration? {
        let object = rollout.deployment.object
        var updated = object
        // Written with the status, as upstream does: the controller's own note is no new generation.
        if let revision = rollout.revisionChanged {
            updated.json["metadata", "annotations", DeploymentAnnotations.revision] = .string(revision)
        }
        updated.status = counts(rollout, over: object.status, generation: rollout.deployment.object.generation)
        setAvailability(&updated, rollout)
        setProgress(&updated, rollout)
        // The time of the last update alone is no change worth a write.
        if Self.significant(updated.status) != Self.significant(object.status)
            || updated.annotations != object.annotations
        {
            _ = try await context.client.updateStatus(.deployments, object: updated)
        }
        return secondsToDeadline(of: updated, rollout).map { .seconds($0) }
    }

    private func counts(_ rollout: Rollout, over status: JSON, generation: Int) -> JSON {
        var status = status
        let current = rollout.current
        let available = rollout.owned.reduce(0) { $0 + $1.availableReplicas }
        status["observedGeneration"] = JSON(generation)
        status.setCount("replicas", rollout.owned.reduce(0) { $0 + $1.statusReplicas })
        status.setCount("updatedReplicas", current?.statusReplicas ?? 0)
        status.setCount("readyReplicas", rollout.owned.reduce(0) { $0 + $1.readyReplicas })
        status.setCount("availableReplicas", available)
        status["terminatingReplicas"] = JSON(rollout.owned.reduce(0) { $0 + $1.terminatingReplicas })
        status.setCount("unavailableReplicas", max(0, rollout.owned.reduce(0) { $0 + $1.replicas } - available))
        if rollout.collision { status["collisionCount"] = JSON(rollout.deployment.collisionCount + 1) }
        return status
    }

    private func setAvailability(_ object: inout KubeObject, _ rollout: Rollout) {
        let deployment = rollout.deployment
        let available = object.status["availableReplicas"]?.int ?? 0
        let isAvailable = available >= deployment.replicas - deployment.maxUnavailable
        set(
            &object, "Available", isAvailable ? "True" : "False",
            isAvailable ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
            isAvailable ? "Deployment has minimum availability." : "Deployment does not have minimum availability.")
    }

    private func setProgress(_ object: inout KubeObject, _ rollout: Rollout) {
        let deployment = rollout.deployment
        guard let deadline = deployment.progressDeadline else {
            object.removeCondition("Progressing")
            return
        }
        let current = rollout.current
        let subject = current.map { "ReplicaSet \"\($0.object.name)\"" } ?? "Deployment \"\(object.name)\""
        let before = deployment.object.condition("Progressing")
        if let error = rollout.createError {
            return set(&object, "Progressing", "False", "ReplicaSetCreateError", "\(error)")
        }
        if deployment.isPaused {
            if before?.reason != "TimedOut", before?.reason != "DeploymentPaused" {
                set(&object, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
            }
            return
        }
        if before?.reason == "DeploymentPaused" {
            return set(&object, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")
        }
        if isComplete(rollout, status: object.status) {
            return set(
                &object, "Progressing", "True", "NewReplicaSetAvailable", "\(subject) has successfully progressed.")
        }
        if current != nil, before == nil {
            let message = "Created new replica set \"\(current?.object.name ?? "")\""
            return set(&object, "Progressing", "True", "NewReplicaSetCreated", message)
        }
        if hasProgressed(from: deployment.object.status, to: object.status)
            || (before?.reason == "NewReplicaSetAvailable"
                && current?.statusReplicas ?? 0 < deployment.replicas)
        {
            return set(&object, "Progressing", "True", "ReplicaSetUpdated", "\(subject) is progressing.")
        }
        if let before, hasTimedOut(before, deadline: deadline) {
            set(&object, "Progressing", "False", "ProgressDeadlineExceeded", "\(subject) has timed out progressing.")
        }
    }

    private func isComplete(_ rollout: Rollout, status: JSON) -> Bool {
        let wanted = rollout.deployment.replicas
        return status["updatedReplicas"]?.int ?? 0 == wanted && status["replicas"]?.int ?? 0 == wanted
            && status["availableReplicas"]?.int ?? 0 == wanted
    }

    /// More new, fewer old, more ready or more available pods than before.
    private func hasProgressed(from old: JSON, to new: JSON) -> Bool {
        func count(_ status: JSON, _ field: String) -> Int { status[field]?.int ?? 0 }
        func oldPods(_ status: JSON) -> Int { count(status, "replicas") - count(status, "updatedReplicas") }
        return count(new, "updatedReplicas") > count(old, "updatedReplicas") || oldPods(new) < oldPods(old)
            || count(new, "readyReplicas") > count(old, "readyReplicas")
            || count(new, "availableReplicas") > count(old, "availableReplicas")
    }

    private func hasTimedOut(_ condition: Condition, deadline: Int) -> Bool {
        if condition.reason == "NewReplicaSetAvailable" { return false }
        if condition.reason == "ProgressDeadlineExceeded" { return true }
        guard let since = KubeTime(condition.lastUpdateTime) else { return false }
        return since.seconds + deadline < context.now().seconds
    }

    private func secondsToDeadline(of object: KubeObject, _ rollout: Rollout) -> Int? {
        guard let deadline = rollout.deployment.progressDeadline, !rollout.deployment.isPaused,
            let condition = object.condition("Progressing"), condition.isTrue,
            condition.reason != "NewReplicaSetAvailable", let since = KubeTime(condition.lastUpdateTime)
        else { return nil }
        return max(1, Int(since.seconds) + deadline + 1 - Int(context.now().seconds))
    }

    private func set(_ object: inout KubeObject, _ type: String, _ status: String, _ reason: String, _ message: String)
    {
        let now = context.now().text
        if let before = object.condition(type), before.status == status, before.reason == reason,
            before.message == message, reason != "ReplicaSetUpdated"
        {
            return
        }
        object.setCondition(
            Condition(
                type: type, status: status, reason: reason, message: message, lastTransitionTime: now,
                lastUpdateTime: now))
    }

    private static func significant(_ status: JSON) -> JSON {
        guard let conditions = status["conditions"]?.array else { return status }
        var status = status
        status["conditions"] = .array(
            conditions.map { condition in
                var condition = condition
                if condition["reason"]?.string != "ReplicaSetUpdated" { condition["lastUpdateTime"] = nil }
                return condition
            })
        return status
    }
}
