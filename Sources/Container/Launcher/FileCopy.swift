// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Copies a directory's content with owners and permissions, for `tmpcopyup`.
enum FileCopy {
    /// Directories within one another; deeper trees are refused.
    private static let maximumDepth = 256

    static func copyContents(
        of source: borrowing DirectoryHandle, to target: borrowing DirectoryHandle, depth: Int = 0
    ) throws(SystemError) {
        guard depth < maximumDepth else { throw SystemError("copying", source.path, errno: Errno.ELOOP) }
        for name in try source.names() {
            guard let status = try source.status(of: name) else { continue }
            switch status.kind {
            case .directory:
                try target.makeDirectory(name, permissions: status.permissions)
                let from = try source.openDirectory(name)
                let to = try target.openDirectory(name)
                try copyContents(of: from, to: to, depth: depth + 1)
            case .symbolicLink:
                try target.makeSymbolicLink(name, to: try source.symbolicLinkTarget(name))
            case .regular:
                try copyFile(name, from: source, to: target, permissions: status.permissions)
            case .characterDevice, .blockDevice, .fifo:
                try target.makeNode(
                    name, kind: status.kind, permissions: status.permissions, major: status.major, minor: status.minor)
            case .socket, .unknown: continue
            }
            try target.setOwner(of: name, owner: status.owner, group: status.group)
            if status.kind != .symbolicLink { try target.setPermissions(of: name, status.permissions) }
        }
    }

    private static func copyFile(
        _ name: String, from source: borrowing DirectoryHandle, to target: borrowing DirectoryHandle,
        permissions: UInt32
    ) throws(SystemError) {
        let input = try source.openFile(name)
        let output = try target.createFile(name, permissions: permissions)
        while true {
            let chunk = try input.readAll(limit: 1 << 20, name)
            if chunk.isEmpty { return }
            try output.writeAll(chunk, name)
        }
    }
}
