// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Netlink
import Synchronization

/// The steps of making a sandbox and of taking it apart.
extension SandboxNetwork {
    /// Makes namespaces and link of a recorded sandbox.
    func setUp(_ record: SandboxRecord, hostname: String, parameters: [String: String]) throws {
        let (bridge, mtu) = state.withLock { ($0.bridge, $0.mtu) }
        guard let bridge else {
            throw SandboxNetworkError(
                .invalid, "create the sandbox", record.sandboxID, "the node has not been prepared")
        }
        let namespaces = PinnedNamespaces(directory: store.path(of: record.sandboxID))
        let own = parameters.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
        var defaults = SandboxParameters.defaults
        if SystemFacts.hasIPv6 { defaults += SandboxParameters.defaultsV6 }
        if record.addressV6 != nil { defaults += SandboxParameters.dualStack }
        let inside = RouteSession(
            try namespaces.create(
                hostname: hostname, parameters: defaults + own.filter { !SandboxParameters.isOfLink($0.name) }))
        try connect(record, to: bridge, mtu: mtu, namespaces)
        try configure(inside, record)
        try setLinkParameters(record, namespaces)
    }

    func setLinkParameters(_ record: SandboxRecord, _ namespaces: PinnedNamespaces) throws {
        guard !record.linkParameters.isEmpty else { return }
        try NetworkNamespace.run(at: namespaces.networkPath) {
            for (name, value) in record.linkParameters.sorted(by: { $0.key < $1.key }) {
                try SystemControl.write(name, value)
            }
        }
    }

    /// Makes the link between bridge and sandbox.
    func connect(
        _ record: SandboxRecord, to bridge: Int32, mtu: UInt32, _ namespaces: PinnedNamespaces
    ) throws {
        let namespace = try FileDescriptor.open(reading: namespaces.networkPath)
        let outer = LinkSettings(mtu: mtu, master: bridge, isUp: true, name: record.linkName)
        let inner = LinkSettings(
            mtu: mtu, hardwareAddress: hardwareAddress(of: record.address), name: Self.interface,
            namespaceDescriptor: namespace.rawValue)
        do {
            try session.createVirtualEthernet(outer, peer: inner)
        } catch let error as NetlinkError where error.errno == NetlinkError.exists {
            // The link of a sandbox that had this address and is just going, or whose record was lost.
            try session.deleteLink(named: record.linkName)
            try session.createVirtualEthernet(outer, peer: inner)
        }
        guard let link = try session.link(named: record.linkName) else {
            throw SandboxNetworkError(.system, "find the link", record.linkName, "it is gone again")
        }
        // Where br_netfilter is loaded, translated packets are bridged, not routed: those of a sandbox that reaches itself by a
        // mapped port leave by the port by which they came. (Isolating ports would break such translation altogether.)
        try session.change(port: link.index, hairpin: true)
    }

    /// Sets up links, addresses and default routes inside a sandbox.
    func configure(_ inside: RouteSession, _ record: SandboxRecord) throws {
        try inside.change(link: 1, LinkSettings(isUp: true))
        guard let link = try inside.link(named: Self.interface) else {
            throw SandboxNetworkError(.system, "find the link", Self.interface, "it is gone again")
        }
        for address in record.addresses { try inside.setAddress(IPNetwork(host: address), link: link.index) }
        try inside.change(link: link.index, LinkSettings(isUp: true))
        try inside.setRoute(Self.defaultRoute(via: gateway, link.index))
        if record.addressV6 != nil, let gatewayV6 { try inside.setRoute(Self.defaultRoute(via: gatewayV6, link.index)) }
    }

    /// The gateway is a neighbour, although the address's network has no room for it.
    private static func defaultRoute(via gateway: IPAddress, _ link: Int32) -> Route {
        let everything = IPNetwork.everything(like: gateway)
        return Route(to: everything, via: gateway, link: link, scope: .universe, isOnLink: true)
    }

    /// An address that follows from the IP address, so that neighbour tables stay right when an IP address is used again.
    func hardwareAddress(of address: IPAddress) -> HardwareAddress {
        let bytes = Array(address.bytes.suffix(4))
        return HardwareAddress(local: 0x58, bytes[0], bytes[1], bytes[2], bytes[3])
    }

    /// Undoes whatever there is of a sandbox. The record goes last, so that a crash on the way is taken up again.
    func takeApart(_ sandboxID: String) throws {
        let (record, isKnown) = state.withLock { state in
            (state.records[sandboxID], state.records[sandboxID] != nil || state.damaged.contains(sandboxID))
        }
        guard isKnown else { return }
        let namespaces = PinnedNamespaces(directory: store.path(of: sandboxID))
        if let record {
            try disconnect(record, namespaces)
            if !record.portMappings.isEmpty { try applyTable(without: sandboxID) }
        }
        try namespaces.remove()
        try store.remove(sandboxID)
        state.withLock { state in
            state.damaged.remove(sandboxID)
            state.records[sandboxID] = nil
            for address in record?.addresses ?? [] { state.pool.release(address) }
        }
    }

    /// Cuts a sandbox off. Its link goes with its namespace a moment later, in the background: deleting it here would take the
    /// kernel some 20 ms, in which nobody else could change links.
    private func disconnect(_ record: SandboxRecord, _ namespaces: PinnedNamespaces) throws {
        guard let link = try session.link(named: record.linkName) else { return }
        if namespaces.exist {
            do {
                try session.change(link: link.index, LinkSettings(master: 0, isUp: false))
            } catch let error as NetlinkError where error.isMissing {
                return
            }
        } else {
            try session.deleteLink(index: link.index)
        }
    }

    /// Replaces the nftables table by what the records say; established connections are not touched by that.
    func applyTable(without excluded: String? = nil) throws {
        try tableLock.withLock { known in try applyTable(without: excluded, &known) }
    }

    /// - Parameter known: takes what the table holds then.
    func applyTable(without excluded: String? = nil, _ known: inout Set<String>) throws {
        var table = emptyTable
        state.withLock { state in
            for record in state.records.values where record.sandboxID != excluded {
                table.portMappings += record.addresses.flatMap { address in
                    record.portMappings.map { (address, $0) }
                }
            }
        }
        try Nftables.apply(table.replacement, "set the rules of the table", configuration.tableName)
        known = Nftables.listing(table: configuration.tableName)
    }

    var emptyTable: NetworkTable {
        NetworkTable(
            name: configuration.tableName, bridgeName: configuration.bridgeName, subnet: configuration.subnet,
            clusterNetwork: configuration.clusterNetwork, subnetV6: configuration.subnetV6,
            clusterNetworkV6: configuration.clusterNetworkV6, vxlanPort: configuration.vxlanPort)
    }
}
