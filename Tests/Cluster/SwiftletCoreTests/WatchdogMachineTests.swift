// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import SwiftletCore

@Suite struct WatchdogMachineTests {
    @Test func aChangingMarkIsLife() {
        var machine = WatchdogMachine()
        for mark in ["1", "2", "3", "4", "5"] { #expect(machine.isAlive(seeing: mark)) }
    }

    @Test func aMarkThatStaysTwiceIsNoLife() {
        var machine = WatchdogMachine()
        #expect(machine.isAlive(seeing: "1"))
        #expect(machine.isAlive(seeing: "1"))
        #expect(!machine.isAlive(seeing: "1"))
        #expect(!machine.isAlive(seeing: "1"))
    }

    @Test func progressAfterAStandstillIsLifeAgain() {
        var machine = WatchdogMachine()
        for _ in 0..<4 { _ = machine.isAlive(seeing: "1") }
        #expect(machine.isAlive(seeing: "2"))
        #expect(machine.isAlive(seeing: "2"))
        #expect(!machine.isAlive(seeing: "2"))
    }

    @Test func noMarkIsNoEvidence() {
        var machine = WatchdogMachine()
        for _ in 0..<5 { #expect(machine.isAlive(seeing: nil)) }
    }
}
