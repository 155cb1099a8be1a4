// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Hands out the addresses of a subnet in turn, so that one that was given back rests as long as possible.
struct AddressPool {
    private let subnet: IPNetwork
    private let firstHost: Int
    private let hostCount: Int
    /// The address that was given last.
    private(set) var last: IPAddress?
    private var used: Set<IPAddress>

    /// A pool of all addresses except the network's, the gateway's (the first) and, for IPv4, the broadcast address.
    ///
    /// Of a larger subnet than 65,536 addresses only the first ones are given.
    init(subnet: IPNetwork, last: IPAddress? = nil, used: Set<IPAddress> = []) {
        self.subnet = subnet.network
        let bits = min(subnet.address.bitCount - subnet.prefixLength, 16)
        firstHost = 2
        hostCount = max(0, (1 << bits) - firstHost - (subnet.address.isV4 ? 1 : 0))
        self.last = last
        self.used = used
    }

    /// Takes the next free address; nil where none is left.
    mutating func take() -> IPAddress? {
        var position = last.map { offset(of: $0) - firstHost + 1 } ?? 0
        for _ in 0..<hostCount {
            if position >= hostCount || position < 0 { position = 0 }
            guard let candidate = subnet.address.advanced(by: firstHost + position) else { return nil }
            if used.insert(candidate).inserted {
                last = candidate
                return candidate
            }
            position += 1
        }
        return nil
    }

    /// Gives an address back.
    mutating func release(_ address: IPAddress) { used.remove(address) }

    /// How many addresses can still be taken.
    var available: Int { hostCount - used.count }

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
