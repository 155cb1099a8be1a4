// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Netlink

/// Decides how every peer is reached, for each family by itself: a function of the wanted peers and of the machine's links; no
/// I/O.
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
    /// What every link that carries IPv6 must pass in one piece (RFC 8200, 5), in bytes; the kernel takes IPv6 from smaller ones.
    static let smallestV6MTU: UInt32 = 1280

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
        var served = 0
        for peer in peers {
            func add(_ subnet: IPNetwork, _ own: IPNetwork, _ cluster: IPNetwork) -> Bool {
                let reason =
                    served < Self.peerLimit
                    ? objection(to: subnet.network, own: own, cluster: cluster, after: outcome.paths)
                    : "there are more than \(Self.peerLimit) peers"
                if let reason {
                    outcome.rejected.append(RejectedPeer(peer: peer, reason: reason))
                } else if let path = path(to: subnet.network, of: peer) {
                    outcome.paths.append(path)
                    return true
                } else {
                    outcome.rejected.append(
                        RejectedPeer(peer: peer, reason: "it has no IPv4 address that is not ours"))
                }
                return false
            }
            guard add(peer.subnet, configuration.subnet, configuration.clusterNetwork) else { continue }
            if let subnetV6 = peer.subnetV6, let own = configuration.subnetV6,
                let cluster = configuration.clusterNetworkV6
            {
                _ = add(subnetV6, own, cluster)
            }
            served += 1
        }
        return outcome
    }

    private func objection(
        to subnet: IPNetwork, own: IPNetwork, cluster: IPNetwork, after paths: [PeerPath]
    ) -> String? {
        guard cluster.contains(subnet) else {
            return "its subnet \(subnet) is no part of the cluster's network \(cluster)"
        }
        if Self.overlap(subnet, own) { return "its subnet \(subnet) overlaps this node's" }
        return paths.first { Self.overlap(subnet, $0.subnet) }
            .map { "its subnet \(subnet) overlaps the one of \($0.address)" }
    }

    private static func overlap(_ left: IPNetwork, _ right: IPNetwork) -> Bool {
        left.contains(right.network.address) || right.contains(left.network.address)
    }

    /// By a link that the peer is on too; else in packets to its first IPv4 address, whatever they carry.
    private func path(to subnet: IPNetwork, of peer: NetworkPeer) -> PeerPath? {
        let own = Set(addresses.map(\.network.address))
        let candidates = peer.addresses.filter { address in
            !address.isLoopback && !address.isUnspecified && !own.contains(address)
                && !(address.isV6 && address.isLinkLocal) && !configuration.clusterNetwork.contains(address)
                && configuration.clusterNetworkV6?.contains(address) != true
        }
        for address in candidates where address.isV4 == subnet.address.isV4 {
            if let link = sharedLink(with: address) {
                return PeerPath(
                    subnet: subnet, peerSubnet: peer.subnet.network, address: address, carrier: .direct(link: link))
            }
        }
        return candidates.first(where: \.isV4).map {
            PeerPath(subnet: subnet, peerSubnet: peer.subnet.network, address: $0, carrier: .vxlan)
        }
    }

    /// The link with the closest network that contains the address. Tunnels without hardware addresses do not count: they pass
    /// only what they were told of.
    private func sharedLink(with address: IPAddress) -> Int32? {
        addresses.filter { $0.network.contains(address) && links[$0.link]?.hardwareAddress != nil }
            .max { ($0.network.prefixLength, $1.link) < ($1.network.prefixLength, $0.link) }?.link
    }

    /// The largest packet that fits into an encapsulated one on the way to every peer that needs it, in bytes.
    func vxlanMTU(for paths: [PeerPath]) -> UInt32 {
        let overlay = paths.filter { $0.carrier == .vxlan }
        let outer = overlay.compactMap { path in
            routes.filter { $0.destination.contains(path.address) && $0.link != nil }
                .max { left, right in
                    let (a, b) = (left.destination.prefixLength, right.destination.prefixLength)
                    return a == b ? (left.priority ?? 0) > (right.priority ?? 0) : a < b
                }
                .flatMap { $0.link }.flatMap { links[$0]?.mtu }
        }
        let smallest = outer.min() ?? 1500
        // Where that is too small for IPv6, outer packets are divided: they may be, unlike those inside.
        let least = overlay.contains { $0.subnet.address.isV6 } ? Self.smallestV6MTU : Self.smallestMTU
        return max(least, smallest < Self.encapsulationBytes ? 0 : smallest - Self.encapsulationBytes)
    }
}
