// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import APIServer

/// Several attempts to write one service take the same values, and none takes them away from another.
@Suite struct AllocationsTests {
    private func allocations(_ taken: [(Int, String)] = []) -> Allocations<Int> {
        let allocations = Allocations<Int>()
        allocations.load { taken }
        return allocations
    }

    @Test func aLostRaceGivesBackOnlyItsOwn() {
        let allocations = allocations()
        #expect(allocations.take(1, for: "a", attempt: 10))
        #expect(allocations.take(2, for: "a", attempt: 11))
        // The attempt 11 has written, and 10 finds out that it was too late.
        allocations.settle("a", attempt: 11) { [2] }
        allocations.settle("a", attempt: 10) { [2] }
        #expect(allocations.take(1, for: "b", attempt: 12))
        #expect(!allocations.take(2, for: "b", attempt: 12))
    }

    @Test func whatAnotherAttemptIsWritingStays() {
        let allocations = allocations()
        #expect(allocations.take(1, for: "a", attempt: 10))
        #expect(allocations.take(1, for: "a", attempt: 11))
        allocations.settle("a", attempt: 11) { [] }
        #expect(!allocations.take(1, for: "b", attempt: 12))
        allocations.settle("a", attempt: 10) { [] }
        #expect(allocations.take(1, for: "b", attempt: 12))
    }

    @Test func whatIsStoredIsTakenEvenIfNobodyTookIt() {
        let allocations = allocations([(1, "a")])
        allocations.settle("a", attempt: 10) { [3] }
        #expect(allocations.take(1, for: "b", attempt: 11))
        #expect(!allocations.take(3, for: "b", attempt: 11))
        allocations.settle("a", attempt: 12) { [] }
        #expect(allocations.take(3, for: "b", attempt: 11))
    }
}
