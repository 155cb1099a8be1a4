// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// What the deployment controller reads of a Deployment.
struct DeploymentView: Sendable {
    let object: KubeObject

    init(_ object: KubeObject) { self.object = object }

    var replicas: Int { object.spec["replicas"]?.boundedInt ?? 1 }
    var isPaused: Bool { object.spec["paused"]?.bool ?? false }
    var isRecreate: Bool { object.spec["strategy"]?["type"]?.string == "Recreate" }
    var minReadySeconds: Int { object.spec["minReadySeconds"]?.boundedInt ?? 0 }
    var template: JSON { object.spec["template"] ?? .object([:]) }
    var selector: LabelSelector? { object.spec["selector"].flatMap { LabelSelector(reading: $0) } }
    var collisionCount: Int { object.status["collisionCount"]?.boundedInt ?? 0 }

    /// How many old ReplicaSets are kept; nil for all.
    var revisionHistoryLimit: Int? {
        object.spec["revisionHistoryLimit"]?.boundedInt.flatMap { $0 == Int(Int32.max) ? nil : $0 }
    }

    /// Seconds; nil for none.
    var progressDeadline: Int? {
        object.spec["progressDeadlineSeconds"]?.boundedInt.flatMap { $0 == Int(Int32.max) ? nil : $0 }
    }

    /// How many pods may be missing during a rolling update; at least one when nothing may be in excess.
    var maxUnavailable: Int {
        guard !isRecreate, replicas > 0 else { return 0 }
        let rolling = object.spec["strategy"]?["rollingUpdate"]
        let surge = IntOrString(rolling?["maxSurge"])?.scaled(total: replicas, roundUp: true) ?? 0
        let unavailable = IntOrString(rolling?["maxUnavailable"])?.scaled(total: replicas, roundUp: false) ?? 0
        return min(replicas, surge == 0 && unavailable == 0 ? 1 : unavailable)
    }

    /// How many pods may exist beyond the wanted number during a rolling update.
    var maxSurge: Int {
        guard !isRecreate else { return 0 }
        let rolling = object.spec["strategy"]?["rollingUpdate"]
        return IntOrString(rolling?["maxSurge"])?.scaled(total: replicas, roundUp: true) ?? 0
    }
}

/// What the deployment controller reads of a ReplicaSet.
struct ReplicaSetView: Sendable {
    let object: KubeObject

    init(_ object: KubeObject) { self.object = object }

    var replicas: Int { object.spec["replicas"]?.boundedInt ?? 1 }
    var statusReplicas: Int { object.status["replicas"]?.boundedInt ?? 0 }
    var readyReplicas: Int { object.status["readyReplicas"]?.boundedInt ?? 0 }
    var availableReplicas: Int { object.status["availableReplicas"]?.boundedInt ?? 0 }
    var terminatingReplicas: Int { object.status["terminatingReplicas"]?.boundedInt ?? 0 }
    var revision: Int { number(DeploymentAnnotations.revision) ?? 0 }

    /// The wanted number of all ReplicaSets together when this one was last scaled.
    var desired: Int? { number(DeploymentAnnotations.desiredReplicas) }
    /// The largest number that all together could have then.
    var maximum: Int? { number(DeploymentAnnotations.maxReplicas) }

    /// A number that the controller noted; anybody may have written another one there.
    private func number(_ annotation: String) -> Int? {
        object.annotations[annotation].flatMap { Int($0) }.flatMap { JSON($0).boundedInt }
    }

    /// The pod template without the label that tells the ReplicaSets of one Deployment apart.
    var comparableTemplate: JSON { Self.comparable(object.spec["template"] ?? .object([:])) }

    static func comparable(_ template: JSON) -> JSON {
        var template = template
        template["metadata", "labels", DeploymentAnnotations.hashLabel] = nil
        if template["metadata"]?["creationTimestamp"]?.isNull == true {
            template["metadata", "creationTimestamp"] = nil
        }
        return template
    }
}

/// Upstream's annotations and label of Deployments and their ReplicaSets.
enum DeploymentAnnotations {
    static let revision = "deployment.kubernetes.io/revision"
    static let revisionHistory = "deployment.kubernetes.io/revision-history"
    static let desiredReplicas = "deployment.kubernetes.io/desired-replicas"
    static let maxReplicas = "deployment.kubernetes.io/max-replicas"
    static let hashLabel = "pod-template-hash"
    static let lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
    static let deprecatedRollback = "deprecated.deployment.rollback.to"

    /// Annotations of a Deployment that its ReplicaSets do not take over.
    static let notCopied: Set<String> = [
        lastApplied, revision, revisionHistory, desiredReplicas, maxReplicas, deprecatedRollback,
    ]
}
