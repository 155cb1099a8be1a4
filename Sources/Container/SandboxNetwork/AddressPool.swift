// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Hands out the addresses of a subnet in turn, so that one that was given back rests as long as possible.
///
/// Where there is an IPv6 subnet, too, each address has a companion at the same place of that: the two are one choice, which
/// one record makes known, and none of a /64's addresses has to be searched for.
struct AddressPool {
    /// Of a subnet at most 2 to the power of this many addresses are given, the first ones.
    static let usedBits = 16

    private let subnet: IPNetwork
    private let companions: IPNetwork?
    private let firstHost: Int
    private let hostCount: Int
    /// The address that was given last.
    private(set) var last: IPAddress?
    private var used: Set<IPAddress>

    /// A pool of all addresses except the network's, the gateway's (the first) and, for IPv4, the broadcast address.
    ///
    /// - Parameters:
    ///   - companions: An IPv6 subnet with at least as many addresses as are given of the first.
    ///   - used: Addresses that are taken, companions among them.
    init(subnet: IPNetwork, companions: IPNetwork? = nil, last: IPAddress? = nil, used: Set<IPAddress> = []) {
        self.subnet = subnet.network
        self.companions = companions?.network
        let bits = min(subnet.address.bitCount - subnet.prefixLength, Self.usedBits)
        firstHost = 2
        hostCount = max(0, (1 << bits) - firstHost - (subnet.address.isV4 ? 1 : 0))
        self.last = last
        self.used = used
    }

    /// Takes the next free address, with its companion; nil where none is left.
    mutating func take() -> (address: IPAddress, companion: IPAddress?)? {
        var position = last.map { offset(of: $0) - firstHost + 1 } ?? 0
        for _ in 0..<hostCount {
            if position >= hostCount || position < 0 { position = 0 }
            guard let candidate = subnet.address.advanced(by: firstHost + position) else { return nil }
            let companion = companions?.address.advanced(by: firstHost + position)
            // A companion may be in use without its address: by a sandbox from before the first subnet was changed.
            if !used.contains(candidate), companion.map({ used.contains($0) }) != true {
                used.insert(candidate)
                if let companion { used.insert(companion) }
                last = candidate
                return (candidate, companion)
            }
            position += 1
        }
        return nil
    }

    /// Gives an address back, or a companion.
    mutating func release(_ address: IPAddress) { used.remove(address) }

    /// How many addresses can still be taken.
    var available: Int { hostCount - used.count { $0.isV4 == subnet.address.isV4 } }

    /// The distance from the network's address; what lies outside counts as before the first.
    private func offset(of address: IPAddress) -> Int {
        guard subnet.contains(address) else { return 0 }
        var distance = 0
        for (left, right) in zip(address.bytes, subnet.address.bytes).suffix(3) {
            distance = distance << 8 | (Int(left) - Int(right))
        }
        return distance
    }
}
