// SPDX-License-Identifier: Apache-2.0

import PKI
import Testing

@testable import Kubelet

@Suite struct RenewalMachineTests {
    /// Times are told from here.
    private static let start = Validity.plausibleNow
    private let validity = Validity(notBefore: start + 1000, notAfter: start + 2000)

    private func next(_ machine: inout RenewalMachine, _ now: Int64, isFitting: Bool = true) -> RenewalMachine.Action {
        machine.next(now: Self.start + now, validity: validity, isFitting: isFitting)
    }

    @Test(arguments: [(0.0, 1700), (0.5, 1800), (1.0, 1900), (7.0, 1900)])
    func certificatesAreDueLateInTheirLife(random: Double, due: Int64) {
        #expect(RenewalMachine(random: random).due(validity) == Self.start + due)
    }

    @Test func aCertificateIsRenewedWhenItIsDue() {
        var machine = RenewalMachine(random: 0)
        var actions = [1100, 1690, 1700].map { next(&machine, $0) }
        #expect(actions == [.wait(seconds: 60), .wait(seconds: 10), .request])
        machine.asked(name: "csr-a", now: Self.start + 1700)
        actions = [1700, 1700, 1702].map { next(&machine, $0) }
        #expect(actions == [.poll(name: "csr-a"), .wait(seconds: 2), .poll(name: "csr-a")])
        let renewed = Validity(notBefore: Self.start + 1700, notAfter: Self.start + 2700)
        let isOfUse = machine.renewed(now: Self.start + 1702, validity: renewed, isFitting: true)
        #expect(isOfUse)
        let action = machine.next(now: Self.start + 1703, validity: renewed, isFitting: true)
        #expect(action == .wait(seconds: 60))
    }

    @Test func otherNamesAreReasonEnough() {
        var machine = RenewalMachine(random: 0)
        let action = next(&machine, 1100, isFitting: false)
        #expect(action == .request)
    }

    /// A board without a real-time clock starts in 1970: its certificates look as if they were of the future, and every
    /// other age of theirs means nothing either.
    @Test func nothingIsDueWhileTheClockIsNotSet() {
        var machine = RenewalMachine(random: 0)
        for now in [0, 1_000_000, Self.start - 1] {
            let action = machine.next(now: now, validity: validity, isFitting: true)
            #expect(action == .wait(seconds: 60))
        }
        // When it is set, what is due shows.
        let late = next(&machine, 1950)
        #expect(late == .request)
        // Names have nothing to do with the clock.
        var other = RenewalMachine(random: 0)
        let unfitting = other.next(now: 5, validity: validity, isFitting: false)
        #expect(unfitting == .request)
    }

    @Test func whatWasIssuedWithoutAClockIsRenewedWithOne() {
        var machine = RenewalMachine(random: 1)
        let long = Validity(notBefore: 0, notAfter: Self.start + 9 * RenewalMachine.longestLife)
        let before = machine.next(now: 100, validity: long, isFitting: true)
        #expect(before == .wait(seconds: 60))
        let after = machine.next(now: Self.start, validity: long, isFitting: true)
        #expect(after == .request)
        // A year is what certificates last, counted from 1970 or not.
        let year = Validity(notBefore: 0, notAfter: Self.start + RenewalMachine.longestLife)
        var another = RenewalMachine(random: 1)
        let normal = another.next(now: Self.start, validity: year, isFitting: true)
        #expect(normal == .wait(seconds: 60))
    }

    @Test func failuresAreRetriedWithGrowingWaits() {
        var machine = RenewalMachine(random: 0)
        var now: Int64 = 1800
        var waits: [Int64] = []
        for _ in 0..<10 {
            machine.failed(now: Self.start + now)
            guard case .wait(let seconds) = next(&machine, now) else { break }
            waits.append(seconds)
            now += seconds
            let action = next(&machine, now)
            #expect(action == .request)
        }
        #expect(waits == [10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800])
    }

    private static let year = RenewalMachine.longestLife

    /// What comes from a control plane whose clock is far ahead, far behind, or not set, and from an authority that is about to
    /// end.
    @Test(arguments: [
        Validity(notBefore: start + 2 * 86400, notAfter: start + 2 * 86400 + year),
        Validity(notBefore: start - year * 8 / 10, notAfter: start + year * 2 / 10),
        Validity(notBefore: 0, notAfter: start + 9 * year), Validity(notBefore: start - 3000, notAfter: start + 600),
    ])
    func whatIsDueAtOnceIsNotAskedForAtOnceAgain(validity: Validity) {
        var machine = RenewalMachine(random: 0)
        var now = Self.start
        var waits: [Int64] = []
        for number in 0..<4 {
            machine.asked(name: "csr-\(number)", now: now)
            let isOfUse = machine.renewed(now: now, validity: validity, isFitting: true)
            #expect(!isOfUse)
            guard case .wait(let seconds) = machine.next(now: now, validity: validity, isFitting: true) else { break }
            waits.append(seconds)
            now += seconds
            let action = machine.next(now: now, validity: validity, isFitting: true)
            #expect(action == .request)
        }
        #expect(waits == [10, 20, 40, 80])
        // One that does ends it.
        let good = Validity(notBefore: now, notAfter: now + Self.year)
        let isOfUse = machine.renewed(now: now, validity: good, isFitting: true)
        #expect(isOfUse)
        machine.failed(now: now)
        let action = machine.next(now: now, validity: validity, isFitting: true)
        #expect(action == .wait(seconds: 10))
    }

    @Test func whatDoesNotFitEitherIsNotAskedForAtOnceAgain() {
        var machine = RenewalMachine(random: 0)
        let isOfUse = machine.renewed(now: Self.start + 1100, validity: validity, isFitting: false)
        let action = next(&machine, 1100, isFitting: false)
        #expect(!isOfUse && action == .wait(seconds: 10))
    }

    @Test func aRequestThatNobodyAnswersIsGivenUp() {
        var machine = RenewalMachine(random: 0)
        machine.asked(name: "csr-a", now: Self.start + 1800)
        let actions = [2700, 2710].map { next(&machine, $0) }
        #expect(actions == [.wait(seconds: 10), .request])
    }

    @Test func whatSomebodyElseHasRenewedIsNotRenewedAgain() {
        var machine = RenewalMachine(random: 0)
        machine.failed(now: Self.start + 1800)
        let fresh = Validity(notBefore: Self.start + 1800, notAfter: Self.start + 2800)
        let action = machine.next(now: Self.start + 1811, validity: fresh, isFitting: true)
        #expect(action == .wait(seconds: 60))
    }
}
