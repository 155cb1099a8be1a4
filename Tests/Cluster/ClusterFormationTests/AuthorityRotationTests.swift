// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import PKI
import Testing

@testable import ClusterFormation

/// The files of an authority that is replaced.
@Suite struct AuthorityRotationTests {
    private static func files(_ directory: borrowing TemporaryDirectory) -> AuthorityFiles {
        AuthorityFiles(directory: directory.path + "/state/pki")
    }

    /// Whether who trusts `authorities` recognises what a server shows.
    private static func isRecognised(_ identity: ClusterIdentity, by authorities: [Certificate]) throws -> Bool {
        let chain = try Certificate.bundle(pem: identity.apiServer.certificatePEM + identity.intermediatePEM)
        do {
            try CertificateVerifier(trusting: authorities).verify(
                chain[0], intermediates: Array(chain.dropFirst()), purpose: .server, at: ClusterIdentityTests.now)
            return true
        } catch {
            return false
        }
    }

    @Test func everyPhaseIsKnownByTheOldAuthorityUntilItIsDropped() throws {
        let directory = try TemporaryDirectory()
        let first = try ClusterIdentityTests.load(directory)
        let old = first.authority.certificate
        let files = Self.files(directory)

        let next = try #require(try files.prepare(now: ClusterIdentityTests.now).next)
        let spreading = try ClusterIdentityTests.load(directory)
        #expect(spreading.authorities.phase == .spreading)
        #expect(try AuthorityBundle(pem: spreading.authorityPEM).certificates == [old, next])
        #expect(spreading.authorityFingerprint == first.authorityFingerprint)
        #expect(spreading.apiServer.certificate == first.apiServer.certificate)

        try files.activate()
        let replaced = try ClusterIdentityTests.load(directory)
        #expect(replaced.authorities.phase == .replaced)
        #expect(try AuthorityBundle(pem: replaced.authorityPEM).certificates == [next, old])
        #expect(replaced.authorityFingerprint == hexadecimal(next.fingerprint))
        // The keys stay; every certificate is by the new authority, and known by who trusts only the old one.
        let bundle = try AuthorityBundle(pem: replaced.authorityPEM)
        for (before, after) in zip(first.credentials, replaced.credentials) {
            #expect(before.credential.certificate.publicKey == after.credential.certificate.publicKey)
            let purpose: CertificateProfile.Purpose = ["apiserver", "kubelet"].contains(after.name) ? .server : .client
            #expect(bundle.isCurrent(after.credential.certificate, purpose: purpose), "\(after.name)")
            #expect(!bundle.isCurrent(before.credential.certificate, purpose: purpose), "\(before.name)")
        }
        for trusted in [[old], [next], [old, next]] { #expect(try Self.isRecognised(replaced, by: trusted)) }

        try files.drop()
        let settled = try ClusterIdentityTests.load(directory)
        #expect(settled.authorities.phase == .settled)
        #expect(try AuthorityBundle(pem: settled.authorityPEM).certificates == [next])
        #expect(settled.intermediatePEM.isEmpty)
        #expect(settled.apiServer.certificate == replaced.apiServer.certificate)
        #expect(try Self.isRecognised(settled, by: [next]))
        #expect(try !Self.isRecognised(settled, by: [old]))
        // And again: a third one is made.
        let third = try #require(try files.prepare(now: ClusterIdentityTests.now).next)
        #expect(![old.subject, next.subject].contains(third.subject))
    }

    @Test func doneAgainNothingChangesAndTheWrongOrderIsRefused() throws {
        let directory = try TemporaryDirectory()
        _ = try ClusterIdentityTests.load(directory)
        let files = Self.files(directory)
        #expect(throws: ClusterFormationError.self) { try files.activate() }
        try files.drop()
        try files.discard()
        let first = try files.prepare(now: ClusterIdentityTests.now)
        #expect(try files.prepare(now: ClusterIdentityTests.now + 1).fingerprints == first.fingerprints)
        #expect(throws: ClusterFormationError.self) { try files.drop() }
        try files.discard()
        #expect(try files.load().phase == .settled)
        try files.prepare(now: ClusterIdentityTests.now)
        let replaced = try files.activate()
        #expect(try files.activate().fingerprints == replaced.fingerprints)
        #expect(throws: ClusterFormationError.self) { try files.discard() }
        #expect(throws: ClusterFormationError.self) { try files.prepare(now: ClusterIdentityTests.now) }
        try files.drop()
        #expect(try files.drop().fingerprints == [replaced.fingerprints[0]])
    }

    private enum Change: CaseIterable {
        case prepare, activate, drop, discard
    }

    /// A crash may come after every step of every change: what is then on disk is a phase, in which the cluster works, and
    /// the same change goes on from there.
    @Test(arguments: Change.allCases)
    private func aCrashAfterAnyStepLeavesAUsableCluster(change: Change) throws {
        for count in 0...6 {
            let directory = try TemporaryDirectory()
            let first = try ClusterIdentityTests.load(directory)
            let path = directory.path + "/state/pki"
            let files = Self.files(directory)
            if change != .prepare { try files.prepare(now: ClusterIdentityTests.now) }
            if change == .drop { try files.activate() }
            let steps = try Self.plan(change, path)
            guard count <= steps.count else { continue }
            do {
                let crashed = try CredentialDirectory(existing: path)
                try crashed.execute(steps.prefix(count))
                crashed.release()
            }
            // The agent starts anew.
            let identity = try ClusterIdentityTests.load(directory)
            let trusted = identity.authorities.trusted
            #expect(try Self.isRecognised(identity, by: [identity.authority.certificate]))
            #expect(try identity.authority.key.publicKey() == identity.authority.certificate.publicKey)
            if change != .drop {
                #expect(trusted.contains(first.authority.certificate), "\(change) \(count)")
                #expect(try Self.isRecognised(identity, by: [first.authority.certificate]), "\(change) \(count)")
            }
            // The same command goes on.
            switch change {
            case .prepare: #expect(try files.prepare(now: ClusterIdentityTests.now).phase == .spreading)
            case .activate: #expect(try files.activate().phase == .replaced)
            case .drop: #expect(try files.drop().phase == .settled)
            case .discard: #expect(try files.discard().phase == .settled)
            }
            let after = try ClusterIdentityTests.load(directory)
            #expect(try Self.isRecognised(after, by: [after.authority.certificate]))
        }
    }

    private static func plan(_ change: Change, _ path: String) throws -> [AuthorityFileStep] {
        let files = try CredentialDirectory(existing: path)
        switch change {
        case .prepare:
            return try AuthorityFilePlan.prepare(
                .create(
                    subject: .init(commonName: "swiftlet-ca-1"),
                    validity: .clockless(now: ClusterIdentityTests.now, lifetimeSeconds: 86400)))
        case .activate:
            let next = try CertificateAuthority(
                certificate: files.requiredCertificate(AuthorityFile.next), key: files.requiredKey(AuthorityFile.next))
            return try AuthorityFilePlan.activate(next, inPlaceOf: files.authorities().signing)
        case .drop: return AuthorityFilePlan.drop
        case .discard: return AuthorityFilePlan.discard
        }
    }

    @Test func otherCertificatesThanAuthoritiesAreNotTrusted() throws {
        let directory = try TemporaryDirectory()
        let identity = try ClusterIdentityTests.load(directory)
        #expect(throws: PKIError.self) {
            try AuthorityBundle(pem: identity.authorityPEM + identity.admin.certificatePEM)
        }
        #expect(throws: PKIError.self) { try AuthorityBundle(pem: []) }
        let many = (0..<5).flatMap { _ in identity.authorityPEM }
        #expect(throws: PKIError.self) { try AuthorityBundle(pem: many) }
    }
}

/// What comes next, without any I/O.
@Suite struct RotationMachineTests {
    private typealias Machine = RotationMachine

    private static let (old, new) = ("old", "new")
    private static let settled = view(.settled, [old])
    private static let spreading = view(.spreading, [old, new])
    private static let replaced = view(.replaced, [new, old])

    /// A view in which agent and workers are as far as the files.
    private static func view(_ phase: AuthoritySet.Phase, _ authorities: [String]) -> Machine.View {
        let use = Machine.Use(trusted: Set(authorities), certifiedBy: authorities[0])
        return Machine.View(
            phase: phase, authorities: authorities, agent: use,
            workers: ["a", "b"].map { .init(name: $0, isReady: true, use: use) })
    }

    @Test func theOrderIsFixed() {
        #expect(Machine(.replace).next(Self.settled) == .prepare)
        #expect(Machine(.replace).next(Self.spreading) == .activate)
        #expect(Machine(.replace).next(Self.replaced) == .done(left: []))
        #expect(Machine(.finish).next(Self.replaced) == .drop)
        #expect(Machine(.finish).next(Self.settled) == .done(left: []))
        #expect(Machine(.abort).next(Self.spreading) == .discard)
        #expect(Machine(.abort).next(Self.settled) == .done(left: []))
        for (goal, view) in [(Machine.Goal.finish, Self.spreading), (.abort, Self.replaced)] {
            guard case .refuse = Machine(goal).next(view) else {
                Issue.record("\(goal) in \(view.phase) must be refused")
                continue
            }
        }
    }

    @Test(arguments: [Machine.Goal.replace, .finish])
    private func nothingHappensBeforeTheAgentHasTakenOver(goal: Machine.Goal) {
        for view in [Self.spreading, Self.replaced] where !(goal == .finish && view.phase == .spreading) {
            for use in [
                Machine.Use(), .init(trusted: [Self.old], certifiedBy: Self.old),
                .init(trusted: Set(view.authorities), certifiedBy: ""),
                .init(trusted: Set(view.authorities), certifiedBy: view.authorities[1]),
            ] {
                var behind = view
                behind.agent = use
                #expect(Machine(goal).next(behind) == .wait(.agent))
            }
        }
    }

    @Test func nothingIsSignedByAnAuthorityThatANodeDoesNotTrust() {
        var view = Self.spreading
        view.workers[1].use.trusted = [Self.old]
        #expect(Machine(.replace).next(view) == .wait(.trust(nodes: ["b"])))
        // One that is away finds in again by the bridge.
        view.workers[1].isReady = false
        #expect(Machine(.replace).next(view) == .activate)
    }

    @Test func noAuthorityIsDroppedThatANodeNeeds() {
        var view = Self.replaced
        view.workers[0].use.certifiedBy = Self.old
        #expect(Machine(.replace).next(view) == .wait(.certificates(nodes: ["a"])))
        #expect(Machine(.finish).next(view) == .wait(.certificates(nodes: ["a"])))
        view.workers[0].isReady = false
        #expect(Machine(.replace).next(view) == .done(left: ["a"]))
        guard case .refuse(let reason, _) = Machine(.finish).next(view) else {
            Issue.record("a node that needs the old authority is in the way")
            return
        }
        #expect(reason.contains("a"))
        #expect(Machine(.finish, force: true).next(view) == .drop)
    }

    @Test func aNodeThatSaysNothingIsNotTakenForReady() {
        var view = Self.spreading
        view.workers[0].use = .init()
        #expect(Machine(.replace).next(view) == .wait(.trust(nodes: ["a"])))
        view = Self.replaced
        view.workers[0].use = .init()
        #expect(Machine(.finish).next(view) == .wait(.certificates(nodes: ["a"])))
    }
}
