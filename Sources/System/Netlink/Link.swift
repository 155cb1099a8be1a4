// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// A hardware (MAC) address of six bytes.
package struct HardwareAddress: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    /// Nil unless there are six bytes.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 6 else { return nil }
        self.bytes = Array(bytes)
    }

    /// The address `02:…` made of five bytes: locally administered, unicast.
    package init(local a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, _ e: UInt8) { bytes = [0x02, a, b, c, d, e] }

    /// The link-local IPv6 address that is made of this (RFC 4291, appendix A).
    package var linkLocalAddress: IPAddress? {
        let head: [UInt8] = [0xFE, 0x80, 0, 0, 0, 0, 0, 0]
        return IPAddress(
            bytes: head + [bytes[0] ^ 0x02, bytes[1], bytes[2], 0xFF, 0xFE, bytes[3], bytes[4], bytes[5]])
    }

    /// `02:00:0a:01:00:05`.
    package var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}

/// A network interface, as the kernel describes it.
package struct Link: Hashable, Sendable {
    package let index: Int32
    package let name: String
    /// `bridge`, `veth`, `vxlan`; empty for hardware and the loopback interface.
    package let kind: String
    /// Whether it is set up (IFF_UP).
    package let isUp: Bool
    /// Whether it can pass packets (IFF_LOWER_UP).
    package let hasCarrier: Bool
    package let isLoopback: Bool
    package let mtu: UInt32
    package let hardwareAddress: HardwareAddress?
    /// The index of the bridge that it is a port of.
    package let master: Int32?
    /// The index of the link below or at the other end, in ``peerNamespace``.
    package let peer: Int32?
    /// The kernel's number for the namespace of ``peer`` if it is another one.
    package let peerNamespace: Int32?

    /// Reads a message of the type RTM_NEWLINK; nil where it is malformed.
    init?(_ reply: Reply) {
        guard reply.type == MessageType.newLink.rawValue else { return nil }
        var reader = ByteReader(reply.payload)
        reader.skip(4)
        guard let index: Int32 = reader.next(), let flags: UInt32 = reader.next() else { return nil }
        reader.skip(4)
        guard let attributes = reader.attributes(), let name = attributes[LinkAttribute.name]?.text else { return nil }
        self.index = index
        self.name = name
        kind = attributes[LinkAttribute.info]?.nestedAttributes[LinkAttribute.Info.kind]?.text ?? ""
        isUp = flags & LinkFlag.up != 0
        hasCarrier = flags & LinkFlag.lowerUp != 0
        isLoopback = flags & LinkFlag.loopback != 0
        mtu = attributes[LinkAttribute.mtu]?.number() ?? 0
        hardwareAddress = attributes[LinkAttribute.address].flatMap { HardwareAddress(bytes: $0) }
        master = attributes[LinkAttribute.master]?.number()
        peer = attributes[LinkAttribute.link]?.number()
        peerNamespace = attributes[LinkAttribute.linkNamespace]?.number()
    }
}

/// Flags of a link (netdevice(7)).
enum LinkFlag {
    static let up: UInt32 = 0x1
    static let loopback: UInt32 = 0x8
    static let lowerUp: UInt32 = 0x10000
}

/// Attributes of links (linux/if_link.h).
enum LinkAttribute {
    static let address: UInt16 = 1
    static let name: UInt16 = 3
    static let mtu: UInt16 = 4
    static let link: UInt16 = 5
    static let master: UInt16 = 10
    static let portInformation: UInt16 = 12
    static let info: UInt16 = 18
    static let alias: UInt16 = 20
    static let namespaceDescriptor: UInt16 = 28
    static let extensionMask: UInt16 = 29
    static let linkNamespace: UInt16 = 37

    enum Info {
        static let kind: UInt16 = 1
        static let data: UInt16 = 2
    }
    enum VirtualEthernet {
        static let peer: UInt16 = 1
    }
    enum Bridge {
        static let forwardDelay: UInt16 = 1
        static let spanningTree: UInt16 = 5
    }
    enum BridgePort {
        static let hairpin: UInt16 = 4
        static let learning: UInt16 = 8
        static let isolated: UInt16 = 33
    }
    enum VXLAN {
        static let identifier: UInt16 = 1
        static let link: UInt16 = 3
        static let localV4: UInt16 = 4
        static let learning: UInt16 = 7
        static let port: UInt16 = 15
        static let localV6: UInt16 = 17
    }
}
