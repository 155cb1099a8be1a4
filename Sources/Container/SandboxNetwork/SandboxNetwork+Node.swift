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
        let mtu = try configuration.mtu ?? uplinkMTU()
        let bridge = try prepareBridge(mtu: mtu)
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
        for (name, value) in try store.changedParameters() { try SystemControl.write(name, value) }
        try store.removeAll()
    }

    /// Makes the bridge where it is missing and gives it its address; its index.
    private func prepareBridge(mtu: UInt32) throws -> Int32 {
        let name = configuration.bridgeName
        let hardware = hardwareAddress(of: gateway)
        if try session.link(named: name) == nil {
            // A fixed hardware address: otherwise it would change with the ports.
            try session.createBridge(LinkSettings(mtu: mtu, hardwareAddress: hardware, isUp: true, name: name))
        }
        guard let bridge = try session.link(named: name), bridge.kind == "bridge" else {
            throw SandboxNetworkError(
                .conflict, "prepare the bridge", name,
                "a link of this name is no bridge; delete it or configure another name")
        }
        if bridge.mtu != mtu || !bridge.isUp || bridge.hardwareAddress != hardware {
            try session.change(link: bridge.index, LinkSettings(mtu: mtu, hardwareAddress: hardware, isUp: true))
        }
        guard let network = IPNetwork(gateway, prefixLength: configuration.subnet.prefixLength) else {
            return bridge.index
        }
        for address in try session.addresses(link: bridge.index)
        where address.network.address.isV4 && address.network != network {
            // The node's subnet changed.
            try session.deleteAddress(address.network, link: bridge.index)
        }
        try session.setAddress(network, link: bridge.index)
        return bridge.index
    }

    /// Kernel parameters of the machine: forwarding; no redirects, since sandboxes reach one another by the gateway only; and
    /// mapped ports that work on localhost too.
    private func prepareParameters() throws {
        let wanted = [
            ("net.ipv4.ip_forward", "1"), ("net.ipv4.conf.all.send_redirects", "0"),
            ("net/ipv4/conf/\(configuration.bridgeName)/send_redirects", "0"),
            ("net/ipv4/conf/\(configuration.bridgeName)/route_localnet", "1"),
        ]
        for (name, value) in wanted {
            let before = try SystemControl.read(name)
            if before == value { continue }
            // The bridge's own parameters go with it.
            if !name.hasPrefix("net/") {
                var changed = try store.changedParameters()
                if changed[name] == nil {
                    changed[name] = before
                    try store.setChangedParameters(changed)
                }
            }
            try SystemControl.write(name, value)
        }
    }

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
