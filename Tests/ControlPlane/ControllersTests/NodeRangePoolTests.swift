// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Controllers

@Suite struct NodeRangePoolTests {
    @Test func givesTheFirstRangeThatIsFree() {
        let pool = NodeRangePool("10.1.0.0/16")
        #expect(pool?.firstFree([]) == "10.1.0.0/24")
        #expect(pool?.firstFree(["10.1.0.0/24", "10.1.2.0/24"]) == "10.1.1.0/24")
    }

    @Test func neverOverlapsARangeOfAnotherSize() {
        let pool = NodeRangePool("10.1.0.0/16")
        #expect(pool?.firstFree(["10.1.0.0/23", "10.1.2.128/25", "10.9.0.0/16", "fd00::/64"]) == "10.1.3.0/24")
        #expect(pool?.firstFree(["10.0.0.0/8"]) == nil)
    }

    @Test func endsWhenAllAreTaken() {
        let pool = NodeRangePool("10.1.4.0/23")
        #expect(pool?.firstFree(["10.1.4.0/24"]) == "10.1.5.0/24")
        #expect(pool?.firstFree(["10.1.4.0/24", "10.1.5.0/24"]) == nil)
    }

    @Test func ignoresHostBitsAndRefusesWhatIsNoRange() {
        #expect(NodeRangePool("10.1.77.3/16")?.firstFree([]) == "10.1.0.0/24")
        for text in ["", "10.1.0.0", "10.1.0.0/30", "10.1.0/16", "fd00::/48", "a.b.c.d/16"] {
            #expect(NodeRangePool(text) == nil)
        }
    }
}
