// SPDX-License-Identifier: Apache-2.0

import PKI
import Testing

@testable import Kubelet

@Suite struct RenewalMachineTests {
    private let validity = Validity(notBefore: 1000, notAfter: 2000)

    @Test(arguments: [(0.0, 1700), (0.5, 1800), (1.0, 1900), (7.0, 1900)])
    func certificatesAreDueLateInTheirLife(random: Double, due: Int64) {
        #expect(RenewalMachine(random: random).due(validity) == due)
    }

    @Test func aCertificateIsRenewedWhenItIsDue() {
        var machine = RenewalMachine(random: 0)
        #expect(machine.next(now: 1100, validity: validity, isFitting: true) == .wait(seconds: 60))
        #expect(machine.next(now: 1690, validity: validity, isFitting: true) == .wait(seconds: 10))
        #expect(machine.next(now: 1700, validity: validity, isFitting: true) == .request)
        machine.asked(name: "csr-a", now: 1700)
        #expect(machine.next(now: 1700, validity: validity, isFitting: true) == .poll(name: "csr-a"))
        #expect(machine.next(now: 1700, validity: validity, isFitting: true) == .wait(seconds: 2))
        #expect(machine.next(now: 1702, validity: validity, isFitting: true) == .poll(name: "csr-a"))
        machine.renewed()
        let renewed = Validity(notBefore: 1700, notAfter: 2700)
        #expect(machine.next(now: 1703, validity: renewed, isFitting: true) == .wait(seconds: 60))
    }

    @Test func otherNamesAreReasonEnough() {
        var machine = RenewalMachine(random: 0)
        #expect(machine.next(now: 1100, validity: validity, isFitting: false) == .request)
    }

    @Test func failuresAreRetriedWithGrowingWaits() {
        var machine = RenewalMachine(random: 0)
        var now: Int64 = 1800
        var waits: [Int64] = []
        for _ in 0..<10 {
            machine.failed(now: now)
            guard case .wait(let seconds) = machine.next(now: now, validity: validity, isFitting: true) else { break }
            waits.append(seconds)
            now += seconds
            #expect(machine.next(now: now, validity: validity, isFitting: true) == .request)
        }
        #expect(waits == [10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800])
    }

    @Test func aRequestThatNobodyAnswersIsGivenUp() {
        var machine = RenewalMachine(random: 0)
        machine.asked(name: "csr-a", now: 1800)
        #expect(machine.next(now: 2700, validity: validity, isFitting: true) == .wait(seconds: 10))
        #expect(machine.next(now: 2710, validity: validity, isFitting: true) == .request)
    }
}
