// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Logging
import Netlink
import Synchronization

/// The parts that the node's sandboxes share.
extension SandboxNetwork {
    /// Brings bridge, kernel parameters and nftables table to the state that they must have, and takes apart what a crash
    /// left half-made. Doing it twice changes nothing.
    package func prepareNode() throws {
        try requireV6()
        var mtu = try configuration.mtu ?? uplinkMTU()
        if configuration.subnetV6 != nil { mtu = max(mtu, PeerPlan.smallestV6MTU) }
        let (bridge, _) = try prepareBridge(mtu: mtu)
        state.withLock { state in
            state.mtu = mtu
            state.bridge = bridge
        }
        try prepareParameters()
        let unfinished = state.withLock { state in
            state.damaged.union(state.records.values.lazy.filter { !$0.isComplete }.map(\.sandboxID))
        }
        for sandboxID in unfinished {
            logger.notice("Taking an unfinished sandbox apart", metadata: ["sandbox": "\(sandboxID)"])
            try remove(sandboxID: sandboxID)
        }
        try removeStrayLinks()
        try applyTable()
    }

    /// Removes every sandbox that is not among `sandboxIDs`, the ones that still have a pod.
    ///
    /// - Returns: the sandboxes that were removed.
    @discardableResult
    package func reconcile(keeping sandboxIDs: Set<String>) throws -> [String] {
        let known = state.withLock { Set($0.records.keys).union($0.damaged) }
        let removed = known.subtracting(sandboxIDs).sorted()
        for sandboxID in removed { try remove(sandboxID: sandboxID) }
        return removed
    }

    /// Removes all sandboxes, paths to peers, bridge, table and records, and sets kernel parameters back to what they were.
    package func removeAll() throws {
        try reconcile(keeping: [])
        try removeStrayLinks()
        try setPeers([])
        try session.deleteLink(named: configuration.bridgeName)
        state.withLock { $0.bridge = nil }
        try tableLock.withLock { _ in
            // Replaced before it is deleted, because deleting what is not there is an error.
            try Nftables.apply(
                emptyTable.replacement + emptyTable.removal, "delete the table", configuration.tableName)
        }
        for (name, value) in try store.changedParameters() { try setBack(name, value) }
        try store.removeAll()
    }

    /// Makes the bridge where it is missing and gives it its address; its index, and whether there was something to do.
    func prepareBridge(mtu: UInt32) throws -> (index: Int32, isChanged: Bool) {
        let name = configuration.bridgeName
        let hardware = hardwareAddress(of: gateway)
        var isChanged = false
        if try session.link(named: name) == nil {
            // A fixed hardware address: otherwise it would change with the ports. Down at first: what its parameters say
            // then counts for the IPv6 address that it makes itself when it is set up.
            // Without a packet size, which changes when the last port goes unless it was set afterwards.
            try session.createBridge(LinkSettings(hardwareAddress: hardware, name: name))
            isChanged = true
        }
        guard let bridge = try session.link(named: name), bridge.kind == "bridge" else {
            throw SandboxNetworkError(
                .conflict, "prepare the bridge", name,
                "a link of this name is no bridge; delete it or configure another name")
        }
        if bridge.mtu != mtu || bridge.hardwareAddress != hardware {
            try session.change(link: bridge.index, LinkSettings(mtu: mtu, hardwareAddress: hardware))
            isChanged = true
        }
        try prepareLinkV6(name)
        if !bridge.isUp {
            try session.change(link: bridge.index, LinkSettings(isUp: true))
            isChanged = true
        }
        let wanted = [
            IPNetwork(gateway, prefixLength: configuration.subnet.prefixLength),
            gatewayV6.flatMap { IPNetwork($0, prefixLength: configuration.subnetV6?.prefixLength ?? 128) },
        ].compactMap { $0 }
        let present = try session.addresses(link: bridge.index)
        for address in present where !wanted.contains(address.network) {
            if address.network.address.isV6, address.network.address.isLinkLocal { continue }
            // The node's subnet changed.
            try session.deleteAddress(address.network, link: bridge.index)
            if address.network.address.isV6, configuration.subnetV6 == nil { try removeRoutesV6() }
        }
        // Setting one that is there would be a change for whoever listens.
        for network in wanted where !present.contains(where: { $0.network == network }) {
            try session.setAddress(network, link: bridge.index)
            isChanged = true
        }
        return (bridge.index, isChanged)
    }

    // MARK: Kernel parameters

    /// Kernel parameters of the machine: forwarding; no redirects, since sandboxes reach one another by the gateway only; and
    /// mapped ports that work on localhost too.
    func prepareParameters() throws {
        let bridge = "net/ipv4/conf/\(configuration.bridgeName)"
        try setOnMachine("net.ipv4.ip_forward", "1")
        try setOnMachine("net.ipv4.conf.all.send_redirects", "0")
        try set("\(bridge)/send_redirects", "0")
        try set("\(bridge)/route_localnet", "1")
        if configuration.subnetV6 != nil { try forwardV6() }
    }

    /// Switches forwarding of IPv6 on.
    ///
    /// A machine that forwards listens to routers only where `accept_ra` is 2 (the kernel's ip-sysctl): links that listened go on
    /// doing so, or the machine would lose its own way out. That comes first, because routes that were learned are dropped at
    /// the change where it is 1.
    private func forwardV6() throws {
        let forwarding = "net.ipv6.conf.all.forwarding"
        guard try SystemControl.read(forwarding) == "0" else { return }
        let own = [configuration.bridgeName, configuration.vxlanName]
        let others = try session.links().map(\.name).filter {
            !own.contains($0) && !$0.hasPrefix(configuration.linkPrefix)
        }
        // The default is for links that come later.
        for name in ["default"] + others {
            let parameter = "net/ipv6/conf/\(name)/accept_ra"
            if try value(of: parameter) == "1" { try setOnMachine(parameter, "2") }
        }
        try setOnMachine(forwarding, "1")
    }

    /// Nil for a link without IPv6, or one that is just going.
    private func value(of parameter: String) throws(SystemError) -> String? {
        do { return try SystemControl.read(parameter) } catch  where error.isMissing { return nil }
    }

    /// IPv6 parameters of a link that this network made. Sandboxes are no routers to be believed.
    func prepareLinkV6(_ name: String) throws {
        // Neither a kernel without IPv6 has them, nor a link whose packets are too small for it.
        guard Files.exists("/proc/sys/net/ipv6/conf/\(name)") else { return }
        // IPv6 of the link itself may be switched off for all that is new.
        if configuration.subnetV6 != nil { try set("net/ipv6/conf/\(name)/disable_ipv6", "0") }
        try set("net/ipv6/conf/\(name)/accept_ra", "0")
        // Nobody else has the addresses, and until they had been looked for sandboxes could not be reached.
        if configuration.subnetV6 != nil { try set("net/ipv6/conf/\(name)/accept_dad", "0") }
    }

    /// Sets a parameter and notes what it was, for ``removeAll()``.
    private func setOnMachine(_ name: String, _ value: String) throws {
        let before = try SystemControl.read(name)
        if before == value { return }
        var changed = try store.changedParameters()
        if changed[name] == nil {
            changed[name] = before
            try store.setChangedParameters(changed)
        }
        try SystemControl.write(name, value)
    }

    /// Sets a parameter to what it was, unless its link is not there any more.
    private func setBack(_ name: String, _ value: String) throws(SystemError) {
        do { try SystemControl.write(name, value) } catch  where error.isMissing { return }
    }

    /// Sets a parameter that goes with its link.
    private func set(_ name: String, _ value: String) throws {
        if try SystemControl.read(name) != value { try SystemControl.write(name, value) }
    }

    // MARK: IPv6

    private func requireV6() throws {
        guard let subnet = configuration.subnetV6, !SystemFacts.hasIPv6 else { return }
        throw SandboxNetworkError(
            .system, "set up the pod network", "\(subnet)",
            "the kernel has no IPv6; remove ipv6.disable=1 from its command line, or the IPv6 range from the"
                + " configuration")
    }

    /// Takes away the paths to peers of a time when there was an IPv6 subnet.
    private func removeRoutesV6() throws {
        for route in try session.routes(v6: true) where route.origin == Self.routeOrigin {
            try session.deleteRoute(route)
        }
    }

    // MARK: Links

    /// Deletes links with our prefix that belong to no sandbox: what is left when a record was lost, or is just going.
    private func removeStrayLinks() throws {
        let known = state.withLock { Set($0.records.values.map(\.linkName)) }
        for link in try session.links() where link.name.hasPrefix(configuration.linkPrefix) && link.kind == "veth" {
            if known.contains(link.name) { continue }
            if try session.deleteLink(index: link.index) {
                logger.info("Deleted a stray link", metadata: ["link": "\(link.name)"])
            }
        }
    }

    /// The packet size of the link that the default route uses; 1500 where there is none.
    private func uplinkMTU() throws -> UInt32 {
        let routes = try session.routes().filter { $0.destination.prefixLength == 0 && $0.link != nil }
        guard let index = routes.min(by: { ($0.priority ?? 0) < ($1.priority ?? 0) })?.link,
            let link = try session.link(index: index)
        else { return 1500 }
        return link.mtu
    }
}
