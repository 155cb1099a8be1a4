// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// The taints and conditions that follow from how a node is doing; no I/O (upstream: pkg/controller/nodelifecycle).
enum NodeTaints {
    static let notReady = "node.kubernetes.io/not-ready"
    static let unreachable = "node.kubernetes.io/unreachable"
    static let outOfService = "node.kubernetes.io/out-of-service"

    /// Conditions that taint a node while they are True.
    private static let pressures = [
        ("MemoryPressure", "node.kubernetes.io/memory-pressure"), ("DiskPressure", "node.kubernetes.io/disk-pressure"),
        ("PIDPressure", "node.kubernetes.io/pid-pressure"),
        ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
    ]
    private static let unschedulable = "node.kubernetes.io/unschedulable"
    /// What is reported of a node that has fallen silent.
    private static let reported = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]

    /// The taints that a node must have, nil if it has them: those of others stay, and ours keep the time of their addition.
    ///
    /// - Parameter evicts: Whether a node that is not ready may get taints that evict its pods; false keeps the ones it has.
    static func wanted(on node: KubeObject, evicts: Bool, now: KubeTime) -> [JSON]? {
        let present = node.spec["taints"]?.elements ?? []
        let wanted = keys(of: node)
        let kept = present.filter { taint in
            guard let key = taint["key"]?.string, let effect = taint["effect"]?.string else { return true }
            return !isOurs(key, effect) || wanted.contains { $0 == (key, effect) }
        }
        let missing = wanted.filter { key, effect in
            (evicts || effect != "NoExecute")
                && !present.contains { $0["key"]?.string == key && $0["effect"]?.string == effect }
        }
        if kept.count == present.count, missing.isEmpty { return nil }
        return kept
            + missing.map { ["key": .string($0), "effect": .string($1), "timeAdded": .string(now.text)] }
    }

    private static func isOurs(_ key: String, _ effect: String) -> Bool {
        let ours = pressures.map(\.1) + [notReady, unreachable, unschedulable]
        return ours.contains(key)
            && (effect == "NoSchedule" || (effect == "NoExecute" && [notReady, unreachable].contains(key)))
    }

    private static func keys(of node: KubeObject) -> [(String, String)] {
        var keys: [(String, String)] = []
        switch node.condition("Ready")?.status {
        case "True", nil: break
        case "Unknown": keys += [(unreachable, "NoSchedule"), (unreachable, "NoExecute")]
        default: keys += [(notReady, "NoSchedule"), (notReady, "NoExecute")]
        }
        for (type, key) in pressures where node.condition(type)?.isTrue ?? false { keys.append((key, "NoSchedule")) }
        if node.spec["unschedulable"]?.bool ?? false { keys.append((unschedulable, "NoSchedule")) }
        return keys
    }

    /// The conditions of a node that has fallen silent; nil if they say so already.
    static func silentConditions(of node: KubeObject, now: KubeTime) -> [JSON]? {
        var conditions = node.json["status"]?["conditions"]?.elements ?? []
        let before = conditions
        for type in reported {
            guard let index = conditions.firstIndex(where: { $0["type"]?.string == type }) else {
                conditions.append([
                    "type": .string(type), "status": "Unknown", "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": node.metadata["creationTimestamp"] ?? .null,
                    "lastTransitionTime": .string(now.text),
                ])
                continue
            }
            if conditions[index]["status"]?.string == "Unknown" { continue }
            conditions[index]["status"] = "Unknown"
            conditions[index]["reason"] = "NodeStatusUnknown"
            conditions[index]["message"] = "Kubelet stopped posting node status."
            conditions[index]["lastTransitionTime"] = .string(now.text)
        }
        return conditions == before ? nil : conditions
    }

    /// Whether so many nodes are lost that the fault is more likely ours or the network's, and no pods are to be evicted: all of
    /// them, or in a cluster of up to 50 nodes more than two that are 55 % (upstream's zone states and rates).
    static func areEvictionsHalted(nodes: [KubeObject]) -> Bool {
        let lost = nodes.count { !($0.condition("Ready")?.isTrue ?? false) }
        if lost == nodes.count { return true }
        return nodes.count <= 50 && lost > 2 && lost * 100 >= nodes.count * 55
    }
}
