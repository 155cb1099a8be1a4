// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import SwiftletCore

@Suite struct WatchdogMachineTests {
    /// What the machine concludes from each mark in turn.
    private func verdicts(_ marks: [String?]) -> [Bool] {
        var machine = WatchdogMachine()
        return marks.map { machine.isAlive(seeing: $0) }
    }

    @Test func aChangingMarkIsLife() {
        #expect(verdicts(["1", "2", "3", "4", "5"]) == [true, true, true, true, true])
    }

    @Test func aMarkThatStaysTwiceIsNoLife() {
        #expect(verdicts(["1", "1", "1", "1"]) == [true, true, false, false])
    }

    @Test func progressAfterAStandstillIsLifeAgain() {
        #expect(verdicts(["1", "1", "1", "1", "2", "2", "2"]) == [true, true, false, false, true, true, false])
    }

    @Test func noMarkIsNoEvidence() {
        #expect(verdicts([nil, nil, nil, nil, nil]) == [true, true, true, true, true])
    }
}
