// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Why a node cannot take a pod, in upstream's words.
struct Refusal: Hashable, Sendable {
    var reasons: [String]
    /// Whether removing pods from the node could change the answer.
    var isResolvable: Bool

    init(_ reasons: [String], isResolvable: Bool = false) {
        self.reasons = reasons
        self.isResolvable = isResolvable
    }
}

/// The conditions that a node must meet for a pod: upstream's filter plug-ins, as pure functions.
enum Filters {
    typealias Filter = @Sendable (PodDemand, NodeState, Snapshot) -> Refusal?

    /// All filters in upstream's order; the first refusal counts.
    static let all: [Filter] = [
        unschedulable, nodeName, taints, nodeAffinity, ports, resources, volumes, topologySpread, podAffinity,
    ]

    /// What a filter may look at beside the node.
    struct Snapshot: Sendable {
        var nodes: [NodeState]
        /// Pods that have been promised room, by node.
        var nominations: [String: [PodDemand]] = [:]
        /// The labels of namespaces, for affinity terms that choose namespaces by label.
        var namespaceLabels: @Sendable (String) -> [String: String]
        var volumes: VolumeBindings

        /// The snapshot with another state of one of its nodes.
        func replacing(_ node: NodeState) -> Snapshot {
            var snapshot = self
            if let index = nodes.firstIndex(where: { $0.name == node.name }) { snapshot.nodes[index] = node }
            return snapshot
        }
    }

    /// Why a node cannot take a pod; nil if it can: as the node is, and with the pods on it that are at least as important
    /// and have been promised room there (upstream: RunFilterPluginsWithNominatedPods).
    static func refusal(of node: NodeState, for demand: PodDemand, in snapshot: Snapshot) -> Refusal? {
        let promised = (snapshot.nominations[node.name] ?? []).filter { other in
            other.pod.priority >= demand.pod.priority && other.key != demand.key
        }
        if !promised.isEmpty {
            var crowded = node
            for other in promised { crowded.add(other) }
            if let refusal = firstRefusal(of: crowded, for: demand, in: snapshot.replacing(crowded)) { return refusal }
        }
        return firstRefusal(of: node, for: demand, in: snapshot)
    }

    private static func firstRefusal(of node: NodeState, for demand: PodDemand, in snapshot: Snapshot) -> Refusal? {
        for filter in all {
            if let refusal = filter(demand, node, snapshot) { return refusal }
        }
        return nil
    }

    static let unschedulable: Filter = { demand, node, _ in
        guard node.node.spec["unschedulable"]?.bool ?? false else { return nil }
        let taint = Taint(["key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"])
        return taint.isTolerated(by: demand.pod.tolerations) ? nil : Refusal(["node(s) were unschedulable"])
    }

    static let nodeName: Filter = { demand, node, _ in
        let wanted = demand.pod.nodeName
        return wanted.isEmpty || wanted == node.name ? nil : Refusal(["node(s) didn't match the requested node name"])
    }

    static let taints: Filter = { demand, node, _ in
        let hard = node.taints.first { taint in
            taint.effect != "PreferNoSchedule" && !taint.isTolerated(by: demand.pod.tolerations)
        }
        guard let hard else { return nil }
        return Refusal(["node(s) had untolerated taint {\(hard.key): \(hard.value)}"])
    }

    static let nodeAffinity: Filter = { demand, node, _ in
        let spec = demand.pod.object.spec
        let refusal = Refusal(["node(s) didn't match Pod's node affinity/selector"])
        for (key, value) in spec["nodeSelector"]?.stringMap ?? [:] where node.labels[key] != value { return refusal }
        let required = spec["affinity"]?["nodeAffinity"]?["requiredDuringSchedulingIgnoredDuringExecution"]
        if let required, !required.isNull, !NodeSelector(required).matches(node.node) { return refusal }
        return nil
    }

    static let ports: Filter = { demand, node, _ in
        let taken = node.pods.values.lazy.flatMap(\.hostPorts)
        let isTaken = demand.hostPorts.contains { wanted in taken.contains { wanted.conflicts(with: $0) } }
        guard isTaken else { return nil }
        return Refusal(["node(s) didn't have free ports for the requested pod ports"], isResolvable: true)
    }

    static let resources: Filter = { demand, node, _ in
        var reasons: [String] = []
        if Quantity(node.pods.count + 1) > node.allocatable("pods") { reasons.append("Too many pods") }
        for (name, quantity) in demand.requests.sorted(by: { $0.key < $1.key })
        where !quantity.isZero && quantity > node.free(name) { reasons.append("Insufficient \(name)") }
        if reasons.isEmpty { return nil }
        let fitsEmptyNode = demand.requests.allSatisfy { $0.value <= node.allocatable($0.key) }
        return Refusal(reasons, isResolvable: fitsEmptyNode)
    }

    static let volumes: Filter = { demand, node, snapshot in
        snapshot.volumes.refusal(of: node.node, for: demand.pod)
    }
}
