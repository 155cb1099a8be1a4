// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import Foundation
import LinuxSystem
import Logging
import PKI
import Testing

/// A directory that is removed with the test.
struct TemporaryDirectory: ~Copyable {
    let path = "/tmp/cluster-formation-\(UUID().uuidString)"
    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit {
        // Best effort: the directory lies under /tmp.
        try? FileManager.default.removeItem(atPath: path)
    }
}

@Suite struct ClusterIdentityTests {
    static let now: Int64 = 1_800_000_000
    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    static let day: Int64 = 86400

    static func subject(
        node: String = "pi", addresses: [IPAddress] = [IPAddress(v4: 192, 168, 1, 20)]
    ) -> ClusterIdentity.Subject {
        ClusterIdentity.Subject(
            nodeName: node, hostName: "board", addresses: addresses, serviceAddress: IPAddress(v4: 10, 152, 0, 1))
    }

    static func load(
        _ directory: borrowing TemporaryDirectory, subject: ClusterIdentity.Subject = subject(), now: Int64 = now
    ) throws -> ClusterIdentity {
        try ClusterIdentity.loadOrCreate(
            directory: directory.path + "/state/pki", subject: subject, now: now, logger: logger)
    }

    /// Every file below the key directory with its content, mode and inode.
    static func files(_ directory: borrowing TemporaryDirectory) throws -> [String: String] {
        let manager = FileManager.default
        let pki = directory.path + "/state/pki"
        var result: [String: String] = [:]
        for name in try manager.contentsOfDirectory(atPath: pki) {
            let attributes = try manager.attributesOfItem(atPath: "\(pki)/\(name)")
            let mode = attributes[.posixPermissions] as? Int ?? 0
            let inode = attributes[.systemFileNumber] as? Int ?? 0
            let content = try Data(contentsOf: URL(filePath: "\(pki)/\(name)")).base64EncodedString()
            result[name] = "\(String(mode, radix: 8)) \(inode) \(content)"
        }
        return result
    }

    @Test func theFirstStartMakesEverything() throws {
        let directory = try TemporaryDirectory()
        let identity = try Self.load(directory)
        let files = try Self.files(directory)
        #expect(
            files.keys.sorted() == [
                "admin.crt", "admin.key", "apiserver-kubelet-client.crt", "apiserver-kubelet-client.key",
                "apiserver.crt", "apiserver.key", "ca.crt", "ca.key", "kubelet-client.crt", "kubelet-client.key",
                "kubelet.crt", "kubelet.key", "service-account.key",
            ])
        for (name, state) in files { #expect(state.hasPrefix(name.hasSuffix(".key") ? "600 " : "644 "), "\(name)") }
        for host in [
            "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
            "localhost", "board", "pi", "board.local", "127.0.0.1", "::1", "10.152.0.1", "192.168.1.20",
        ] {
            #expect(identity.apiServer.certificate.matches(host: host), "\(host)")
        }
        #expect(identity.kubeletServer.certificate.matches(host: "192.168.1.20"))
        #expect(
            identity.kubeletClient.certificate.subject
                == DistinguishedName(commonName: "system:node:pi", organizations: ["system:nodes"]))
        #expect(
            identity.admin.certificate.subject
                == DistinguishedName(commonName: "kubernetes-admin", organizations: ["system:masters"]))
        #expect(identity.serviceAccountKey.signatureAlgorithm == .rs256)
        #expect(identity.authorityFingerprint.count == 64)
        let verifier = try CertificateVerifier(trusting: [identity.authority.certificate])
        // Also while the board's clock is still in 1970.
        for time in [0, Self.now] {
            try verifier.verify(identity.apiServer.certificate, purpose: .server, at: time)
            try verifier.verify(identity.kubeletServer.certificate, purpose: .server, at: time)
            for client in [identity.admin, identity.kubeletClient, identity.apiServerKubeletClient] {
                try verifier.verify(client.certificate, purpose: .client, at: time)
            }
        }
        #expect(throws: PKIError.self) {
            try verifier.verify(identity.admin.certificate, purpose: .server, at: Self.now)
        }
    }

    @Test(arguments: [now, now + 200 * day, 0])
    func theSecondStartWritesNothing(time: Int64) throws {
        let directory = try TemporaryDirectory()
        let first = try Self.load(directory)
        let before = try Self.files(directory)
        let second = try Self.load(directory, now: time)
        #expect(try Self.files(directory) == before)
        #expect(second.authorityFingerprint == first.authorityFingerprint)
    }

    @Test func aNewAddressRenewsTheServingCertificatesOnly() throws {
        let directory = try TemporaryDirectory()
        _ = try Self.load(directory)
        let before = try Self.files(directory)
        let moved = try Self.load(directory, subject: Self.subject(addresses: [IPAddress(v4: 192, 168, 1, 77)]))
        #expect(moved.apiServer.certificate.matches(host: "192.168.1.77"))
        #expect(!moved.apiServer.certificate.matches(host: "192.168.1.20"))
        let after = try Self.files(directory)
        let changed = before.keys.filter { before[$0] != after[$0] }.sorted()
        #expect(changed == ["apiserver.crt", "kubelet.crt"])
    }

    @Test func aNewNameRenewsTheNodesCertificates() throws {
        let directory = try TemporaryDirectory()
        _ = try Self.load(directory)
        let renamed = try Self.load(directory, subject: Self.subject(node: "other"))
        #expect(renamed.kubeletClient.certificate.subject.commonName == "system:node:other")
        #expect(renamed.kubeletServer.certificate.matches(host: "other"))
    }

    @Test func certificatesNearTheirEndAreRenewed() throws {
        let directory = try TemporaryDirectory()
        let first = try Self.load(directory)
        let later = Self.now + 300 * Self.day
        let second = try Self.load(directory, now: later)
        for (old, new) in [
            (first.apiServer, second.apiServer), (first.admin, second.admin),
            (first.kubeletClient, second.kubeletClient),
        ] {
            #expect(new.certificate.validity.notAfter == later + 365 * Self.day)
            #expect(old.certificate.publicKey == new.certificate.publicKey)
        }
        #expect(first.authorityFingerprint == second.authorityFingerprint)
    }

    @Test func whatIsAskedForIsRenewed() throws {
        let directory = try TemporaryDirectory()
        _ = try Self.load(directory)
        let before = try Self.files(directory)
        _ = try ClusterIdentity.loadOrCreate(
            directory: directory.path + "/state/pki", subject: Self.subject(), now: Self.now, renewing: ["admin"],
            logger: Self.logger)
        let after = try Self.files(directory)
        #expect(before.keys.filter { before[$0] != after[$0] } == ["admin.crt"])
    }

    /// Without a clock nobody knows when a year is over: the certificates last as long as the authority, and normal ones take
    /// their place when the time is known, whenever that is.
    @Test func certificatesWithoutAClockOutliveTheUnknownTime() throws {
        let directory = try TemporaryDirectory()
        let unset = try Self.load(directory, now: 12)
        let end = unset.authority.certificate.validity.notAfter
        #expect(unset.credentials.allSatisfy { $0.credential.certificate.validity.notAfter == end })
        #expect(!unset.isRenewalDue(now: 5000) && unset.renewalDue == nil)
        let before = try Self.files(directory)
        _ = try Self.load(directory, now: 5000)
        #expect(try Self.files(directory) == before)
        // The clock is set, three years after this program was made.
        let later = Validity.plausibleNow + 3 * 365 * Self.day
        #expect(unset.isRenewalDue(now: later))
        let set = try Self.load(directory, now: later)
        #expect(set.credentials.allSatisfy { $0.credential.certificate.validity.notAfter == later + 365 * Self.day })
        #expect(set.renewalDue == later + 275 * Self.day)
        #expect(!set.isRenewalDue(now: later) && set.isRenewalDue(now: later + 275 * Self.day + 1))
    }

    @Test func aShorterLifeIsKeptInProportion() throws {
        let directory = try TemporaryDirectory()
        _ = try Self.load(directory)
        func load(_ now: Int64) throws -> ClusterIdentity {
            try ClusterIdentity.loadOrCreate(
                directory: directory.path + "/state/pki", subject: Self.subject(), now: now,
                schedule: CertificateSchedule(lifetimeSeconds: 3650), logger: Self.logger)
        }
        let short = try load(Self.now)
        #expect(short.admin.certificate.validity.notAfter == Self.now + 3650)
        #expect(short.renewalDue == Self.now + 3650 - 900)
        let before = try Self.files(directory)
        _ = try load(Self.now + 2750)
        #expect(try Self.files(directory) == before)
        #expect(try load(Self.now + 2751).admin.certificate.validity.notAfter == Self.now + 2751 + 3650)
    }

    /// In the authority's last year nothing can be renewed for longer, so nothing is written at every start.
    @Test func theAuthoritysEndStopsRenewal() throws {
        let directory = try TemporaryDirectory()
        _ = try Self.load(directory)
        let late = Self.now + 3600 * Self.day
        _ = try Self.load(directory, now: late)
        let before = try Self.files(directory)
        _ = try Self.load(directory, now: late + Self.day)
        #expect(try Self.files(directory) == before)
    }

    @Test func aClockBehindAtTheFirstStartDoesNoHarm() throws {
        let directory = try TemporaryDirectory()
        let identity = try Self.load(directory, now: 12)
        let verifier = try CertificateVerifier(trusting: [identity.authority.certificate])
        try verifier.verify(identity.apiServer.certificate, purpose: .server, at: Validity.plausibleNow + 86400)
    }

    @Test func aHalfWrittenDirectoryIsNeverUsed() throws {
        let directory = try TemporaryDirectory()
        // What a power cut during the first start leaves behind.
        let unfinished = directory.path + "/state/.pki.new"
        try FileManager.default.createDirectory(atPath: unfinished, withIntermediateDirectories: true)
        try Data("half a k".utf8).write(to: URL(filePath: unfinished + "/ca.key"))
        _ = try Self.load(directory)
        #expect(!FileManager.default.fileExists(atPath: unfinished))
    }

    @Test(arguments: ["apiserver.crt", "apiserver.key", "kubelet.crt", "admin.key", "kubelet-client.crt"])
    func damagedCertificatesHeal(name: String) throws {
        let directory = try TemporaryDirectory()
        let first = try Self.load(directory)
        for damage in ["", "-----BEGIN CERTIFICATE-----\nAAAA"] {
            try Data(damage.utf8).write(to: URL(filePath: directory.path + "/state/pki/\(name)"))
            let healed = try Self.load(directory)
            #expect(healed.authorityFingerprint == first.authorityFingerprint)
            for credential in [healed.apiServer, healed.kubeletServer, healed.admin, healed.kubeletClient] {
                #expect(try credential.certificate.publicKey == credential.key.publicKey())
            }
        }
    }

    @Test(arguments: ["ca.key", "ca.crt", "service-account.key"])
    func lossOfTheRootIsAnErrorWithARemedy(name: String) throws {
        let directory = try TemporaryDirectory()
        _ = try Self.load(directory)
        let path = directory.path + "/state/pki/\(name)"
        try Data("gone".utf8).write(to: URL(filePath: path))
        let damaged = #expect(throws: ClusterFormationError.self) { try Self.load(directory) }
        #expect(damaged?.path == path)
        try FileManager.default.removeItem(atPath: path)
        let missing = #expect(throws: ClusterFormationError.self) { try Self.load(directory) }
        #expect(missing?.description.contains("restore it from a backup") == true)
    }

    @Test func anotherAuthoritysKeyIsRefused() throws {
        let directory = try TemporaryDirectory()
        _ = try Self.load(directory)
        let key = try PrivateKey.generate().pem()
        try Data(key).write(to: URL(filePath: directory.path + "/state/pki/ca.key"))
        #expect(throws: PKIError.self) { try Self.load(directory) }
    }
}
