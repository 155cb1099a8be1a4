// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging

/// Gives every node its part of the pod network (`spec.podCIDR`): the first /24 that overlaps no other node's.
///
/// What is taken is what the Node objects say, so that nothing is given twice after a restart and the range of a deleted node is
/// free again.
package final class NodeRangeController: ControlLoop {
    package let name = "node-ipam-controller"
    private let context: ControllerContext
    private let pool: NodeRangePool?
    private let queue = WorkQueue<ObjectKey>()
    private let nodes: Informer
    private let written = WrittenRevisions()
    /// All nodes share one pool, so their writes are awaited together.
    private static let everyNode = ObjectKey(name: "")

    /// Ranges that are configured on their nodes, by the names of these.
    private let configured: [String: String]

    /// - Parameters:
    ///   - clusterRange: The pods' addresses in the whole cluster, IPv4 in CIDR notation.
    ///   - configured: Ranges that nodes have by their configuration, by the nodes' names: those get them, and nobody else.
    package init(context: ControllerContext, clusterRange: String, configured: [String: String] = [:]) {
        self.context = context
        self.configured = configured
        pool = NodeRangePool(clusterRange)
        nodes = context.informers.informer(.nodes)
        queue.addChanges(of: nodes)
    }

    package func run() async throws {
        guard let pool else {
            context.logger.error(
                "Nodes get no part of the pod network: the range is not IPv4 with a prefix of 8 to 24 bits",
                metadata: ["component": "\(name)"])
            return
        }
        let controller = Controller(name, workers: 1, queue: queue, subject: "node", logger: context.logger) { key in
            try await self.reconcile(key, pool)
        }
        await nodes.waitForSync()
        try await controller.run()
    }

    func reconcile(_ key: ObjectKey, _ pool: NodeRangePool) async throws -> Duration? {
        guard let node = nodes.get(key), !node.isBeingDeleted, node.spec["podCIDR"] == nil else { return nil }
        guard written.areSeen(Self.everyNode, by: nodes) else { return .seconds(1) }
        let taken = Set(nodes.list().compactMap { $0.spec["podCIDR"]?.string } + configured.values)
        guard let range = configured[node.name] ?? pool.firstFree(taken) else {
            context.logger.error(
                "The pod network has no part left for a node",
                metadata: ["component": "\(name)", "node": "\(node.name)"])
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
    private let first: UInt32
    private let count: UInt32

    /// Nil unless the range is IPv4 with a prefix of 8 to 24 bits.
    init?(_ range: String) {
        guard let bounds = Self.bounds(range), (8...24).contains(bounds.prefix) else { return nil }
        first = bounds.addresses.lowerBound
        count = 1 << (24 - bounds.prefix)
    }

    /// The first range that overlaps none of the taken ones, `10.1.0.0/24`; what is not IPv4 overlaps nothing.
    func firstFree(_ taken: Set<String>) -> String? {
        let blocks = taken.compactMap { Self.bounds($0)?.addresses }
        for index in 0..<count {
            let address = first + index << 8
            if !blocks.contains(where: { $0.overlaps(address...(address | 0xFF)) }) {
                return [24, 16, 8, 0].map { String(address >> $0 & 0xFF) }.joined(separator: ".") + "/24"
            }
        }
        return nil
    }

    /// First and last address of an IPv4 range, and its prefix in bits.
    private static func bounds(_ range: String) -> (addresses: ClosedRange<UInt32>, prefix: UInt32)? {
        let parts = range.split(separator: "/")
        guard parts.count == 2, let prefix = UInt32(parts[1]), prefix <= 32 else { return nil }
        let bytes = parts[0].split(separator: ".", omittingEmptySubsequences: false).compactMap { UInt8($0) }
        guard bytes.count == 4 else { return nil }
        let address = bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let hosts = UInt32.max >> prefix
        return (address & ~hosts...(address | hosts), prefix)
    }
}
