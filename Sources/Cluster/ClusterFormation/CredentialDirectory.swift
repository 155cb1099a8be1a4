// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import PKI

/// The directory of keys and certificates on disk.
///
/// It appears whole, by a rename, or not at all; inside it files are replaced one by one. A certificate is renewed for
/// the key that is there, so that no power cut can leave a key and a certificate that do not belong together.
struct CredentialDirectory: ~Copyable {
    /// Far more than any key or certificate.
    private static let fileLimit = 256 << 10
    private static let remedy = "restore it from a backup, or reset the node to make a new cluster"

    let directory: DirectoryHandle

    /// Opens the directory at `path`; where it does not exist, `fill` fills a new one before it gets its name.
    init(
        path: String, fill: (borrowing CredentialDirectory) throws -> Void
    ) throws {
        let components = path.split(separator: "/")
        guard path.hasPrefix("/"), let name = components.last.map(String.init) else {
            throw ClusterFormationError(
                operation: "use", path: path, reason: "not an absolute path", remedy: "configure one")
        }
        let parent = try DirectoryHandle.create(path: "/" + components.dropLast().joined(separator: "/"))
        if try parent.status(of: name) == nil {
            let unfinished = ".\(name).new"
            try parent.removeTree(unfinished)
            try parent.makeDirectory(unfinished, permissions: 0o700)
            let fresh = CredentialDirectory(directory: try parent.openDirectory(unfinished))
            try fill(fresh)
            try fresh.directory.descriptor.synchronize(path)
            try parent.rename(unfinished, to: name, in: parent)
            try parent.descriptor.synchronize(parent.path)
        }
        // Opened again, so that messages name the final path.
        let opened = try parent.openDirectory(name)
        try DirectoryLock.take(opened)
        directory = opened
    }

    /// Opens a directory that must be there.
    init(existing path: String) throws {
        let opened = try DirectoryHandle(path: path)
        try DirectoryLock.take(opened)
        directory = opened
    }

    private init(directory: consuming DirectoryHandle) { self.directory = directory }

    /// Ends the lock, here and not before.
    consuming func release() {}

    private func path(_ name: String) -> String { "\(directory.path)/\(name)" }

    func write(_ key: PrivateKey, _ name: String) throws {
        try directory.replaceFile(name + ".key", with: key.pem(), permissions: 0o600)
    }

    func write(_ certificate: Certificate, _ name: String) throws {
        try directory.replaceFile(name + ".crt", with: certificate.pem(), permissions: 0o644)
    }

    /// A key that nothing can replace.
    func requiredKey(_ name: String) throws -> PrivateKey {
        try required(name + ".key") { (bytes) throws(PKIError) in try PrivateKey(pem: bytes) }
    }

    /// A certificate that nothing can replace.
    func requiredCertificate(_ name: String) throws -> Certificate {
        try required(name + ".crt") { (bytes) throws(PKIError) in try Certificate(pem: bytes) }
    }

    private func required<Value>(_ file: String, _ parse: ([UInt8]) throws(PKIError) -> Value) throws -> Value {
        guard let bytes = try directory.readFile(file, limit: Self.fileLimit) else {
            throw ClusterFormationError(
                operation: "read", path: path(file), reason: "the file is missing", remedy: Self.remedy)
        }
        do throws(PKIError) {
            return try parse(bytes)
        } catch {
            throw ClusterFormationError(
                operation: "read", path: path(file), reason: error.description, remedy: Self.remedy)
        }
    }

    /// The credential that meets a requirement; it is issued anew where it is missing, damaged, outdated or near its end.
    ///
    /// - Parameter isWanted: issues a new one in any case.
    func credential(
        _ requirement: CredentialRequirement, authority: CertificateAuthority, now: Int64, isWanted: Bool = false,
        issued: (_ name: String, _ reason: String) -> Void
    ) throws -> Credential {
        let name = requirement.name
        let key: PrivateKey
        if let bytes = try directory.readFile(name + ".key", limit: Self.fileLimit),
            // A damaged key is replaced like a missing one: the certificate is issued for the new one below.
            let stored = try? PrivateKey(pem: bytes)
        {
            key = stored
        } else {
            key = try PrivateKey.generate()
            try write(key, name)
        }
        var reason = "there was none"
        if let bytes = try directory.readFile(name + ".crt", limit: Self.fileLimit),
            // A damaged certificate is issued anew.
            let stored = try? Certificate(pem: bytes)
        {
            if try stored.publicKey != key.publicKey() {
                reason = "it belongs to another key"
            } else if isWanted {
                reason = "it was asked for"
            } else if let objection = requirement.objection(to: stored, authority: authority, now: now) {
                reason = objection
            } else {
                return try Credential(certificate: stored, key: key)
            }
        }
        let fresh = try requirement.issue(by: authority, for: key, now: now)
        try write(fresh.certificate, name)
        issued(name, reason)
        return fresh
    }
}
