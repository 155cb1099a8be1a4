// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
package import LinuxSystem
import Logging

/// Gives every node its part of the pod network (`spec.podCIDR`, `spec.podCIDRs`): of each family the first part that overlaps
/// no other node's.
///
/// What is taken is what the Node objects say, so that nothing is given twice after a restart and the range of a deleted node is
/// free again. What a node has is never changed, also when the cluster gets a range of another family later (as upstream).
package final class NodeRangeController: ControlLoop {
    package let name = "node-ipam-controller"
    private let context: ControllerContext
    /// Of the cluster's families, IPv4 first.
    private let pools: [NodeRangePool]
    private let queue = WorkQueue<ObjectKey>()
    private let nodes: Informer
    private let written = WrittenRevisions()
    /// All nodes share the pools, so their writes are awaited together.
    private static let everyNode = ObjectKey(name: "")

    /// Ranges that are configured on their nodes, by the names of these.
    private let configured: [String: [IPNetwork]]

    /// - Parameters:
    ///   - pools: The pods' addresses in the whole cluster, of one family or two.
    ///   - configured: Ranges that nodes have by their configuration, by the nodes' names: those get them, and nobody else.
    package init(context: ControllerContext, pools: [NodeRangePool], configured: [String: [IPNetwork]] = [:]) {
        self.context = context
        self.configured = configured
        self.pools = pools
        nodes = context.informers.informer(.nodes)
        queue.addChanges(of: nodes)
    }

    package func run() async throws {
        let controller = Controller(name, workers: 1, queue: queue, subject: "node", logger: context.logger) { key in
            try await self.reconcile(key)
        }
        await nodes.waitForSync()
        try await controller.run()
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard let node = nodes.get(key), !node.isBeingDeleted, node.spec["podCIDR"] == nil else { return nil }
        guard written.areSeen(Self.everyNode, by: nodes) else { return .seconds(1) }
        let taken = nodes.list().flatMap(Self.ranges) + configured.values.joined()
        guard let ranges = configured[node.name] ?? firstFree(taken), let first = ranges.first else {
            context.logger.error(
                "The pod network has no part left for a node",
                metadata: ["component": "\(name)", "node": "\(node.name)"])
            return .seconds(60)
        }
        let changed = try await context.client.patch(
            .nodes, namespace: nil, name: node.name, subresource: nil, type: .merge,
            patch: ["spec": ["podCIDR": .string("\(first)"), "podCIDRs": JSON(ranges.map(\.description))]],
            options: .init())
        written.note(Self.everyNode, changed)
        return nil
    }

    /// A part of every family; nil where one has none left.
    private func firstFree(_ taken: [IPNetwork]) -> [IPNetwork]? {
        let ranges = pools.compactMap { $0.firstFree(taken) }
        return ranges.count == pools.count ? ranges : nil
    }

    private static func ranges(of node: KubeObject) -> [IPNetwork] {
        let all = node.spec["podCIDRs"]?.elements ?? []
        let texts = all.isEmpty ? [node.spec["podCIDR"] ?? .null] : all
        return texts.compactMap { $0.string.flatMap { IPNetwork($0) } }
    }
}
