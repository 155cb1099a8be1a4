// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import KubeAPI
import Synchronization

/// The nodes and what is placed on them, kept up to date by the informers, with the pods that the scheduler has placed
/// itself and whose binding it has not yet seen come back, and the promises of room to pods that wait for others to go.
final class ClusterState: Sendable {
    fileprivate struct State {
        var nodes: [String: NodeState] = [:]
        /// Pods on nodes that are not known, by node: kept so that a node that comes back is counted right.
        var strays: [String: [ObjectKey: PodDemand]] = [:]
        var placements: [ObjectKey: String] = [:]
        /// Pods without a node that have been promised room on one.
        var nominations: [ObjectKey: Nomination] = [:]
    }

    fileprivate struct Nomination {
        var node: String
        var demand: PodDemand
    }

    private let state = Mutex(State())

    /// The nodes in the order of their names.
    var nodes: [NodeState] { state.withLock { $0.nodes.values.sorted { $0.name < $1.name } } }

    func putNode(_ node: KubeObject) {
        state.withLock { state in
            if let known = state.nodes[node.name] {
                state.nodes[node.name] = known.updated(node)
                return
            }
            var fresh = NodeState(node)
            for demand in (state.strays.removeValue(forKey: node.name) ?? [:]).values { fresh.add(demand) }
            state.nodes[node.name] = fresh
        }
    }

    func removeNode(_ name: String) {
        state.withLock { state in
            guard let node = state.nodes.removeValue(forKey: name), !node.pods.isEmpty else { return }
            state.strays[name] = node.pods
        }
    }

    /// Counts a pod on its node; one without a node, or that has ended, is not counted.
    ///
    /// - Parameter old: Its state before, if it was known.
    func putPod(_ object: KubeObject, before old: KubeObject? = nil) {
        let pod = PodView(object)
        let isPlaced = !pod.nodeName.isEmpty && !pod.isTerminal
        let demand = isPlaced ? PodDemand(object) : nil
        state.withLock { state in
            // A pod that we have placed ourselves counts until its binding is seen or has failed.
            if pod.nodeName.isEmpty, !pod.isTerminal, state.placements[object.key] != nil { return }
            state.remove(object.key)
            if let demand { state.add(demand, on: pod.nodeName) }
            state.observeNomination(of: pod, before: old)
        }
    }

    func removePod(_ key: ObjectKey) {
        state.withLock { state in
            state.remove(key)
            state.nominations[key] = nil
        }
    }

    /// Counts a pod on the node where it is about to be bound.
    func assume(_ demand: PodDemand, on node: String) {
        state.withLock { state in
            state.remove(demand.key)
            state.add(demand, on: node)
            state.nominations[demand.key] = nil
        }
    }

    // MARK: Nominations

    /// The pods that have been promised room, by node.
    var nominations: [String: [PodDemand]] {
        state.withLock { state in
            Dictionary(grouping: state.nominations.values, by: \.node).mapValues { $0.map(\.demand) }
        }
    }

    /// The node that a pod has been promised; nil if none.
    func nomination(of key: ObjectKey) -> String? { state.withLock { $0.nominations[key]?.node } }

    /// Promises a pod room on a node, or takes the promise back. It counts at once, before the API knows of it.
    func nominate(_ demand: PodDemand, on node: String?) {
        state.withLock { $0.nominations[demand.key] = node.map { .init(node: $0, demand: demand) } }
    }
}

extension ClusterState.State {
    mutating func add(_ demand: PodDemand, on node: String) {
        placements[demand.key] = node
        if nodes[node] != nil {
            nodes[node]?.add(demand)
        } else {
            strays[node, default: [:]][demand.key] = demand
        }
    }

    mutating func remove(_ key: ObjectKey) {
        guard let node = placements.removeValue(forKey: key) else { return }
        nodes[node]?.remove(key)
        strays[node]?[key] = nil
        if strays[node]?.isEmpty == true { strays[node] = nil }
    }

    /// Follows `status.nominatedNodeName`. An empty one says something only where there was another before: the news of our own
    /// promise may still be on its way.
    mutating func observeNomination(of pod: PodView, before old: KubeObject?) {
        let key = pod.object.key
        guard pod.nodeName.isEmpty, pod.isActive else {
            nominations[key] = nil
            return
        }
        let node = pod.nominatedNodeName
        if !node.isEmpty {
            nominations[key] = .init(node: node, demand: PodDemand(pod.object))
        } else if let old, !PodView(old).nominatedNodeName.isEmpty {
            nominations[key] = nil
        } else if let known = nominations[key] {
            nominations[key] = .init(node: known.node, demand: PodDemand(pod.object))
        }
    }
}
