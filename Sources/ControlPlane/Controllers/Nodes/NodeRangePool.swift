// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// The parts of one size that a range of addresses has, which nodes get.
package struct NodeRangePool: Sendable, Hashable {
    /// A range has at most 2 to the power of this many parts (upstream: clusterSubnetMaxDiff of the node IPAM controller).
    package static let largestDifference = 16

    private let range: IPNetwork
    /// The length of the parts' prefixes.
    private let prefixLength: Int

    /// Nil unless the range has parts of this size, and at most 65,536 of them.
    package init?(_ range: IPNetwork, partsOf prefixLength: Int) {
        guard (0...range.address.bitCount).contains(prefixLength),
            (0...Self.largestDifference).contains(prefixLength - range.prefixLength)
        else { return nil }
        self.range = range.network
        self.prefixLength = prefixLength
    }

    private var count: Int { 1 << (prefixLength - range.prefixLength) }

    /// The first part that overlaps none of the taken ranges; those of the other family overlap nothing.
    func firstFree(_ taken: [IPNetwork]) -> IPNetwork? {
        let blocks = taken.compactMap(parts(overlapping:)).sorted { $0.lowerBound < $1.lowerBound }
        var free = 0
        for block in blocks where block.upperBound >= free {
            if block.lowerBound > free { break }
            free = block.upperBound + 1
        }
        return free < count ? part(free) : nil
    }

    /// The numbers of the parts that a range overlaps.
    private func parts(overlapping other: IPNetwork) -> ClosedRange<Int>? {
        if other.contains(range) { return 0...(count - 1) }
        guard range.contains(other) else { return nil }
        let first = number(of: other.network.address)
        return first...(first + (1 << max(0, prefixLength - other.prefixLength)) - 1)
    }

    /// The bits of an address between the prefix of the range and the end of the parts' prefix.
    private func number(of address: IPAddress) -> Int {
        (range.prefixLength..<prefixLength).reduce(0) { number, bit in
            number << 1 | Int(address.bytes[bit / 8] >> UInt8(7 - bit % 8) & 1)
        }
    }

    private func part(_ number: Int) -> IPNetwork? {
        var bytes = range.address.bytes
        for bit in range.prefixLength..<prefixLength where number >> (prefixLength - 1 - bit) & 1 == 1 {
            bytes[bit / 8] |= 0x80 >> UInt8(bit % 8)
        }
        return IPAddress(bytes: bytes).flatMap { IPNetwork($0, prefixLength: prefixLength) }
    }
}
