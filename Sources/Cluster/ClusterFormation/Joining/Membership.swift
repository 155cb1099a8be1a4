// SPDX-License-Identifier: Apache-2.0

import JSON
package import LinuxSystem
package import PKI

/// A node's part in somebody else's cluster: what it needs to know, its certificates and keys.
///
/// It lies in a directory of its own that appears and goes whole, by a rename: a node has joined or has not. A node without
/// one is a cluster of its own.
package struct Membership: Sendable {
    /// The name of the directory below the state directory.
    private static let directoryName = "membership"
    private static let fileLimit = 256 << 10

    package var nodeName: String
    /// The part of the pod network that is this node's; in dual stack clusters two ranges with a comma between them.
    package var nodeCIDR: String
    package var cluster: ClusterFacts
    /// The cluster's authorities in PEM.
    package var authorityPEM: [UInt8]
    package var client: CertifiedKey
    package var serving: CertifiedKey

    /// A certificate and its key in one PEM text, as the kubelet keeps them: one file, which is replaced as a whole.
    package struct CertifiedKey: Hashable, Sendable {
        package var pem: [UInt8]

        package init(pem: [UInt8]) { self.pem = pem }

        package init(certificatePEM: [UInt8], keyPEM: [UInt8]) { pem = certificatePEM + keyPEM }

        /// The form in which TLS takes it: who reads a certificate or a key skips what is of another kind (PEM_read_bio(3)).
        package var identity: (certificateChain: [UInt8], privateKey: [UInt8]) { (pem, pem) }
    }

    package init(
        nodeName: String, nodeCIDR: String, cluster: ClusterFacts, authorityPEM: [UInt8], client: CertifiedKey,
        serving: CertifiedKey
    ) {
        self.nodeName = nodeName
        self.nodeCIDR = nodeCIDR
        self.cluster = cluster
        self.authorityPEM = authorityPEM
        self.client = client
        self.serving = serving
    }

    /// The hashes of the cluster's authorities, as join lines have them.
    ///
    /// - Throws: `PKIError` when the bundle is damaged.
    package func fingerprints() throws(PKIError) -> [String] { try Self.fingerprints(of: authorityPEM) }

    /// The SHA-256 of each certificate in a bundle, in hexadecimal.
    package static func fingerprints(of bundle: [UInt8]) throws(PKIError) -> [String] {
        try Certificate.bundle(pem: bundle).map { hexadecimal($0.fingerprint) }
    }

    /// The cluster's authorities.
    ///
    /// - Throws: `PKIError` when the bundle is damaged.
    package func authorities() throws(PKIError) -> AuthorityBundle { try AuthorityBundle(pem: authorityPEM) }

    // MARK: On disk

    /// Whether this machine has joined a cluster: others than root may know that, and no more.
    package static func exists(stateDirectory: String) throws(SystemError) -> Bool {
        try Files.status("\(stateDirectory)/\(directoryName)") != nil
    }

    /// Reads the membership; nil for a node that is a cluster of its own.
    ///
    /// - Throws: ``ClusterFormationError`` when it is damaged.
    package static func load(stateDirectory: String) throws -> Membership? {
        let path = "\(stateDirectory)/\(directoryName)"
        guard Files.exists(path) else { return nil }
        do {
            func read(_ name: String) throws -> [UInt8] { try Files.read("\(path)/\(name)", limit: fileLimit) }
            let facts = try JSON.parse(try read("membership.json"))
            guard let nodeName = facts["nodeName"]?.string, let nodeCIDR = facts["nodeCIDR"]?.string else {
                throw MissingField("nodeName")
            }
            return Membership(
                nodeName: nodeName, nodeCIDR: nodeCIDR, cluster: try ClusterFacts(facts["cluster"] ?? .null),
                authorityPEM: try read("ca.crt"), client: .init(pem: try read("kubelet-client.pem")),
                serving: .init(pem: try read("kubelet.pem")))
        } catch let error as SystemError where error.isDenied {
            throw ClusterFormationError(
                operation: "read the membership in", path: path, reason: error.reason, remedy: "run it with sudo")
        } catch {
            throw ClusterFormationError(
                operation: "read the membership in", path: path, reason: "\(error)",
                remedy: "restore it from a backup, or run 'swiftlet leave --force' and join again")
        }
    }

    /// Writes a membership where there is none yet; a crash leaves all of it or nothing.
    package func create(stateDirectory: String) throws {
        let parent = try DirectoryHandle.create(path: stateDirectory, permissions: 0o711)
        let unfinished = ".\(Self.directoryName).new"
        try parent.removeTree(unfinished)
        try parent.makeDirectory(unfinished, permissions: 0o700)
        let fresh = try parent.openDirectory(unfinished)
        for (name, bytes) in files { try fresh.replaceFile(name, with: bytes, permissions: 0o600) }
        try fresh.descriptor.synchronize(fresh.path)
        try parent.rename(unfinished, to: Self.directoryName, in: parent)
        try parent.descriptor.synchronize(parent.path)
    }

    /// Changes a membership that is there, as it is on disk; the agent and commands take turns.
    ///
    /// - Returns: what it is now.
    /// - Throws: `SystemError` when there is none, ``ClusterFormationError`` when it is damaged.
    @discardableResult
    package static func change(stateDirectory: String, _ body: (inout Membership) -> Void) throws -> Membership {
        let path = "\(stateDirectory)/\(directoryName)"
        let directory = try DirectoryHandle(path: path)
        try DirectoryLock.take(directory)
        guard var membership = try load(stateDirectory: stateDirectory) else {
            throw ClusterFormationError(
                operation: "change the membership in", path: path, reason: "the node has left its cluster meanwhile",
                remedy: "join again")
        }
        body(&membership)
        try membership.save(in: directory)
        return membership
    }

    /// Replaces what has changed, file by file.
    private func save(in directory: borrowing DirectoryHandle) throws {
        for (name, bytes) in files where try directory.readFile(name, limit: Self.fileLimit) != bytes {
            try directory.replaceFile(name, with: bytes, permissions: 0o600)
        }
    }

    /// Ends the membership; afterwards the node is a cluster of its own. What is left of one that has ended goes in any case.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    package static func remove(stateDirectory: String) throws -> Bool {
        guard Files.exists(stateDirectory) else { return false }
        let parent = try DirectoryHandle(path: stateDirectory)
        let leaving = ".\(directoryName).old"
        try parent.removeTree(leaving)
        guard try parent.status(of: directoryName) != nil else { return false }
        // Who is changing something in it comes to an end first.
        let directory = try parent.openDirectory(directoryName)
        try DirectoryLock.take(directory)
        try parent.rename(directoryName, to: leaving, in: parent)
        try parent.descriptor.synchronize(parent.path)
        try parent.removeTree(leaving)
        try directory.descriptor.unlock(directory.path)
        return true
    }

    private var files: [(name: String, bytes: [UInt8])] {
        let facts: JSON = [
            "nodeName": .string(nodeName), "nodeCIDR": .string(nodeCIDR), "cluster": cluster.json,
        ]
        return [
            ("membership.json", Array(facts.text(indented: true).utf8)), ("ca.crt", authorityPEM),
            ("kubelet-client.pem", client.pem), ("kubelet.pem", serving.pem),
        ]
    }
}
