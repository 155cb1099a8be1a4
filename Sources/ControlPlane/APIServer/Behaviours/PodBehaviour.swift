// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Pods (upstream: `registry/core/pod/strategy.go` and the admission plug-ins that look at pods).
struct PodBehaviour: ResourceBehaviour {
    var traits: ResourceTraits { BehaviourTable.traits("pods") }

    func admit(_ change: Change, _ object: inout KubeObject) async throws {
        if change.subresource == "resize" { try LimitRangeAdmission.admitResize(change, object) }
        guard change.operation == .create else { return }
        try ServiceAccountAdmission.admit(change, &object)
        try PriorityAdmission.admit(change, &object)
        TolerationAdmission.admit(&object)
        try LimitRangeAdmission.admit(change, &object)
        try RuntimeClassAdmission.admit(change, &object)
    }

    func prepare(_ change: Change, _ object: inout KubeObject) async throws {
        guard let old = change.old else {
            object.status = ["phase": "Pending", "qosClass": .string(PodQoS.of(object))]
            if !(object.spec["schedulingGates"]?.elements.isEmpty ?? true) {
                object.status["conditions"] = [
                    [
                        "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                        "message": "Scheduling is blocked due to non-empty scheduling gates",
                    ]
                ]
            }
            PodLabelKeys.merge(into: &object)
            return
        }
        switch change.subresource {
        case "status":
            // Nobody but the server says how a pod's service is classed.
            object.json["status", "qosClass"] = old.status["qosClass"]
        case "ephemeralcontainers":
            let containers = object.spec["ephemeralContainers"]
            object = Self.keepingAll(of: old, metadataOf: object)
            object.json["spec", "ephemeralContainers"] = containers
        case "resize": Self.resize(&object, old)
        default: break
        }
    }

    private static func keepingAll(of old: KubeObject, metadataOf object: KubeObject) -> KubeObject {
        var result = old
        result.metadata = object.metadata
        return result
    }

    /// Only the containers' resources change by `/resize`.
    private static func resize(_ object: inout KubeObject, _ old: KubeObject) {
        var result = keepingAll(of: old, metadataOf: object)
        for list in ["containers", "initContainers"] {
            guard var containers = old.spec[list]?.array else { continue }
            for wanted in object.spec[list]?.elements ?? [] {
                guard let index = containers.firstIndex(where: { $0["name"] == wanted["name"] }) else { continue }
                containers[index]["resources"] = wanted["resources"]
                containers[index]["resizePolicy"] = wanted["resizePolicy"]
            }
            result.json["spec", list] = .array(containers)
        }
        object = result
    }

    // MARK: What may change

    func problems(_ change: Change, _ object: KubeObject) -> [StatusError.Cause] {
        guard let old = change.old, change.subresource.isEmpty else { return [] }
        guard Self.fixedPart(object) != Self.fixedPart(old) else { return [] }
        return [
            .init(
                reason: "FieldValueForbidden",
                message: "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
                    + "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
                    + "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
                    + "was previously negative)", field: "spec")
        ]
    }

    /// The specification without what an update may change.
    private static func fixedPart(_ pod: KubeObject) -> JSON {
        var spec = pod.spec
        for list in ["containers", "initContainers"] {
            guard let containers = spec[list]?.array else { continue }
            spec[list] = .array(
                containers.map {
                    var container = $0
                    container["image"] = nil
                    return container
                })
        }
        for key in ["activeDeadlineSeconds", "tolerations", "schedulingGates", "terminationGracePeriodSeconds"] {
            spec[key] = nil
        }
        if !(pod.spec["schedulingGates"]?.elements.isEmpty ?? true) {
            spec["nodeSelector"] = nil
            spec["affinity"] = nil
        }
        return spec
    }

    // MARK: Deletion

    func gracePeriod(_ object: KubeObject, _ options: DeleteOptions) -> Int? {
        var seconds = options.gracePeriodSeconds ?? object.spec["terminationGracePeriodSeconds"]?.boundedInt ?? 30
        if seconds < 0 { seconds = 1 }
        let phase = object.status["phase"]?.string
        // A pod that no kubelet knows, or that is over, needs no farewell.
        if (object.spec["nodeName"]?.string ?? "").isEmpty || phase == "Failed" || phase == "Succeeded" { seconds = 0 }
        return seconds
    }
}

/// The quality of service that a pod's resources entitle it to (`pkg/apis/core/v1/helper/qos`).
enum PodQoS {
    static func of(_ pod: KubeObject) -> String {
        var hasAny = false
        var isGuaranteed = true
        let containers = (pod.spec["containers"]?.elements ?? []) + (pod.spec["initContainers"]?.elements ?? [])
        // What the pod states as a whole takes the place of what its containers do.
        let whole = PodView(pod).hasOwnResources ? [pod.spec["resources"]] : nil
        for resources in whole ?? containers.map({ $0["resources"] }) {
            let limits = resources?["limits"]
            let requests = resources?["requests"]
            for name in ["cpu", "memory"] {
                let limit = quantity(limits?[name])
                let request = quantity(requests?[name]) ?? limit
                if limit != nil || request != nil { hasAny = true }
                if limit == nil || request != limit { isGuaranteed = false }
            }
        }
        if !hasAny { return "BestEffort" }
        return isGuaranteed ? "Guaranteed" : "Burstable"
    }

    /// A quantity that is not zero.
    private static func quantity(_ json: JSON?) -> Quantity? {
        guard let quantity = Quantity(json), !quantity.isZero else { return nil }
        return quantity
    }
}
