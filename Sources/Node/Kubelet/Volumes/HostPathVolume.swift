// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Checks and creates what a hostPath volume names (upstream: pkg/volume/hostpath).
enum HostPathVolume {
    /// Makes sure that the path is what `type` says; throws with upstream's words.
    static func prepare(_ path: String, type: String) throws {
        let status = try Files.status(path)
        switch type {
        // Without a type nothing is checked; a missing directory is made, as containerd does.
        case "": if status == nil { try Files.makeDirectories(path) }
        case "DirectoryOrCreate":
            guard let status else { return try Files.makeDirectories(path) }
            try require(status.kind == .directory, path, "directory")
        case "FileOrCreate":
            guard let status else {
                _ = try FileDescriptor.open(path, [.write, .create], permissions: 0o644)
                return
            }
            try require(status.kind == .regular, path, "file")
        case "Directory": try require(status?.kind == .directory, path, "directory")
        case "File": try require(status?.kind == .regular, path, "file")
        case "Socket": try require(status?.kind == .socket, path, "socket file")
        case "CharDevice": try require(status?.kind == .characterDevice, path, "character device")
        case "BlockDevice": try require(status?.kind == .blockDevice, path, "block device")
        default: throw ConfigurationError("\(type) is an invalid volume type")
        }
    }

    private static func require(_ isRight: Bool, _ path: String, _ kind: String) throws {
        if !isRight { throw ConfigurationError("hostPath type check failed: \(path) is not a \(kind)") }
    }
}
