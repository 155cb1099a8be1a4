// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import Controllers

@Suite struct NodeRangePoolTests {
    private static func pool(_ range: String, partsOf prefixLength: Int = 24) -> NodeRangePool? {
        IPNetwork(range).flatMap { NodeRangePool($0, partsOf: prefixLength) }
    }

    private func firstFree(_ pool: NodeRangePool?, _ taken: [String] = []) -> String? {
        pool?.firstFree(taken.compactMap { IPNetwork($0) })?.description
    }

    @Test func givesTheFirstRangeThatIsFree() {
        let pool = Self.pool("10.1.0.0/16")
        #expect(firstFree(pool) == "10.1.0.0/24")
        #expect(firstFree(pool, ["10.1.2.0/24", "10.1.0.0/24"]) == "10.1.1.0/24")
    }

    @Test func neverOverlapsARangeOfAnotherSize() {
        let pool = Self.pool("10.1.0.0/16")
        #expect(firstFree(pool, ["10.1.0.0/23", "10.1.2.128/25", "10.9.0.0/16", "fd00::/64"]) == "10.1.3.0/24")
        #expect(firstFree(pool, ["10.0.0.0/8"]) == nil)
    }

    @Test func endsWhenAllAreTaken() {
        let pool = Self.pool("10.1.4.0/23")
        #expect(firstFree(pool, ["10.1.4.0/24"]) == "10.1.5.0/24")
        #expect(firstFree(pool, ["10.1.4.0/24", "10.1.5.0/24"]) == nil)
    }

    @Test func dividesIPv6() {
        let pool = Self.pool("fd42::/56", partsOf: 64)
        #expect(firstFree(pool) == "fd42::/64")
        #expect(firstFree(pool, ["10.1.0.0/24", "fd42::/64", "fd42:0:0:1::/66", "fd43::/64"]) == "fd42:0:0:2::/64")
        #expect(firstFree(pool, ["fd42::/57", "fd42:0:0:80::/64"]) == "fd42:0:0:81::/64")
        #expect(firstFree(pool, ["fd42::/32"]) == nil)
        let all = (0..<256).map { "fd42:0:0:\(String($0, radix: 16))::/64" }
        #expect(firstFree(pool, all.filter { $0 != "fd42:0:0:fe::/64" }) == "fd42:0:0:fe::/64")
        #expect(firstFree(pool, all) == nil)
        // Borders of parts that are no borders of bytes.
        #expect(firstFree(Self.pool("fd42:0:0:40::/59", partsOf: 61), ["fd42:0:0:40::/61"]) == "fd42:0:0:48::/61")
    }

    @Test func ignoresHostBitsAndRefusesWhatCannotBeDivided() {
        #expect(firstFree(Self.pool("10.1.77.3/16")) == "10.1.0.0/24")
        #expect(firstFree(Self.pool("10.1.7.0/24")) == "10.1.7.0/24")
        for (range, prefixLength) in [
            ("10.1.0.0/30", 24), ("10.0.0.0/7", 24), ("fd00::/48", 24), ("fd00::/47", 64), ("fd00::/65", 64),
            ("10.0.0.0/24", 33),
        ] {
            #expect(Self.pool(range, partsOf: prefixLength) == nil, "\(range)")
        }
    }
}
