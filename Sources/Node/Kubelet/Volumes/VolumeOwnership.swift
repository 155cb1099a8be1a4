// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Gives a volume to the pod's fsGroup (upstream: pkg/volume/volume_linux.go).
enum VolumeOwnership {
    /// Directories are entered at most so deep.
    private static let depthLimit = 256

    /// Changes the group of everything below `path`, opens it to the group, and makes new files inherit the group.
    ///
    /// - Parameter onRootMismatch: Leave all as it is when the root already belongs to the group
    ///   (fsGroupChangePolicy OnRootMismatch).
    static func apply(_ group: UInt32, to path: String, onRootMismatch: Bool) throws {
        if onRootMismatch, let status = try Files.status(path), status.group == group,
            status.permissions & 0o2070 == 0o2070
        {
            return
        }
        let directory = try DirectoryHandle(path: path)
        try applyBelow(directory, group, depth: 0)
        try set(directory.descriptor, group, isDirectory: true, path)
    }

    private static func applyBelow(_ directory: borrowing DirectoryHandle, _ group: UInt32, depth: Int) throws {
        guard depth < depthLimit else { return }
        for name in try directory.names() {
            guard let status = try directory.status(of: name) else { continue }
            switch status.kind {
            case .directory:
                let child = try directory.openDirectory(name)
                try applyBelow(child, group, depth: depth + 1)
                try set(child.descriptor, group, isDirectory: true, name)
            case .regular: try set(directory.openFile(name), group, isDirectory: false, name)
            default: try directory.setOwner(of: name, owner: status.owner, group: group)
            }
        }
    }

    private static func set(
        _ file: borrowing FileDescriptor, _ group: UInt32, isDirectory: Bool, _ name: String
    ) throws {
        let status = try file.status(name)
        try file.setOwner(status.owner, group: group, name)
        let added: UInt32 = isDirectory ? 0o2770 : 0o660
        try file.setPermissions(status.permissions | added, name)
    }
}
