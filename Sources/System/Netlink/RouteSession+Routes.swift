// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// A unicast route.
package struct Route: Hashable, Sendable {
    /// How far the destination is (rtnetlink(7)).
    package enum Scope: UInt8, Hashable, Sendable {
        case universe = 0
        case site = 200
        case link = 253
        case host = 254
        case nowhere = 255
    }

    /// Where packets go; the default route's is 0.0.0.0/0 or ::/0.
    package var destination: IPNetwork
    package var gateway: IPAddress?
    /// The index of the link by which they leave.
    package var link: Int32?
    /// The source address of the machine's own packets.
    package var source: IPAddress?
    /// The smallest number wins.
    package var priority: UInt32?
    /// The routing table; 254 is the main one.
    package var table: UInt32
    package var scope: Scope
    /// Whether the gateway counts as a neighbour although no network of the link contains it.
    package var isOnLink: Bool
    /// Who made the route: 2 the kernel, 3 boot, 4 an administrator.
    package var origin: UInt8

    /// The main routing table.
    package static let mainTable: UInt32 = 254

    package init(
        to destination: IPNetwork, via gateway: IPAddress? = nil, link: Int32? = nil, source: IPAddress? = nil,
        priority: UInt32? = nil, table: UInt32 = mainTable, scope: Scope? = nil, isOnLink: Bool = false,
        origin: UInt8 = 4
    ) {
        self.destination = destination
        self.gateway = gateway
        self.link = link
        self.source = source
        self.priority = priority
        self.table = table
        // As ip-route(8) chooses it: what has no gateway is reached on the link.
        self.scope = scope ?? (gateway == nil && destination.address.isV4 ? .link : .universe)
        self.isOnLink = isOnLink
        self.origin = origin
    }

    /// Reads a message of the type RTM_NEWROUTE; nil where it is malformed or no unicast route.
    init?(_ reply: Reply) {
        guard reply.type == MessageType.newRoute.rawValue else { return nil }
        var reader = ByteReader(reply.payload)
        guard let family: UInt8 = reader.next(), let prefixLength: UInt8 = reader.next() else { return nil }
        reader.skip(2)
        guard let shortTable: UInt8 = reader.next(), let origin: UInt8 = reader.next(),
            let scope: UInt8 = reader.next(), let type: UInt8 = reader.next(), let flags: UInt32 = reader.next(),
            type == RouteNumber.unicast, let attributes = reader.attributes()
        else { return nil }
        let zero = [UInt8](repeating: 0, count: family == IPAddress.loopbackV4.family ? 4 : 16)
        let bytes = attributes[RouteAttribute.destination] ?? zero[...]
        guard let address = IPAddress(bytes: bytes),
            let destination = IPNetwork(address, prefixLength: Int(prefixLength))
        else { return nil }
        self.destination = destination
        gateway = attributes[RouteAttribute.gateway].flatMap { IPAddress(bytes: $0) }
        link = attributes[RouteAttribute.outputLink]?.number()
        source = attributes[RouteAttribute.preferredSource].flatMap { IPAddress(bytes: $0) }
        priority = attributes[RouteAttribute.priority]?.number()
        table = attributes[RouteAttribute.table]?.number() ?? UInt32(shortTable)
        self.scope = Scope(rawValue: scope) ?? .universe
        isOnLink = flags & RouteNumber.onLink != 0
        self.origin = origin
    }
}

/// Attributes of routes (linux/rtnetlink.h).
private enum RouteAttribute {
    static let destination: UInt16 = 1
    static let outputLink: UInt16 = 4
    static let gateway: UInt16 = 5
    static let priority: UInt16 = 6
    static let preferredSource: UInt16 = 7
    static let table: UInt16 = 15
}

private enum RouteNumber {
    static let unicast: UInt8 = 1
    /// RTNH_F_ONLINK
    static let onLink: UInt32 = 4
}

extension RouteSession {
    /// The unicast routes of a family, of all tables or one.
    package func routes(v6: Bool = false, table: UInt32? = Route.mainTable) throws -> [Route] {
        var message = Message(.getRoute, .dump)
        // An rtmsg of a family and nothing else.
        message.add(v6 ? IPAddress.loopbackV6.family : IPAddress.loopbackV4.family)
        for _ in 0..<7 { message.add(UInt8(0)) }
        message.add(UInt32(0))
        let all = try request(message, "list", "routes").compactMap(Route.init)
        return all.filter { table == nil || $0.table == table }
    }

    /// Adds a route, or replaces the one to the same destination with the same priority.
    package func setRoute(_ route: Route) throws {
        try request(Self.message(.newRoute, [.create, .replace], route), "set the route", "to \(route.destination)")
    }

    /// Adds a route; EEXIST where there is one.
    package func addRoute(_ route: Route) throws {
        try request(Self.message(.newRoute, [.create, .exclusive], route), "add the route", "to \(route.destination)")
    }

    /// Deletes a route; false where there was none.
    @discardableResult
    package func deleteRoute(_ route: Route) throws -> Bool {
        try deleting {
            try request(Self.message(.deleteRoute, [], route), "delete the route", "to \(route.destination)")
        }
    }

    private static func message(_ type: MessageType, _ flags: Message.Flags, _ route: Route) -> Message {
        var message = Message(type, flags)
        message.add(route.destination.address.family)
        message.add(UInt8(route.destination.prefixLength))
        message.add(UInt8(0))
        message.add(UInt8(0))
        message.add(UInt8(route.table < 256 ? route.table : 0))
        message.add(route.origin)
        message.add(route.scope.rawValue)
        message.add(RouteNumber.unicast)
        message.add(route.isOnLink ? RouteNumber.onLink : UInt32(0))
        if route.destination.prefixLength > 0 {
            message.attribute(RouteAttribute.destination, route.destination.network.address.bytes)
        }
        if let gateway = route.gateway { message.attribute(RouteAttribute.gateway, gateway.bytes) }
        if let link = route.link { message.attribute(RouteAttribute.outputLink, link) }
        if let source = route.source { message.attribute(RouteAttribute.preferredSource, source.bytes) }
        if let priority = route.priority { message.attribute(RouteAttribute.priority, priority) }
        message.attribute(RouteAttribute.table, route.table)
        return message
    }
}
