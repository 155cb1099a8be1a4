// SPDX-License-Identifier: Apache-2.0

import Controllers
import LinuxSystem
import SandboxNetwork

/// Addresses of pods: an IPv4 range, and an IPv6 range in addition where the cluster is dual stack.
struct PodRanges: Hashable, Sendable, CustomStringConvertible {
    var v4: IPNetwork
    var v6: IPNetwork?

    /// Reads ranges that are separated by a comma, as upstream's `--cluster-cidr`: `10.1.0.0/16` or `10.1.0.0/16,fd42::/56`.
    ///
    /// - Throws: ``ConfigurationError`` that names the field.
    init(_ field: String, _ text: String) throws(ConfigurationError) {
        var ranges: [IPNetwork] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let word = part.filter { $0 != " " }
            guard let range = IPNetwork(word) else {
                throw ConfigurationError(
                    field: field, reason: "\"\(word)\" is not an address range such as 10.1.0.0/16")
            }
            ranges.append(range)
        }
        let families = ranges.map(\.address.isV4)
        guard families == [true] || families == [true, false] else {
            throw ConfigurationError(
                field: field,
                reason: "\"\(text)\" must be one IPv4 range, and for dual stack one IPv6 range after it:"
                    + " 10.1.0.0/16,fd42::/56")
        }
        v4 = ranges[0]
        v6 = ranges.dropFirst().first
    }

    /// The ranges in the order of their preference.
    var all: [IPNetwork] { [v4] + [v6].compactMap { $0 } }

    var description: String { all.map(\.description).joined(separator: ",") }
}

extension Configuration {
    /// A node's part of the IPv4 range has so many bits in common (upstream: `--node-cidr-mask-size-ipv4`).
    private static let nodePrefixV4 = 24

    /// Pods' addresses in the whole cluster.
    ///
    /// - Throws: ``ConfigurationError`` that names the field.
    var clusterRanges: PodRanges {
        get throws(ConfigurationError) { try PodRanges("network.clusterCIDR", network.clusterCIDR) }
    }

    /// Pods' addresses on this node: what the configuration names, and of what it does not name the first part of the cluster's.
    ///
    /// - Throws: ``ConfigurationError`` that names the field.
    var nodeRanges: PodRanges {
        get throws(ConfigurationError) {
            var ranges = try clusterRanges
            let named = network.nodeCIDR.isEmpty ? nil : try PodRanges("network.nodeCIDR", network.nodeCIDR)
            ranges.v4 = named?.v4 ?? IPNetwork(ranges.v4.network.address, prefixLength: Self.nodePrefixV4) ?? ranges.v4
            let first = ranges.v6.flatMap {
                IPNetwork($0.network.address, prefixLength: network.nodeCIDRMaskSizeIPv6)
            }
            ranges.v6 = named?.v6 ?? first
            return ranges
        }
    }

    /// The sizes of the parts that nodes get of the cluster's ranges.
    var nodeParts: [(range: IPNetwork, prefixLength: Int)] {
        get throws(ConfigurationError) {
            try clusterRanges.all.map { range in
                (range, range.address.isV4 ? Self.nodePrefixV4 : network.nodeCIDRMaskSizeIPv6)
            }
        }
    }

    /// Checks that the ranges can be divided among nodes, and that this node's are among the parts.
    ///
    /// - Throws: ``ConfigurationError`` that names the field.
    func validatePodRanges() throws(ConfigurationError) {
        let cluster = try clusterRanges
        for (range, prefixLength) in try nodeParts {
            let shortest = max(0, prefixLength - NodeRangePool.largestDifference)
            guard (shortest...prefixLength).contains(range.prefixLength) else {
                let size = range.address.isV4 ? "" : " (network.nodeCIDRMaskSizeIPv6)"
                throw ConfigurationError(
                    field: "network.clusterCIDR",
                    reason: "\(range) cannot be divided among nodes: each gets a /\(prefixLength)\(size), so that the"
                        + " prefix must have \(shortest) to \(prefixLength) bits")
            }
        }
        if let v6 = cluster.v6?.network.address {
            guard !v6.isLinkLocal, !v6.isMulticast, !v6.isUnspecified, !v6.isLoopback else {
                throw ConfigurationError(
                    field: "network.clusterCIDR",
                    reason: "\(v6) is no address that pods can have; take a range of fd00::/8 or one that is routed"
                        + " to you")
            }
        }
        guard !network.nodeCIDR.isEmpty else { return }
        let node = try PodRanges("network.nodeCIDR", network.nodeCIDR)
        for range in node.all {
            guard cluster.all.contains(where: { $0.contains(range) }) else {
                throw ConfigurationError(
                    field: "network.nodeCIDR",
                    reason: "\(range) is no part of network.clusterCIDR, \(cluster); leave the field empty for its"
                        + " first part")
            }
            let longest = range.address.isV4 ? 29 : Self.longestPrefixV6
            guard range.prefixLength <= longest else {
                throw ConfigurationError(
                    field: "network.nodeCIDR",
                    reason: "\(range) is too small for a node; take a prefix of at most \(longest) bits")
            }
        }
    }

    /// The pod network of this node.
    ///
    /// - Throws: ``ConfigurationError`` that names the field.
    var sandboxNetwork: SandboxNetworkConfiguration {
        get throws(ConfigurationError) {
            let (cluster, node) = (try clusterRanges, try nodeRanges)
            return SandboxNetworkConfiguration(
                bridgeName: network.bridge, subnet: node.v4, clusterNetwork: cluster.v4, subnetV6: node.v6,
                clusterNetworkV6: cluster.v6, tableName: network.table, runDirectory: "\(directories.run)/network",
                vxlanPort: UInt16(clamping: network.vxlanPort))
        }
    }

    /// Every IPv4 address of a node has a companion at the same place of its IPv6 range, of which 16 bits are used.
    static let longestPrefixV6 = 112
}
