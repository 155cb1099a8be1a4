// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import JSON
import LinuxSystem
import StorageSQLite

/// Writes backups: the store, the keys and the configuration in one compressed tar archive.
///
/// The file holds private keys and Secrets: its mode is 0600, and who has it owns the cluster.
package struct Backup: Sendable {
    private let configuration: Configuration
    /// The configuration file; it may be missing.
    private let configurationFile: String

    package init(_ configuration: Configuration, configurationFile: String) {
        self.configuration = configuration
        self.configurationFile = configurationFile
    }

    /// Writes a backup, also while the agent runs. The file appears whole, on disk, or not at all.
    ///
    /// - Throws: ``BackupError``, ``StorageOpenError`` or ``SystemError`` with what kept it from being written.
    package func write(to target: String) throws -> BackupManifest {
        if let membership = try Membership.load(stateDirectory: configuration.directories.state) {
            throw BackupError(
                "this node is a worker of the cluster at \(membership.cluster.servers.first ?? "?"): back it up there")
        }
        do {
            return try attempt(target)
        } catch let error as SystemError where error.isOutOfSpace {
            throw BackupError.diskFull(target, "\(error)")
        }
    }

    private func attempt(_ target: String) throws -> BackupManifest {
        // Always of one name, so that what a crash leaves goes with the next attempt: it holds keys.
        let work = "\(target).unfinished"
        try Files.makeDirectory(work, permissions: 0o700, mayExist: true)
        let lock = try Self.openOwn(work)
        guard try lock.tryLock(work) else { throw BackupError("another 'swiftlet backup' writes \(target) just now") }
        let result = Result { try fill(work, target) }
        // What is left behind if this fails too has a name that says so.
        try? Files.removeTree(work)
        // The lock lasts until here.
        lock.close()
        return try result.get()
    }

    /// Opens a directory that nobody else can look into: where others may write, one of them may have made it beforehand.
    private static func openOwn(_ work: String) throws -> FileDescriptor {
        let directory: FileDescriptor
        do {
            directory = try FileDescriptor.open(work, [.read, .directory, .noFollow])
        } catch {
            guard error.isNotDirectory else { throw error }
            throw BackupError("\(work) is in the way and no directory: remove it, or write the backup somewhere else")
        }
        let status = try directory.status(work)
        guard status.owner == Processes.effectiveUserID, status.permissions & 0o077 == 0 else {
            throw BackupError(
                "\(work) is in the way: others may look into it, and a backup holds keys; remove it, or write the backup"
                    + " where nobody else can write")
        }
        return directory
    }

    private func fill(_ work: String, _ target: String) throws -> BackupManifest {
        for name in try Files.names(in: work) { try Files.removeTree("\(work)/\(name)") }
        let tree = "\(work)/backup"
        try Files.makeDirectories("\(tree)/store", permissions: 0o700)
        let mask = Processes.setFileCreationMask(0o077)
        defer { _ = Processes.setFileCreationMask(mask) }
        try StoreSnapshot.write(
            of: "\(configuration.directories.state)/store", to: "\(tree)/store/\(StoreSnapshot.fileName)")
        try copyKeys(to: "\(tree)/pki")
        if Files.exists(configurationFile) {
            try Files.replace("\(tree)/config.yaml", with: Files.read(configurationFile), permissions: 0o600)
        }
        let manifest = try manifest(of: tree)
        try Files.replace(
            "\(tree)/\(BackupManifest.fileName)", with: Array(manifest.json.text(indented: true).utf8),
            permissions: 0o600)
        try Tarball.pack(["."], of: tree, as: "\(work)/archive")
        try Files.rename("\(work)/archive", to: target)
        try FileDescriptor.open(Files.directory(of: target), [.read, .directory]).synchronize(target)
        return manifest
    }

    private func copyKeys(to directory: String) throws {
        let source = "\(configuration.directories.state)/pki"
        guard Files.exists(source) else {
            throw BackupError("\(source) is missing: this node has no cluster of its own to back up")
        }
        try Files.makeDirectory(directory, permissions: 0o700)
        // Keys and certificates that belong together, also while an authority is replaced.
        try AuthorityFiles(directory: source).locked {
            for name in try Files.names(in: source) where !name.hasPrefix(".") && !name.hasSuffix(".tmp") {
                try Files.replace(
                    "\(directory)/\(name)", with: Files.read("\(source)/\(name)"), permissions: 0o600, durable: false)
            }
        }
    }

    private func manifest(of tree: String) throws -> BackupManifest {
        var files: [String: String] = [:]
        for directory in ["", "store/", "pki/"] {
            for name in try Files.names(in: "\(tree)/\(directory)") {
                let path = directory + name
                guard try Files.status("\(tree)/\(path)")?.kind == .regular else { continue }
                files[path] = try BackupManifest.checksum("\(tree)/\(path)")
            }
        }
        return BackupManifest(
            created: FileTime.now().rfc3339, nodeName: try NodeIdentity.discover(configuration).name,
            version: ProductVersion.swiftlet, files: files)
    }
}
