// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging

/// Gives every node its part of the pod network (`spec.podCIDR`): the first /24 that no other node has.
package final class NodeRangeController: ControlLoop {
    package let name = "node-ipam-controller"
    private let context: ControllerContext
    private let pool: NodeRangePool?
    private let queue = WorkQueue<ObjectKey>()
    private let nodes: Informer
    private let written = WrittenRevisions()
    /// All nodes share one pool, so their writes are awaited together.
    private static let everyNode = ObjectKey(name: "")

    /// - Parameter clusterRange: The pods' addresses in the whole cluster, IPv4 in CIDR notation.
    package init(context: ControllerContext, clusterRange: String) {
        self.context = context
        pool = NodeRangePool(clusterRange)
        nodes = context.informers.informer(.nodes)
        queue.addChanges(of: nodes)
    }

    package func run() async throws {
        guard let pool else {
            context.logger.error(
                "Nodes get no part of the pod network: the range is not IPv4 with a prefix of 8 to 24 bits",
                metadata: ["controller": "\(name)"])
            return
        }
        let controller = Controller(name, workers: 1, queue: queue, logger: context.logger) { key in
            try await self.reconcile(key, pool)
        }
        await nodes.waitForSync()
        try await controller.run()
    }

    func reconcile(_ key: ObjectKey, _ pool: NodeRangePool) async throws -> Duration? {
        guard let node = nodes.get(key), !node.isBeingDeleted, node.spec["podCIDR"] == nil else { return nil }
        guard written.areSeen(Self.everyNode, by: nodes) else { return .seconds(1) }
        let taken = Set(nodes.list().compactMap { $0.spec["podCIDR"]?.string })
        guard let range = pool.firstFree(taken) else {
            context.logger.error("The pod network has no part left for a node", metadata: ["node": "\(node.name)"])
            return .seconds(60)
        }
        let changed = try await context.client.patch(
            .nodes, namespace: nil, name: node.name, subresource: nil, type: .merge,
            patch: ["spec": ["podCIDR": .string(range), "podCIDRs": [.string(range)]]], options: .init())
        written.note(Self.everyNode, changed)
        return nil
    }
}

/// The /24 ranges of an IPv4 range.
struct NodeRangePool: Sendable, Hashable {
    private let base: UInt32
    private let count: UInt32

    /// Nil unless the range is IPv4 with a prefix of 8 to 24 bits.
    init?(_ range: String) {
        let parts = range.split(separator: "/")
        guard parts.count == 2, let prefix = UInt32(parts[1]), (8...24).contains(prefix) else { return nil }
        let bytes = parts[0].split(separator: ".").compactMap { UInt8($0) }
        guard bytes.count == 4 else { return nil }
        let address = bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        base = address & ~(UInt32.max >> prefix)
        count = 1 << (24 - prefix)
    }

    /// The first range that is not taken, `10.1.0.0/24`.
    func firstFree(_ taken: Set<String>) -> String? {
        for index in 0..<count {
            let address = base + index << 8
            let text = [24, 16, 8, 0].map { String(address >> $0 & 0xFF) }.joined(separator: ".") + "/24"
            if !taken.contains(text) { return text }
        }
        return nil
    }
}
