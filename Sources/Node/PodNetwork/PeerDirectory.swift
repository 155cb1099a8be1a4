// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem
import SandboxNetwork

/// Reads from Node objects which peers a node has; no I/O.
enum PeerDirectory {
    /// The peers that the nodes of a cluster are to one of them, in the order of their names.
    ///
    /// A node without a range of its own (`spec.podCIDRs`) or without an address (`InternalIP`) is no peer yet.
    static func peers(of ownName: String, among nodes: [KubeObject]) -> [NetworkPeer] {
        nodes.filter { $0.name != ownName }.sorted { $0.name < $1.name }.compactMap { peer($0) }
    }

    /// What a node is to others: its first range of each family.
    static func peer(_ node: KubeObject) -> NetworkPeer? {
        let addresses = (node.json["status"]?["addresses"]?.elements ?? [])
            .filter { $0["type"]?.string == "InternalIP" }
            .compactMap { $0["address"]?.string.flatMap { IPAddress($0) } }
        let ranges = ranges(of: node)
        guard !addresses.isEmpty, let subnet = ranges.first(where: \.address.isV4) else { return nil }
        return NetworkPeer(subnet: subnet, subnetV6: ranges.first(where: \.address.isV6), addresses: addresses)
    }

    private static func ranges(of node: KubeObject) -> [IPNetwork] {
        let all = node.spec["podCIDRs"]?.elements ?? []
        let texts = all.isEmpty ? [node.spec["podCIDR"] ?? .null] : all
        return texts.compactMap { $0.string.flatMap { IPNetwork($0) } }
    }

    /// A Node object reduced to what ``peers(of:among:)`` reads.
    static let essence: @Sendable (KubeObject) -> KubeObject = { node in
        var essence = KubeObject(.init("", "v1", "Node"), name: node.name)
        for field in ["uid", "resourceVersion"] { essence.metadata[field] = node.metadata[field] }
        for field in ["podCIDR", "podCIDRs"] { essence.spec[field] = node.spec[field] }
        if let addresses = node.json["status"]?["addresses"] { essence.status = ["addresses": addresses] }
        return essence
    }
}
