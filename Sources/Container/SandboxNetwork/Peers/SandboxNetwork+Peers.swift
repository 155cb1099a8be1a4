// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Logging
import Netlink
import Synchronization

/// Paths to the sandboxes of other machines.
///
/// Nothing about them is kept on disk: the kernel is asked. Routes are known by their origin, entries for VXLAN by their
/// link, so that they are found again after a crash and taken away whoever made them.
extension SandboxNetwork {
    /// The origin (rtm_protocol) of routes to peers; no routing daemon of rt_protos has this number.
    static let routeOrigin: UInt8 = 83

    /// Makes the sandboxes of these peers, and of no others, reachable; doing it twice changes nothing.
    ///
    /// A peer on a subnet of one of our links gets a route by its address, any other one a route by VXLAN. One that cannot be
    /// served does not stop the others.
    /// - Throws: The first error of the kernel, after everything else was done.
    @discardableResult
    package func setPeers(_ peers: [NetworkPeer]) throws -> PeerOutcome {
        try knownPeers.withLock { known in
            known = peers
            return try apply(peers)
        }
    }

    /// Looks at the paths to the known peers again, after links or addresses of this machine changed.
    @discardableResult
    package func refreshPeers() throws -> PeerOutcome {
        try knownPeers.withLock { known in try apply(known) }
    }

    private func apply(_ peers: [NetworkPeer]) throws -> PeerOutcome {
        let plan = PeerPlan(
            configuration: configuration, links: try session.links(), addresses: try session.addresses(),
            routes: try session.routes())
        var outcome = plan.outcome(for: peers)
        var attempt = Attempt()
        let overlay = outcome.paths.filter { $0.carrier == .vxlan }
        var vxlan: Int32?
        if !overlay.isEmpty {
            attempt.run { () throws in
                let link = try prepareVXLAN(mtu: plan.vxlanMTU(for: outcome.paths), &outcome.isChanged)
                try setEntries(overlay, link: link, &outcome.isChanged)
                vxlan = link
            }
        }
        let routes = outcome.paths.compactMap { route(of: $0, vxlan: vxlan) }
        let hasV6 = configuration.subnetV6 != nil
        let present = try (session.routes() + (hasV6 ? session.routes(v6: true) : []))
            .filter { $0.origin == Self.routeOrigin }
        for route in routes where !present.contains(route) {
            outcome.isChanged = true
            attempt.run { try session.setRoute(route) }
        }
        let wanted = Set(outcome.paths.map(\.subnet))
        for route in present where !wanted.contains(route.destination) {
            outcome.isChanged = true
            attempt.run { try session.deleteRoute(route) }
        }
        if overlay.isEmpty { attempt.run { () throws in try removeVXLAN(&outcome.isChanged) } }
        if let error = attempt.firstError { throw error }
        return outcome
    }

    private func route(of path: PeerPath, vxlan: Int32?) -> Route? {
        let isV4 = path.subnet.address.isV4
        // What the kernel gives an IPv6 route that names none (IP6_RT_PRIO_USER).
        let priority: UInt32? = isV4 ? nil : 1024
        switch path.carrier {
        case .direct(let link):
            // An IPv6 address may come without a route to its network (noprefixroute).
            return Route(
                to: path.subnet, via: path.address, link: link, priority: priority, isOnLink: !isV4,
                origin: Self.routeOrigin)
        case .vxlan:
            guard let vxlan, let end = tunnelEnd(of: path) else { return nil }
            // What the machine itself sends comes from the gateway, because the peer may have no other way back.
            return Route(
                to: path.subnet, via: end, link: vxlan, source: isV4 ? gateway : gatewayV6, priority: priority,
                isOnLink: isV4, origin: Self.routeOrigin)
        }
    }

    // MARK: VXLAN

    /// Makes the VXLAN link, or makes it what it must be; its index.
    private func prepareVXLAN(mtu: UInt32, _ isChanged: inout Bool) throws -> Int32 {
        let name = configuration.vxlanName
        let hardware = tunnelAddress(of: configuration.subnet)
        let settings = LinkSettings(mtu: mtu, hardwareAddress: hardware, isUp: true)
        if try session.link(named: name) == nil {
            var settings = settings
            settings.name = name
            // No local address: packets take the one of the route to the peer, also after it changed.
            try session.createVXLAN(
                settings, identifier: configuration.vxlanIdentifier, local: nil, port: configuration.vxlanPort)
            isChanged = true
        }
        guard let link = try session.link(named: name), link.kind == "vxlan" else {
            throw SandboxNetworkError(
                .conflict, "prepare the VXLAN link", name,
                "a link of this name is of another kind; delete it or configure another name")
        }
        if link.mtu != mtu || !link.isUp || link.hardwareAddress != hardware {
            try session.change(link: link.index, settings)
            isChanged = true
        }
        try prepareLinkV6(name)
        // While two peers change from one carrier to the other, packets come by one and leave by the other.
        try SystemControl.write("net/ipv4/conf/\(name)/rp_filter", "2")
        return link.index
    }

    /// Makes neighbours and forwarding entries of the VXLAN link those of the paths.
    private func setEntries(_ paths: [PeerPath], link: Int32, _ isChanged: inout Bool) throws {
        let forwardings = Set(
            paths.map {
                Forwarding(link: link, hardwareAddress: tunnelAddress(of: $0.peerSubnet), remote: $0.address)
            })
        let neighbours = Set(
            paths.compactMap { path in
                tunnelEnd(of: path).map {
                    Neighbour(link: link, address: $0, hardwareAddress: tunnelAddress(of: path.peerSubnet))
                }
            })
        let presentForwardings = Set(try session.forwardings(link: link))
        // The kernel adds entries of its own, for multicast; those are not permanent.
        var presentNeighbours = Set(try session.neighbours(link: link).filter(\.isPermanent))
        if configuration.subnetV6 != nil {
            presentNeighbours.formUnion(try session.neighbours(link: link, v6: true).filter(\.isPermanent))
        }
        for entry in presentForwardings.subtracting(forwardings) { try session.deleteForwarding(entry) }
        for entry in forwardings.subtracting(presentForwardings) { try session.setForwarding(entry) }
        for entry in presentNeighbours.subtracting(neighbours) { try session.deleteNeighbour(entry) }
        for entry in neighbours.subtracting(presentNeighbours) { try session.setNeighbour(entry) }
        if presentForwardings != forwardings || presentNeighbours != neighbours { isChanged = true }
    }

    private func removeVXLAN(_ isChanged: inout Bool) throws {
        guard let link = try session.link(named: configuration.vxlanName), link.kind == "vxlan" else { return }
        try session.deleteLink(index: link.index)
        isChanged = true
    }

    /// What stands for the peer's end of the tunnel in routes: its network address; for IPv6 the link-local address that
    /// follows from the hardware address, because the kernel refuses a gateway to which another route leads just now.
    private func tunnelEnd(of path: PeerPath) -> IPAddress? {
        path.subnet.address.isV4
            ? path.subnet.network.address : tunnelAddress(of: path.peerSubnet).linkLocalAddress
    }

    /// The hardware address of a node's end of the tunnels: it follows from the IPv4 subnet, so that nodes need not tell it.
    private func tunnelAddress(of subnet: IPNetwork) -> HardwareAddress {
        let bytes = Array(subnet.network.address.bytes.suffix(4))
        return HardwareAddress(local: 0x56, bytes[0], bytes[1], bytes[2], bytes[3])
    }
}

/// Runs steps of which none stops the others.
private struct Attempt {
    private(set) var firstError: (any Error)?

    mutating func run<Result>(_ step: () throws -> Result) {
        do { _ = try step() } catch { firstError = firstError ?? error }
    }
}
