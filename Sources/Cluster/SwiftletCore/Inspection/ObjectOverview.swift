// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient

/// The cluster's objects as a support bundle shows them: what is named here and nothing else. Environments, arguments,
/// annotations and the data of ConfigMaps and Secrets are not.
enum ObjectOverview {
    /// Objects of a kind that are shown.
    static let limit = 2000
    /// The newest events that are shown.
    static let eventLimit = 300

    /// A kind that is shown, and how.
    struct Kind: Sendable {
        let resource: GroupVersionResource
        let show: @Sendable (KubeObject) -> JSON
    }

    static let kinds = [
        Kind(resource: .nodes, show: node), Kind(resource: .pods, show: pod),
        Kind(resource: .deployments, show: workload), Kind(resource: .replicaSets, show: workload),
        Kind(resource: .services) { common($0, with: ["type", "clusterIP", "ports", "selector"], of: $0.spec) },
        Kind(resource: .persistentVolumes) { common($0, with: ["phase", "reason"], of: $0.status) },
        Kind(resource: .persistentVolumeClaims) { common($0, with: ["phase", "capacity"], of: $0.status) },
    ]

    /// Kinds that are counted only.
    static let counted: [GroupVersionResource] = [
        .namespaces, .configMaps, .secrets, .serviceAccounts, .endpointSlices, .leases,
    ]

    private static func common(_ object: KubeObject, with keys: [String] = [], of part: JSON = .null) -> JSON {
        var result: JSON = ["name": .string(object.name)]
        if !object.namespace.isEmpty { result["namespace"] = .string(object.namespace) }
        result["created"] = object.metadata["creationTimestamp"]
        if let deleted = object.metadata["deletionTimestamp"] { result["deleted"] = deleted }
        for key in keys { if let value = part[key] { result[key] = value } }
        return result
    }

    private static func conditions(of object: KubeObject) -> JSON {
        .array(
            (object.status["conditions"]?.elements ?? []).map { condition in
                pick(["type", "status", "reason", "message", "lastTransitionTime"], of: condition)
            })
    }

    private static func pick(_ keys: [String], of value: JSON) -> JSON {
        var result: JSON = [:]
        for key in keys { if let member = value[key] { result[key] = member } }
        return result
    }

    @Sendable private static func node(_ object: KubeObject) -> JSON {
        var result = common(
            object, with: ["addresses", "capacity", "allocatable", "nodeInfo"], of: object.status)
        result["conditions"] = conditions(of: object)
        for key in ["podCIDR", "taints", "unschedulable"] { result[key] = object.spec[key] }
        return result
    }

    @Sendable private static func workload(_ object: KubeObject) -> JSON {
        var result = common(
            object, with: ["replicas", "readyReplicas", "availableReplicas", "updatedReplicas"], of: object.status)
        result["wanted"] = object.spec["replicas"]
        result["conditions"] = conditions(of: object)
        return result
    }

    @Sendable private static func pod(_ object: KubeObject) -> JSON {
        var result = common(object, with: ["phase", "reason", "podIP", "qosClass", "startTime"], of: object.status)
        result["node"] = object.spec["nodeName"]
        result["conditions"] = conditions(of: object)
        result["containers"] = .array(
            ["initContainerStatuses", "containerStatuses"].flatMap { object.status[$0]?.elements ?? [] }.map(container))
        return result
    }

    private static func container(_ status: JSON) -> JSON {
        var result = pick(["name", "image", "ready", "restartCount"], of: status)
        for key in ["state", "lastState"] {
            var states: JSON = [:]
            for (name, state) in status[key]?.members ?? [:] {
                // The message of an end is what the program wrote.
                let keys = ["reason", "exitCode", "signal", "startedAt", "finishedAt"]
                states[name] = pick(name == "waiting" ? keys + ["message"] : keys, of: state)
            }
            result[key] = states
        }
        return result
    }

    static func event(_ object: KubeObject) -> JSON {
        var result = pick(
            ["type", "reason", "message", "count", "firstTimestamp", "lastTimestamp", "eventTime"], of: object.json)
        result["object"] = pick(["kind", "namespace", "name"], of: object.json["involvedObject"] ?? .null)
        result["source"] = object.json["source"]?["component"]
        return result
    }
}
