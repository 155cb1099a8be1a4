// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// An address of a link.
package struct LinkAddress: Hashable, Sendable {
    /// The index of the link.
    package let link: Int32
    /// The address and the length of its network's prefix.
    package let network: IPNetwork
    /// The kernel's scope number: 0 global, 253 link, 254 host.
    package let scope: UInt8
    /// Whether others may keep the address in mind: it is neither a temporary one (RFC 8981), nor deprecated, nor still (or in
    /// vain) looked for on the link by duplicate address detection (RFC 4862).
    package let isLasting: Bool

    /// Reads a message of the type RTM_NEWADDR; nil where it is malformed.
    init?(_ reply: Reply) {
        guard reply.type == MessageType.newAddress.rawValue else { return nil }
        var reader = ByteReader(reply.payload)
        reader.skip(1)
        guard let prefixLength: UInt8 = reader.next(), let shortFlags: UInt8 = reader.next(),
            let scope: UInt8 = reader.next(), let link: Int32 = reader.next(),
            let attributes = reader.attributes(),
            // Local is what belongs to the link; the other one may be the far end's.
            let bytes = attributes[AddressAttribute.local] ?? attributes[AddressAttribute.address],
            let address = IPAddress(bytes: bytes),
            let network = IPNetwork(address, prefixLength: Int(prefixLength))
        else { return nil }
        self.link = link
        self.network = network
        self.scope = scope
        // The attribute has all flags; kernels before 3.14 have the first eight in the header only.
        let flags = attributes[AddressAttribute.flags]?.number() ?? UInt32(shortFlags)
        // For IPv4 the first flag means another one of several addresses of a network (IFA_F_SECONDARY).
        isLasting = address.isV4 || flags & AddressAttribute.passing == 0
    }
}

/// Attributes of addresses (linux/if_addr.h).
private enum AddressAttribute {
    static let address: UInt16 = 1
    static let local: UInt16 = 2
    static let flags: UInt16 = 8
    /// No duplicate address detection: the address is usable at once.
    static let noDuplicateDetection: UInt32 = 0x2
    /// IFA_F_TEMPORARY, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE
    static let passing: UInt32 = 0x01 | 0x08 | 0x20 | 0x40
}

extension IPAddress {
    /// AF_INET or AF_INET6.
    var family: UInt8 { isV4 ? 2 : 10 }
}

extension RouteSession {
    /// All addresses, or those of one link.
    package func addresses(link: Int32? = nil) throws -> [LinkAddress] {
        var message = Message(.getAddress, .dump)
        message.addAddressHeader(family: 0, prefixLength: 0, link: link ?? 0)
        let all = try request(message, "list", "addresses").compactMap(LinkAddress.init)
        return all.filter { link == nil || $0.link == link }
    }

    /// Gives an address to a link; no error where it has it already.
    package func setAddress(_ network: IPNetwork, link: Int32) throws {
        try request(
            Self.message(.newAddress, [.create, .replace], network, link), "add the address",
            "\(network) to link \(link)")
    }

    /// Gives an address to a link; EEXIST where it has it already.
    package func addAddress(_ network: IPNetwork, link: Int32) throws {
        try request(
            Self.message(.newAddress, [.create, .exclusive], network, link), "add the address",
            "\(network) to link \(link)")
    }

    /// Takes an address from a link; false where it did not have it.
    @discardableResult
    package func deleteAddress(_ network: IPNetwork, link: Int32) throws -> Bool {
        try deleting {
            try request(
                Self.message(.deleteAddress, [], network, link), "delete the address", "\(network) of link \(link)")
        }
    }

    private static func message(
        _ type: MessageType, _ flags: Message.Flags, _ network: IPNetwork, _ link: Int32
    ) -> Message {
        var message = Message(type, flags)
        message.addAddressHeader(
            family: network.address.family, prefixLength: UInt8(network.prefixLength), link: link)
        message.attribute(AddressAttribute.local, network.address.bytes)
        message.attribute(AddressAttribute.address, network.address.bytes)
        if network.address.isV6 { message.attribute(AddressAttribute.flags, AddressAttribute.noDuplicateDetection) }
        return message
    }
}

extension Message {
    /// Appends an `ifaddrmsg`.
    fileprivate mutating func addAddressHeader(family: UInt8, prefixLength: UInt8, link: Int32) {
        add(family)
        add(prefixLength)
        add(UInt8(0))
        add(UInt8(0))
        add(link)
    }
}
