// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Netlink

/// Decides how every peer is reached: a function of the wanted peers and of the machine's links; no I/O.
///
/// A peer is believed only so far that its subnet is a part of the cluster's network which nobody else has: a wrong one must
/// not lead other traffic of this machine astray.
struct PeerPlan {
    /// More peers than this are refused.
    static let peerLimit = 4096
    /// Outer Ethernet, IPv4, UDP and VXLAN headers, in bytes.
    static let encapsulationBytes: UInt32 = 50
    /// What IPv4 hosts must be able to receive in one piece (RFC 791), in bytes.
    static let smallestMTU: UInt32 = 576

    private let configuration: SandboxNetworkConfiguration
    /// Links by which neighbours are reached, by their index.
    private let links: [Int32: Link]
    private let addresses: [LinkAddress]
    private let routes: [Route]

    init(
        configuration: SandboxNetworkConfiguration, links: [Link], addresses: [LinkAddress], routes: [Route]
    ) {
        self.configuration = configuration
        let own = [configuration.bridgeName, configuration.vxlanName]
        let usable = links.filter { $0.isUp && !$0.isLoopback && !own.contains($0.name) }
        self.links = Dictionary(usable.map { ($0.index, $0) }) { first, _ in first }
        self.addresses = addresses
        self.routes = routes
    }

    /// The path to every peer that is in order, and the reason for each that is not.
    func outcome(for peers: [NetworkPeer]) -> PeerOutcome {
        var outcome = PeerOutcome()
        for peer in peers {
            if let reason = objection(to: peer, after: outcome.paths) {
                outcome.rejected.append(RejectedPeer(peer: peer, reason: reason))
            } else if let path = path(to: peer) {
                outcome.paths.append(path)
            } else {
                outcome.rejected.append(RejectedPeer(peer: peer, reason: "it has no IPv4 address that is not ours"))
            }
        }
        return outcome
    }

    private func objection(to peer: NetworkPeer, after paths: [PeerPath]) -> String? {
        let subnet = peer.subnet.network
        let cluster = configuration.clusterNetwork
        guard subnet.address.isV4, subnet.prefixLength >= cluster.prefixLength, cluster.contains(subnet.address) else {
            return "its subnet \(subnet) is no part of the cluster's network \(cluster)"
        }
        if Self.overlap(subnet, configuration.subnet) { return "its subnet \(subnet) overlaps this node's" }
        if let other = paths.first(where: { Self.overlap(subnet, $0.subnet) }) {
            return "its subnet \(subnet) overlaps the one of \(other.address)"
        }
        return paths.count < Self.peerLimit ? nil : "there are more than \(Self.peerLimit) peers"
    }

    private static func overlap(_ left: IPNetwork, _ right: IPNetwork) -> Bool {
        left.contains(right.network.address) || right.contains(left.network.address)
    }

    /// By a link that the peer is on too; else in packets to its first address.
    private func path(to peer: NetworkPeer) -> PeerPath? {
        let own = Set(addresses.map(\.network.address))
        let candidates = peer.addresses.filter {
            $0.isV4 && !$0.isLoopback && !$0.isUnspecified && !own.contains($0)
                && !configuration.clusterNetwork.contains($0)
        }
        let subnet = peer.subnet.network
        for address in candidates {
            if let link = sharedLink(with: address) {
                return PeerPath(subnet: subnet, address: address, carrier: .direct(link: link))
            }
        }
        return candidates.first.map { PeerPath(subnet: subnet, address: $0, carrier: .vxlan) }
    }

    /// The link with the closest network that contains the address. Tunnels without hardware addresses do not count: they pass
    /// only what they were told of.
    private func sharedLink(with address: IPAddress) -> Int32? {
        addresses.filter { $0.network.contains(address) && links[$0.link]?.hardwareAddress != nil }
            .max { ($0.network.prefixLength, $1.link) < ($1.network.prefixLength, $0.link) }?.link
    }

    /// The largest packet that fits into an encapsulated one on the way to every peer that needs it, in bytes.
    func vxlanMTU(for paths: [PeerPath]) -> UInt32 {
        let outer = paths.filter { $0.carrier == .vxlan }.compactMap { path in
            routes.filter { $0.destination.contains(path.address) && $0.link != nil }
                .max { left, right in
                    let (a, b) = (left.destination.prefixLength, right.destination.prefixLength)
                    return a == b ? (left.priority ?? 0) > (right.priority ?? 0) : a < b
                }
                .flatMap { $0.link }.flatMap { links[$0]?.mtu }
        }
        let smallest = outer.min() ?? 1500
        return max(Self.smallestMTU, smallest < Self.encapsulationBytes ? 0 : smallest - Self.encapsulationBytes)
    }
}
