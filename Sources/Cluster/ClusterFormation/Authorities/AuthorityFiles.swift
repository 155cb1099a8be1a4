// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import PKI

/// The authorities in a key directory, and the four changes by which one is replaced.
///
/// Every change is done again without harm, refused in a phase in which it would be wrong, and a crash in its middle leaves the
/// old phase or the new one. The running agent takes them over when it is told to look.
package struct AuthorityFiles: Sendable {
    private let path: String

    /// - Parameter directory: the absolute path of the key directory, which must be there.
    package init(directory: String) { path = directory }

    /// The authorities as they are.
    package func load() throws -> AuthoritySet { try CredentialDirectory(existing: path).authorities() }

    /// Works on the key directory while nobody changes anything in it.
    package func locked<Result>(_ body: () throws -> Result) throws -> Result {
        let files = try CredentialDirectory(existing: path)
        _ = try files.authorities()
        let result = try body()
        files.release()
        return result
    }

    /// The certificates of all trusted authorities in PEM, the one that signs first: for readers that change nothing.
    package static func trusted(directory: String) throws -> [UInt8] {
        var bundle = try Files.read("\(directory)/\(AuthorityFile.signing).crt")
        for name in [AuthorityFile.next, AuthorityFile.previous] {
            let path = "\(directory)/\(name).crt"
            if try Files.status(path) != nil { bundle += try Files.read(path) }
        }
        return bundle
    }

    /// Makes the next authority, where there is none yet.
    ///
    /// - Parameter now: seconds since 1970.
    @discardableResult
    package func prepare(now: Int64) throws -> AuthoritySet {
        try change(from: .settled, to: .spreading) { _, _ in
            // A name of its own: verifiers look for issuers by name.
            let number = hexadecimal(try randomBytes(count: 4))
            return try AuthorityFilePlan.prepare(
                .create(
                    subject: DistinguishedName(commonName: "\(ClusterIdentity.authorityName)-\(number)"),
                    validity: .clockless(now: now, lifetimeSeconds: ClusterIdentity.authorityLifetimeSeconds)))
        }
    }

    /// Lets the next authority sign.
    @discardableResult
    package func activate() throws -> AuthoritySet {
        try change(from: .spreading, to: .replaced) { files, set in
            let next = try CertificateAuthority(
                certificate: files.requiredCertificate(AuthorityFile.next), key: files.requiredKey(AuthorityFile.next))
            return try AuthorityFilePlan.activate(next, inPlaceOf: set.signing)
        }
    }

    /// Gives the next authority up.
    @discardableResult
    package func discard() throws -> AuthoritySet {
        try change(from: .spreading, to: .settled) { _, _ in AuthorityFilePlan.discard }
    }

    /// Trusts the previous authority no more.
    @discardableResult
    package func drop() throws -> AuthoritySet {
        try change(from: .replaced, to: .settled) { _, _ in AuthorityFilePlan.drop }
    }

    private func change(
        from: AuthoritySet.Phase, to: AuthoritySet.Phase,
        plan: (borrowing CredentialDirectory, AuthoritySet) throws -> [AuthorityFileStep]
    ) throws -> AuthoritySet {
        let files = try CredentialDirectory(existing: path)
        let set = try files.authorities()
        if set.phase == to { return set }
        guard set.phase == from else {
            throw ClusterFormationError(
                operation: "replace the authority in", path: path,
                reason: "it is \(set.phase.rawValue) and would have to be \(from.rawValue)",
                remedy: "see 'swiftlet certificates status'")
        }
        try files.execute(try plan(files, set))
        return try files.authorities()
    }
}

extension CredentialDirectory {
    /// The authorities; an exchange that was broken off is finished first.
    func authorities() throws -> AuthoritySet {
        var next = try certificate(AuthorityFile.next)
        let previous = try certificate(AuthorityFile.previous)
        if let unfinished = next, previous != nil {
            try execute(
                AuthorityFilePlan.finish(
                    key: requiredKey(AuthorityFile.next).pem(), certificate: unfinished.pem()))
            next = nil
        }
        return AuthoritySet(
            signing: try CertificateAuthority(
                certificate: requiredCertificate(AuthorityFile.signing), key: requiredKey(AuthorityFile.signing)),
            next: next, previous: previous,
            bridge: previous == nil ? nil : try certificate(AuthorityFile.bridge))
    }

    func execute(_ steps: some Collection<AuthorityFileStep>) throws {
        for step in steps {
            switch step {
            case .write(let name, let bytes, let permissions):
                try directory.replaceFile(name, with: bytes, permissions: permissions)
            case .remove(let name):
                try directory.removeTree(name)
                try directory.descriptor.synchronize(directory.path)
            }
        }
    }

    /// A certificate that need not be there.
    private func certificate(_ name: String) throws -> Certificate? {
        try directory.status(of: name + ".crt") == nil ? nil : requiredCertificate(name)
    }
}
