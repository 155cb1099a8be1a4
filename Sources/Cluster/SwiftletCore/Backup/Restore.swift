// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import StorageSQLite

/// Brings a backup to a machine whose agent does not run.
///
/// Everything is unpacked and verified on the file system of the state directory, with which it then changes places, see
/// ``StateReplacement``: a crash at any moment leaves the old state or the new one, and the command can be run again.
package struct Restore: Sendable {
    /// What was done.
    package struct Outcome: Sendable, Hashable {
        package var manifest: BackupManifest
        /// Values in the store.
        package var values: Int
        /// Where the old state is now; nil if there was none.
        package var movedAside: String?
        /// Whether the backup's configuration was put in place, because there was none.
        package var restoredConfiguration: Bool
    }

    private let configuration: Configuration
    private let configurationFile: String
    private var state: String { configuration.directories.state }

    package init(_ configuration: Configuration, configurationFile: String) {
        self.configuration = configuration
        self.configurationFile = configurationFile
    }

    /// Restores a backup.
    ///
    /// - Parameter force: whether state that is there is moved aside; without it, it is a reason to refuse.
    /// - Throws: ``BackupError`` and what the file system reports; the state is then as it was.
    package func run(_ file: String, force: Bool) throws -> Outcome {
        guard Files.exists(file) else { throw BackupError("\(file) does not exist") }
        let replacement = try checkTarget(force: force)
        // Of one name, so that what a crash leaves goes with the next attempt.
        let unpacked = replacement.unpacked
        try Files.removeTree(replacement.work)
        try Files.makeDirectories(unpacked, permissions: 0o700)
        do {
            let manifest = try unpack(file, into: unpacked)
            let store = "\(unpacked)/store/\(StoreSnapshot.fileName)"
            let values = try StoreSnapshot.verify(store)
            try StoreSnapshot.prepareForRestore(store, replacing: "\(state)/store")
            let restored = try placeConfiguration(from: unpacked)
            let aside = try replacement.run()
            return Outcome(manifest: manifest, values: values, movedAside: aside, restoredConfiguration: restored)
        } catch {
            // It is thrown away by the next attempt if it cannot be now.
            try? Files.removeTree(replacement.work)
            if let error = error as? SystemError, error.isOutOfSpace {
                throw BackupError.diskFull(unpacked, "\(error)")
            }
            throw error
        }
    }

    /// Looks whether the state may be replaced.
    private func checkTarget(force: Bool) throws -> StateReplacement {
        if let pid = AgentProcess.find(configuration) {
            throw BackupError("the agent runs as process \(pid): stop it first (swiftlet stop)")
        }
        try StateReplacement.finish(in: state)
        let replacement = try StateReplacement(of: state)
        guard let names = try replacement.existing(), !names.isEmpty else { return replacement }
        guard force else {
            throw BackupError(
                "\(state) is not empty (\(names.sorted().prefix(3).joined(separator: ", "))): add --force to move it aside"
            )
        }
        let mounts = try replacement.mounts()
        guard mounts.isEmpty else {
            throw BackupError(
                "\(mounts.count) file systems are mounted below \(state), the first at \(mounts[0].mountPoint): unmount"
                    + " those that are yours, and end running containers first (kubectl delete the pods before stopping the"
                    + " agent, or reboot with the service disabled)")
        }
        return replacement
    }

    private func unpack(_ file: String, into directory: String) throws -> BackupManifest {
        let tar = try Program.require("tar", package: "tar")
        let result = try Program.run(
            tar,
            [
                "--extract", "--gzip", "--no-same-owner", "--no-same-permissions", "--file", file, "--directory",
                directory,
            ])
        guard result.status == 0 else {
            let space = try FileDescriptor.open(directory, [.read, .directory]).space(directory)
            // 10,240 bytes: tar's unit.
            if space.availableBytes < 10_240 {
                throw BackupError.diskFull(directory, result.output.trimmed)
            }
            throw BackupError("\(file) is damaged or not a backup: \(result.output.trimmed)")
        }
        let path = "\(directory)/\(BackupManifest.fileName)"
        guard Files.exists(path) else {
            throw BackupError("\(file) is not a backup: it has no \(BackupManifest.fileName)")
        }
        let manifest = try BackupManifest(Files.read(path), of: file)
        try verify(directory, manifest, file)
        return manifest
    }

    /// Every file is listed and has its checksum, and there is nothing but files.
    private func verify(_ root: String, _ manifest: BackupManifest, _ file: String) throws {
        for required in ["store/\(StoreSnapshot.fileName)", "pki/ca.crt", "pki/ca.key"]
        where manifest.files[required] == nil {
            throw BackupError("\(file) is incomplete: it has no \(required)")
        }
        for (path, checksum) in manifest.files {
            let found = try? BackupManifest.checksum("\(root)/\(path)")
            guard !path.split(separator: "/").contains(".."), found == checksum else {
                throw BackupError("\(file) is damaged: the checksum of \(path) is not that of the manifest")
            }
        }
        for directory in ["", "store/", "pki/"] {
            let handle = try DirectoryHandle(path: "\(root)/\(directory)")
            for name in try handle.names() where name != BackupManifest.fileName {
                let kind = try handle.status(of: name)?.kind
                let isListed = kind == .regular && manifest.files[directory + name] != nil
                guard isListed || (kind == .directory && directory.isEmpty && ["store", "pki"].contains(name)) else {
                    throw BackupError("\(file) holds \(directory)\(name), which its manifest does not list")
                }
            }
        }
    }

    private func placeConfiguration(from directory: String) throws -> Bool {
        let saved = "\(directory)/config.yaml"
        let isWanted = Files.exists(saved) && !Files.exists(configurationFile)
        if isWanted {
            try Files.makeDirectories(Files.directory(of: configurationFile))
            try Files.replace(configurationFile, with: Files.read(saved))
        }
        // The state directory is to hold nothing that the agent does not know.
        try Files.remove(saved)
        try Files.remove("\(directory)/\(BackupManifest.fileName)")
        return isWanted
    }
}
