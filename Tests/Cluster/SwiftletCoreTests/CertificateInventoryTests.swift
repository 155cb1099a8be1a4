// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import JSON
import LinuxSystem
import Logging
import PKI
import Testing

@testable import SwiftletCore

@Suite struct CertificateInventoryTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private static let now = FileTime.now().seconds
    private static let day: Int64 = 86400

    private static func configuration(_ directory: borrowing TemporaryDirectory) throws -> Configuration {
        var configuration = Configuration()
        configuration.directories.state = directory.path + "/state"
        configuration.directories.run = directory.path + "/run"
        configuration.directories.configuration = directory.path + "/etc"
        let node = NodeIdentity(name: "pi", hostName: "pi", addresses: [IPAddress(v4: 192, 168, 1, 20)])
        try configuration.writeKubeconfig(configuration.loadIdentity(of: node, logger: logger))
        return configuration
    }

    @Test func aControlPlaneHasAnAuthorityServersAndClients() throws {
        let directory = try TemporaryDirectory()
        let configuration = try Self.configuration(directory)
        let inventory = try CertificateInventory.read(configuration)
        #expect(inventory.role == "control-plane" && inventory.isHealthy && inventory.phase == .settled)
        #expect(
            inventory.entries.map { "\($0.name) \($0.kind.rawValue)" } == [
                "ca authority", "apiserver serving", "apiserver-kubelet-client client", "kubelet serving",
                "kubelet-client client", "admin client", "admin.kubeconfig client",
            ])
        let server = try #require(inventory.entries.first { $0.name == "apiserver" })
        #expect(server.names.contains("192.168.1.20") && server.names.contains("kubernetes.default.svc"))
        #expect(server.isInUse == nil)
        let ends = Set(inventory.entries.dropFirst().compactMap { $0.certificate?.validity.notAfter })
        #expect(ends.allSatisfy { abs($0 - Self.now - 365 * Self.day) < 60 })
        #expect(inventory.json["certificates"]?[1]?["sha256"]?.string?.count == 64)
        #expect(try inventory.yaml().contains("role: control-plane"))
    }

    @Test func badOnesAreNamedWithTheReason() throws {
        let directory = try TemporaryDirectory()
        let configuration = try Self.configuration(directory)
        let stranger = try CertificateAuthority.create(
            subject: .init(commonName: "other"), validity: .clockless(now: Self.now, lifetimeSeconds: 1000))
        let foreign = try stranger.issue(
            .init(
                subject: .init(commonName: "x"), purposes: [.client],
                validity: .clockless(now: Self.now, lifetimeSeconds: 1000)))
        let pki = configuration.keyDirectory
        try Files.replace("\(pki)/admin.crt", with: foreign.certificate.pem())
        try Files.replace("\(pki)/kubelet.crt", with: Array("nothing".utf8))
        try Files.remove("\(pki)/apiserver.crt")
        let inventory = try CertificateInventory.read(configuration)
        #expect(!inventory.isHealthy)
        func state(_ name: String) -> CertificateInventory.State? {
            inventory.entries.first { $0.name == name }?.state
        }
        #expect(state("admin") == .untrusted && state("kubelet") == .unreadable && state("apiserver") == .missing)
        #expect(state("ca") == .valid && state("kubelet-client") == .valid)
        #expect(inventory.entries.filter(\.state.isBad).allSatisfy { !$0.reason.isEmpty })
    }

    @Test func agesAreJudgedByTheClockIfItIsSet() {
        let (start, end) = (Self.now, Self.now + 100)
        let validity = Validity(notBefore: start, notAfter: end)
        for (time, state) in [
            (start - 1, CertificateInventory.State.notYetValid), (start, .valid), (start + 75, .due), (end, .due),
            (end + 1, .expired), (0, .clockNotSet), (Validity.plausibleNow - 1, .clockNotSet),
        ] {
            #expect(CertificateInventory.state(validity, renewal: start + 75, now: time) == state, "\(time)")
        }
        #expect(!CertificateInventory.State.clockNotSet.isBad && !CertificateInventory.State.due.isBad)
    }

    /// The default life is 365 days, of which the last 90 are for renewal.
    @Test func oneIsLateAfterHalfItsTimeForRenewal() throws {
        let directory = try TemporaryDirectory()
        let configuration = try Self.configuration(directory)
        func life(days: Int64) throws -> LocalStatus.CertificateLife {
            let status = LocalStatus.read(configuration, now: Self.now + days * Self.day)
            return try #require(status.certificates.first { $0.name == "apiserver" })
        }
        let renewal = try #require(
            CertificateInventory.read(configuration).entries.first { $0.name == "apiserver" }?.renewal)
        let span = (Self.now + 365 * Self.day - renewal) / Self.day
        for (days, state, isLate) in [
            (0, CertificateInventory.State.valid, false), (365 - span + 1, .due, false),
            (365 - span / 2 + 1, .due, true),
            (366, .expired, false),
        ] {
            let life = try life(days: days)
            #expect(life.state == state && life.isLate == isLate, "\(days): \(life)")
        }
        try Files.remove("\(configuration.keyDirectory)/admin.crt")
        let missing = LocalStatus.read(configuration).certificates.first
        #expect(missing?.name == "admin" && missing?.notAfter == nil && missing?.state == .missing)
    }

    @Test func aBoardWithoutATimeTellsNothingOfAges() throws {
        let directory = try TemporaryDirectory()
        let inventory = try CertificateInventory.read(try Self.configuration(directory), now: 1000)
        #expect(inventory.isHealthy && inventory.entries.allSatisfy { $0.state == .clockNotSet })
        #expect(inventory.json["certificates"]?[0]?["remainingSeconds"] == .null)
    }

    @Test func aMachineWithoutAClusterSaysSo() throws {
        let directory = try TemporaryDirectory()
        var configuration = Configuration()
        configuration.directories.state = directory.path
        let empty = configuration
        let error = #expect(throws: JoinError.self) { try CertificateInventory.read(empty) }
        #expect(error?.remedy.contains("start the agent") == true)
    }
}
