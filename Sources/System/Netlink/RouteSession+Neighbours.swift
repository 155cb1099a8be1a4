// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// An entry of the neighbour table: which hardware address a neighbour on a link has.
package struct Neighbour: Hashable, Sendable {
    package var link: Int32
    package var address: IPAddress
    package var hardwareAddress: HardwareAddress
    /// Whether the entry stays until it is deleted.
    package var isPermanent: Bool

    package init(link: Int32, address: IPAddress, hardwareAddress: HardwareAddress, isPermanent: Bool = true) {
        self.link = link
        self.address = address
        self.hardwareAddress = hardwareAddress
        self.isPermanent = isPermanent
    }

    /// Reads a message of the type RTM_NEWNEIGH about an address; nil for others.
    init?(_ reply: Reply) {
        guard let parts = NeighbourParts(reply), let destination = parts.attributes[NeighbourAttribute.destination],
            let address = IPAddress(bytes: destination), let hardwareAddress = parts.hardwareAddress,
            parts.family == address.family
        else { return nil }
        self.init(
            link: parts.link, address: address, hardwareAddress: hardwareAddress,
            isPermanent: parts.state & NeighbourNumber.permanent != 0)
    }
}

/// An entry of a VXLAN link's forwarding table: to which machine frames for a hardware address are sent.
package struct Forwarding: Hashable, Sendable {
    package var link: Int32
    package var hardwareAddress: HardwareAddress
    package var remote: IPAddress

    package init(link: Int32, hardwareAddress: HardwareAddress, remote: IPAddress) {
        self.link = link
        self.hardwareAddress = hardwareAddress
        self.remote = remote
    }

    init?(_ reply: Reply) {
        guard let parts = NeighbourParts(reply), parts.family == NeighbourNumber.bridgeFamily,
            let destination = parts.attributes[NeighbourAttribute.destination],
            let remote = IPAddress(bytes: destination), let hardwareAddress = parts.hardwareAddress
        else { return nil }
        self.init(link: parts.link, hardwareAddress: hardwareAddress, remote: remote)
    }
}

/// The `ndmsg` and attributes of a message.
private struct NeighbourParts {
    let family: UInt8
    let link: Int32
    let state: UInt16
    let attributes: [UInt16: ArraySlice<UInt8>]

    init?(_ reply: Reply) {
        guard reply.type == MessageType.newNeighbour.rawValue else { return nil }
        var reader = ByteReader(reply.payload)
        guard let family: UInt8 = reader.next() else { return nil }
        reader.skip(3)
        guard let link: Int32 = reader.next(), let state: UInt16 = reader.next() else { return nil }
        reader.skip(2)
        guard let attributes = reader.attributes() else { return nil }
        self.family = family
        self.link = link
        self.state = state
        self.attributes = attributes
    }

    var hardwareAddress: HardwareAddress? {
        attributes[NeighbourAttribute.hardwareAddress].flatMap { HardwareAddress(bytes: $0) }
    }
}

/// Attributes of neighbours (linux/neighbour.h).
private enum NeighbourAttribute {
    static let destination: UInt16 = 1
    static let hardwareAddress: UInt16 = 2
}

private enum NeighbourNumber {
    static let reachable: UInt16 = 0x02
    static let permanent: UInt16 = 0x80
    static let noProtocol: UInt16 = 0x40
    /// NTF_SELF: the link's own table, not its bridge's.
    static let ofLink: UInt8 = 0x02
    static let bridgeFamily: UInt8 = 7
}

extension RouteSession {
    /// The neighbours of a link.
    package func neighbours(link: Int32, v6: Bool = false) throws -> [Neighbour] {
        var message = Message(.getNeighbour, .dump)
        message.addNeighbourHeader(family: v6 ? IPAddress.loopbackV6.family : IPAddress.loopbackV4.family)
        return try request(message, "list", "neighbours").compactMap(Neighbour.init).filter { $0.link == link }
    }

    /// Adds or replaces a neighbour.
    package func setNeighbour(_ neighbour: Neighbour) throws {
        try request(
            Self.message(.newNeighbour, neighbour), "set the neighbour", "\(neighbour.address) of \(neighbour.link)")
    }

    /// Deletes a neighbour; false where there was none.
    @discardableResult
    package func deleteNeighbour(_ neighbour: Neighbour) throws -> Bool {
        try deleting {
            try request(
                Self.message(.deleteNeighbour, neighbour), "delete the neighbour",
                "\(neighbour.address) of \(neighbour.link)")
        }
    }

    /// The forwarding entries of a VXLAN link.
    package func forwardings(link: Int32) throws -> [Forwarding] {
        var message = Message(.getNeighbour, .dump)
        message.addNeighbourHeader(family: NeighbourNumber.bridgeFamily)
        return try request(message, "list", "forwarding entries").compactMap(Forwarding.init)
            .filter { $0.link == link }
    }

    /// Adds or replaces a forwarding entry.
    package func setForwarding(_ entry: Forwarding) throws {
        try request(
            Self.message(.newNeighbour, entry), "set the forwarding entry", "\(entry.hardwareAddress) of \(entry.link)")
    }

    /// Deletes a forwarding entry; false where there was none.
    @discardableResult
    package func deleteForwarding(_ entry: Forwarding) throws -> Bool {
        try deleting {
            try request(
                Self.message(.deleteNeighbour, entry), "delete the forwarding entry",
                "\(entry.hardwareAddress) of \(entry.link)")
        }
    }

    private static func message(_ type: MessageType, _ neighbour: Neighbour) -> Message {
        var message = Message(type, type == .newNeighbour ? [.create, .replace] : [])
        message.addNeighbourHeader(
            family: neighbour.address.family, link: neighbour.link,
            state: neighbour.isPermanent ? NeighbourNumber.permanent : NeighbourNumber.reachable)
        message.attribute(NeighbourAttribute.destination, neighbour.address.bytes)
        message.attribute(NeighbourAttribute.hardwareAddress, neighbour.hardwareAddress.bytes)
        return message
    }

    private static func message(_ type: MessageType, _ entry: Forwarding) -> Message {
        var message = Message(type, type == .newNeighbour ? [.create, .replace] : [])
        message.addNeighbourHeader(
            family: NeighbourNumber.bridgeFamily, link: entry.link,
            state: NeighbourNumber.permanent | NeighbourNumber.noProtocol, flags: NeighbourNumber.ofLink)
        message.attribute(NeighbourAttribute.hardwareAddress, entry.hardwareAddress.bytes)
        message.attribute(NeighbourAttribute.destination, entry.remote.bytes)
        return message
    }
}

extension Message {
    /// Appends an `ndmsg`.
    fileprivate mutating func addNeighbourHeader(
        family: UInt8, link: Int32 = 0, state: UInt16 = 0, flags: UInt8 = 0
    ) {
        add(family)
        add(UInt8(0))
        add(UInt16(0))
        add(link)
        add(state)
        add(flags)
        add(UInt8(0))
    }
}
