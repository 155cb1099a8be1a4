// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// A pod as the scheduler counts it, read once.
struct PodDemand: Sendable {
    let pod: PodView
    let requests: [String: Quantity]
    let hostPorts: [HostPort]
    let labels: [String: String]

    init(_ object: KubeObject) {
        pod = PodView(object)
        requests = pod.reservedRequests
        hostPorts = pod.hostPorts
        labels = object.labels
    }

    var key: ObjectKey { pod.object.key }

    func request(_ resource: String) -> Quantity { requests[resource] ?? .zero }
}

/// A node and what is placed on it.
struct NodeState: Sendable {
    var node: KubeObject
    var pods: [ObjectKey: PodDemand] = [:]
    private(set) var requested: [String: Quantity] = [:]
    private let allocatable: [String: Quantity]

    init(_ node: KubeObject) {
        self.node = node
        var allocatable: [String: Quantity] = [:]
        for (name, value) in (node.status["allocatable"] ?? node.status["capacity"])?.members ?? [:] {
            allocatable[name] = Quantity(value)
        }
        self.allocatable = allocatable
    }

    /// The node's new state with the same pods on it.
    func updated(_ node: KubeObject) -> NodeState {
        var state = NodeState(node)
        state.pods = pods
        state.requested = requested
        return state
    }

    var name: String { node.name }
    var labels: [String: String] { node.labels }
    var taints: [Taint] { node.spec["taints"]?.elements.map(Taint.init) ?? [] }

    func allocatable(_ resource: String) -> Quantity { allocatable[resource] ?? .zero }
    func requested(_ resource: String) -> Quantity { requested[resource] ?? .zero }
    func free(_ resource: String) -> Quantity { allocatable(resource) - requested(resource) }

    mutating func add(_ demand: PodDemand) {
        remove(demand.key)
        pods[demand.key] = demand
        for (name, quantity) in demand.requests { requested[name, default: .zero] += quantity }
    }

    mutating func remove(_ key: ObjectKey) {
        guard let demand = pods.removeValue(forKey: key) else { return }
        for (name, quantity) in demand.requests { requested[name, default: .zero] -= quantity }
    }
}
