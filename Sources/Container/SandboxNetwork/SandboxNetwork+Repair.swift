// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Netlink
import Synchronization

/// Mending what somebody else changed while sandboxes are in use: a link that was deleted, a firewall that was started anew.
///
/// What is as it must be is not touched, so that listening to the kernel's changes and mending is no endless loop.
extension SandboxNetwork {
    /// Brings bridge, kernel parameters and the links of sandboxes back to what they must be; processes in sandboxes go on.
    ///
    /// - Returns: the links that had to be mended.
    /// - Throws: The first error, after everything else was done.
    @discardableResult
    package func repairLinks() throws -> [String] {
        let (isPrepared, mtu) = state.withLock { ($0.bridge != nil, $0.mtu) }
        guard isPrepared else { return [] }
        var mended: [String] = []
        let (bridge, isChanged) = try prepareBridge(mtu: mtu)
        if isChanged { mended.append(configuration.bridgeName) }
        state.withLock { $0.bridge = bridge }
        try prepareParameters()
        let links = Dictionary(try session.links().map { ($0.name, $0) }) { first, _ in first }
        let records = state.withLock { $0.records.values.filter(\.isComplete) }
        var failure: (any Error)?
        for record in records where !isConnected(links[record.linkName], to: bridge) {
            do {
                if try repair(record.sandboxID, bridge, mtu) { mended.append(record.linkName) }
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return mended.sorted()
    }

    /// Sets the rules again if the table is not what it was when they were set last.
    ///
    /// - Returns: whether they had to be.
    @discardableResult
    package func repairTable() throws -> Bool {
        guard state.withLock({ $0.bridge != nil }) else { return false }
        return try tableLock.withLock { known in
            if known == Nftables.listing(table: configuration.tableName) { return false }
            try applyTable(&known)
            return true
        }
    }

    private func isConnected(_ link: Link?, to bridge: Int32) -> Bool { link?.master == bridge && link?.isUp == true }

    /// - Returns: false where there was nothing to mend after all.
    private func repair(_ sandboxID: String, _ bridge: Int32, _ mtu: UInt32) throws -> Bool {
        // Who changes it makes its link right, or takes it away.
        guard reserve(sandboxID) else { return false }
        defer { release(sandboxID) }
        let namespaces = PinnedNamespaces(directory: store.path(of: sandboxID))
        // One without namespaces has no processes: its user replaces it.
        guard let record = state.withLock({ $0.records[sandboxID] }), record.isComplete, namespaces.exist else {
            return false
        }
        if let link = try session.link(named: record.linkName) {
            if isConnected(link, to: bridge) { return false }
            try session.change(link: link.index, LinkSettings(master: bridge, isUp: true))
            try session.change(port: link.index, hairpin: true)
            return true
        }
        try connect(record, to: bridge, mtu: mtu, namespaces)
        try configure(RouteSession(namespace: namespaces.networkPath), record)
        try setLinkParameters(record, namespaces)
        return true
    }
}
