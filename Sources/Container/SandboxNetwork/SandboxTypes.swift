// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// How a node's pod network is set up. Everything is named here, so that several nodes can share a machine.
package struct SandboxNetworkConfiguration: Sendable, Hashable {
    /// The bridge to which sandboxes are attached, at most 15 bytes.
    package var bridgeName: String
    /// The node's part of the pod network; its first address is the bridge's and the sandboxes' gateway.
    package var subnet: IPNetwork
    /// The pod network of the whole cluster: traffic to it keeps its source address.
    package var clusterNetwork: IPNetwork
    /// The node's part of the pod network of IPv6; nil where sandboxes have IPv4 addresses only. Again the first address is the
    /// bridge's.
    package var subnetV6: IPNetwork?
    /// The pod network of IPv6 of the whole cluster.
    package var clusterNetworkV6: IPNetwork?
    /// The nftables table of this network (family inet); nobody else may use it.
    package var tableName: String
    /// Where namespaces are pinned and attachments recorded; on a memory file system, so that a reboot forgets them.
    package var runDirectory: String
    /// The first bytes of the host-side link names, followed by eight hexadecimal digits: at most 7 bytes.
    package var linkPrefix: String
    /// The size of packets; nil takes the uplink's.
    package var mtu: UInt32?
    /// The link that carries packets to machines beyond a router, at most 15 bytes; made only where there are such.
    package var vxlanName = "swiftlet-vxlan"
    /// The number of the virtual network (VNI), 24 bits, the same on all machines.
    package var vxlanIdentifier: UInt32 = 5655
    /// The UDP port on which all machines of the cluster receive such packets.
    package var vxlanPort: UInt16

    package init(
        bridgeName: String = "swiftlet0", subnet: IPNetwork, clusterNetwork: IPNetwork,
        subnetV6: IPNetwork? = nil, clusterNetworkV6: IPNetwork? = nil,
        tableName: String = "swiftlet-network", runDirectory: String = "/run/swiftlet/network",
        linkPrefix: String = "swl", mtu: UInt32? = nil,
        vxlanPort: UInt16 = 4789
    ) {
        self.bridgeName = bridgeName
        self.subnet = subnet
        self.clusterNetwork = clusterNetwork
        self.subnetV6 = subnetV6
        self.clusterNetworkV6 = clusterNetworkV6
        self.tableName = tableName
        self.runDirectory = runDirectory
        self.linkPrefix = linkPrefix
        self.mtu = mtu
        self.vxlanPort = vxlanPort
    }

    /// The bridge's address.
    var gateway: IPAddress? { subnet.network.address.advanced(by: 1) }
    /// The bridge's IPv6 address.
    var gatewayV6: IPAddress? { subnetV6?.network.address.advanced(by: 1) }
}

/// A port of the machine that leads to a port of a sandbox.
package struct PortMapping: Hashable, Sendable {
    package enum TransportProtocol: String, Hashable, Sendable, CaseIterable {
        case tcp, udp, sctp
    }

    package var transport: TransportProtocol
    package var hostPort: UInt16
    package var sandboxPort: UInt16
    /// The machine's address that is mapped; nil (or an unspecified address) for all.
    package var hostAddress: IPAddress?

    package init(
        _ transport: TransportProtocol, hostPort: UInt16, sandboxPort: UInt16, hostAddress: IPAddress? = nil
    ) {
        self.transport = transport
        self.hostPort = hostPort
        self.sandboxPort = sandboxPort
        self.hostAddress = hostAddress.flatMap { $0.isUnspecified ? nil : $0 }
    }

    /// Whether both would claim the same packets.
    func conflicts(with other: PortMapping) -> Bool {
        transport == other.transport && hostPort == other.hostPort
            && (hostAddress == nil || other.hostAddress == nil || hostAddress == other.hostAddress)
    }
}

/// A sandbox's place in the network.
package struct SandboxAttachment: Hashable, Sendable {
    package let sandboxID: String
    /// The sandbox's addresses: IPv4, and IPv6 if it was made while the node had such a subnet.
    package let addresses: [IPAddress]
    package let gateway: IPAddress
    /// The name of the link inside.
    package let interface: String
    /// The pinned namespaces for containers to join.
    package let namespaces: PinnedNamespaces
}

/// Why the pod network could not be changed: what was attempted, on what, and the cause with its remedy.
package struct SandboxNetworkError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        /// What was asked for cannot be done as it is.
        case invalid
        /// No address is left.
        case exhausted
        /// Another sandbox, or another change of this one, is in the way.
        case conflict
        /// The kernel refused.
        case system
    }

    package let kind: Kind
    package let operation: String
    package let subject: String
    package let reason: String

    init(_ kind: Kind, _ operation: String, _ subject: String, _ reason: String) {
        self.kind = kind
        self.operation = operation
        self.subject = subject
        self.reason = reason
    }

    package var description: String { "cannot \(operation) \(subject): \(reason)" }
}
