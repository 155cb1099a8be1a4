// SPDX-License-Identifier: Apache-2.0

/// An IPv4 or IPv6 address without zone.
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// The address in network byte order: 4 or 16 bytes.
    package let bytes: [UInt8]

    /// Creates an address of 4 or 16 bytes in network byte order; nil for another count.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = Array(bytes)
    }

    fileprivate init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    /// Creates an IPv4 address.
    package init(v4 a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) { bytes = [a, b, c, d] }

    /// 127.0.0.1
    package static let loopbackV4 = IPAddress(v4: 127, 0, 0, 1)
    /// ::1
    package static let loopbackV6 = IPAddress(unchecked: [UInt8](repeating: 0, count: 15) + [1])

    /// Parses dotted decimals (without leading zeros, as inet_pton(3) and Go want it) or RFC 4291 text; nil if it is neither.
    package init?(_ text: some StringProtocol) {
        let utf8 = Array(text.utf8)
        guard utf8.count <= 45 else { return nil }
        if utf8.contains(UInt8(ascii: ":")) {
            guard let bytes = Self.parseV6(utf8) else { return nil }
            self.bytes = bytes
        } else {
            guard let bytes = Self.parseV4(utf8[...]) else { return nil }
            self.bytes = bytes
        }
    }

    package var isV4: Bool { bytes.count == 4 }
    package var isV6: Bool { bytes.count == 16 }
    /// The number of bits: 32 or 128.
    package var bitCount: Int { bytes.count * 8 }

    /// Whether packets to this address never leave the machine (127.0.0.0/8, ::1).
    package var isLoopback: Bool { isV4 ? bytes[0] == 127 : self == .loopbackV6 }
    /// Whether this is 0.0.0.0 or ::.
    package var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }
    /// Whether this is valid on one link only (169.254.0.0/16, fe80::/10).
    package var isLinkLocal: Bool {
        isV4 ? bytes[0] == 169 && bytes[1] == 254 : bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80
    }

    /// Whether a packet to this address goes to a group (224.0.0.0/4, ff00::/8).
    package var isMulticast: Bool { isV4 ? bytes[0] & 0xF0 == 0xE0 : bytes[0] == 0xFF }
    /// Whether this is one of a site's own IPv6 addresses (fc00::/7, RFC 4193), which no provider changes.
    package var isUniqueLocal: Bool { isV6 && bytes[0] & 0xFE == 0xFC }

    /// The address `offset` further on; nil past the last one.
    package func advanced(by offset: Int) -> IPAddress? {
        var bytes = bytes
        var carry = offset
        for index in bytes.indices.reversed() where carry != 0 {
            let sum = Int(bytes[index]) + carry
            bytes[index] = UInt8(truncatingIfNeeded: sum)
            carry = sum >> 8
        }
        return carry == 0 ? IPAddress(unchecked: bytes) : nil
    }

    /// Dotted decimals, or IPv6 text in the canonical form of RFC 5952.
    package var description: String {
        if isV4 { return bytes.map { String($0) }.joined(separator: ".") }
        let groups = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        if groups[..<5].allSatisfy({ $0 == 0 }), groups[5] == 0xFFFF {
            return "::ffff:" + bytes[12...].map { String($0) }.joined(separator: ".")
        }
        guard let zeros = Self.longestZeroRun(groups) else {
            return groups.map { String($0, radix: 16) }.joined(separator: ":")
        }
        let head = groups[..<zeros.lowerBound].map { String($0, radix: 16) }.joined(separator: ":")
        let tail = groups[zeros.upperBound...].map { String($0, radix: 16) }.joined(separator: ":")
        return head + "::" + tail
    }

    /// The first longest run of at least two zero groups.
    private static func longestZeroRun(_ groups: [UInt16]) -> Range<Int>? {
        var best: Range<Int>?
        var start = 0
        while start < groups.count {
            var end = start
            while end < groups.count, groups[end] == 0 { end += 1 }
            if end - start >= 2, end - start > best?.count ?? 0 { best = start..<end }
            start = max(end, start + 1)
        }
        return best
    }

    private static func parseV4(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy({ (0x30...0x39).contains($0) }),
                part.count == 1 || part.first != 0x30,
                let value = UInt8(String(decoding: part, as: UTF8.self))
            else { return nil }
            bytes.append(value)
        }
        return bytes
    }

    private static func parseV6(_ text: [UInt8]) -> [UInt8]? {
        let colon = UInt8(ascii: ":")
        let gap = text.indices.dropLast().first { text[$0] == colon && text[$0 + 1] == colon }
        guard let gap else {
            guard let bytes = groups(text[...]), bytes.count == 16 else { return nil }
            return bytes
        }
        guard let head = groups(text[..<gap]), let tail = groups(text[(gap + 2)...]), head.count + tail.count <= 14,
            !(text[..<gap].contains(UInt8(ascii: ".")))
        else { return nil }
        return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
    }

    /// The bytes of hexadecimal groups separated by colons, the last of which may be an IPv4 address.
    private static func groups(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        if text.isEmpty { return [] }
        var bytes: [UInt8] = []
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
                guard let v4 = parseV4(part) else { return nil }
                bytes += v4
                continue
            }
            let digits = String(decoding: part, as: UTF8.self)
            guard (1...4).contains(part.count), part.first != UInt8(ascii: "+"), let value = UInt16(digits, radix: 16)
            else { return nil }
            bytes += [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)]
        }
        return bytes
    }
}

extension IPAddress: Comparable {
    /// IPv4 before IPv6, then numerically.
    package static func < (left: IPAddress, right: IPAddress) -> Bool {
        left.bytes.count != right.bytes.count
            ? left.bytes.count < right.bytes.count : left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

/// A network or an interface's address: an address and the length of its prefix, `10.1.0.0/16`.
package struct IPNetwork: Hashable, Sendable, CustomStringConvertible {
    package let address: IPAddress
    package let prefixLength: Int

    /// Nil if the prefix is longer than the address.
    package init?(_ address: IPAddress, prefixLength: Int) {
        guard (0...address.bitCount).contains(prefixLength) else { return nil }
        self.address = address
        self.prefixLength = prefixLength
    }

    /// Parses CIDR notation; host bits may be set, see ``network``.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), !parts[1].isEmpty,
            parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), parts[1].utf8.count <= 3,
            parts[1].utf8.count == 1 || parts[1].utf8.first != 0x30, let length = Int(parts[1])
        else { return nil }
        self.init(address, prefixLength: length)
    }

    /// The network that only this address belongs to.
    package init(host address: IPAddress) {
        self.address = address
        prefixLength = address.bitCount
    }

    /// 0.0.0.0/0 or ::/0: all addresses of the other one's family.
    package static func everything(like address: IPAddress) -> IPNetwork {
        IPNetwork(unchecked: IPAddress(unchecked: address.bytes.map { _ in 0 }), prefixLength: 0)
    }

    private init(unchecked address: IPAddress, prefixLength: Int) {
        self.address = address
        self.prefixLength = prefixLength
    }

    /// The same with all host bits zero.
    package var network: IPNetwork {
        var bytes = address.bytes
        for index in bytes.indices {
            let kept = min(max(prefixLength - index * 8, 0), 8)
            bytes[index] &= UInt8(truncatingIfNeeded: 0xFF00 >> kept)
        }
        guard let masked = IPAddress(bytes: bytes), let network = IPNetwork(masked, prefixLength: prefixLength) else {
            return self
        }
        return network
    }

    /// Whether an address of the same family has this prefix.
    package func contains(_ other: IPAddress) -> Bool {
        guard other.bitCount == address.bitCount, let mine = IPNetwork(other, prefixLength: prefixLength) else {
            return false
        }
        return mine.network.address == network.address
    }

    /// Whether all addresses of another network of the same family have this prefix.
    package func contains(_ other: IPNetwork) -> Bool {
        other.prefixLength >= prefixLength && contains(other.address)
    }

    package var description: String { "\(address)/\(prefixLength)" }
}
