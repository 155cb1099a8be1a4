// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// Another machine with sandboxes of its own, which are to be reached from this one's.
package struct NetworkPeer: Hashable, Sendable {
    /// The peer's part of the pod network.
    package var subnet: IPNetwork
    /// The peer's part of the pod network of IPv6, where it has one.
    package var subnetV6: IPNetwork?
    /// The peer's own addresses, the preferred one first.
    package var addresses: [IPAddress]

    package init(subnet: IPNetwork, subnetV6: IPNetwork? = nil, addresses: [IPAddress]) {
        self.subnet = subnet
        self.subnetV6 = subnetV6
        self.addresses = addresses
    }
}

/// How the sandboxes of a peer are reached by their addresses of one family.
package struct PeerPath: Hashable, Sendable {
    /// What carries the packets to the peer.
    package enum Carrier: Hashable, Sendable {
        /// They are handed to the peer as they are: it is a neighbour on a link of this machine.
        case direct(link: Int32)
        /// They travel in UDP, because routers on the way know nothing of sandboxes.
        case vxlan
    }

    package let subnet: IPNetwork
    /// The peer's IPv4 subnet, also where ``subnet`` is another: what its end of the tunnels is known by.
    package let peerSubnet: IPNetwork
    /// The address of the peer that is used.
    package let address: IPAddress
    package let carrier: Carrier
}

/// A peer that gets no path for one of its subnets, and why.
package struct RejectedPeer: Hashable, Sendable {
    package let peer: NetworkPeer
    package let reason: String
}

/// What has become of the wanted peers.
package struct PeerOutcome: Hashable, Sendable {
    package var paths: [PeerPath] = []
    package var rejected: [RejectedPeer] = []
    /// Whether something had to be changed in the kernel.
    package var isChanged = false
}
