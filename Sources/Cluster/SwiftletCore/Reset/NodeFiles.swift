// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Removes a node's files and directories.
enum NodeFiles {
    /// What mkfs makes, and fsck puts what it finds into.
    static let lostAndFound = "lost+found"

    /// Removes a file, or a directory as a whole: an agent that is started after a reset that was broken off must not take half
    /// a state for its own.
    ///
    /// A directory that is a file system of its own, or that a symbolic link leads to, is emptied where it is: mount and link
    /// are their owner's.
    static func remove(_ path: String) throws {
        let going = "\(path).removing"
        try Files.removeTree(going)
        guard let status = try Files.status(path) else { return }
        guard status.kind == .directory else {
            try Files.remove(path)
            return
        }
        let directory = try Files.resolved(path)
        // What is no link has no target.
        let isLink = (try? Files.linkTarget(path)) != nil
        if try isLink || isMountPoint(directory) { return try empty(directory) }
        do {
            try Files.rename(directory, to: going)
        } catch {
            guard error.isOfOtherFileSystem else { throw error }
            // A directory of an overlay's lower layer cannot be renamed.
            return try Files.removeTree(directory)
        }
        try Files.removeTree(going)
    }

    /// Whether something is mounted at a directory, which is named without symbolic links.
    static func isMountPoint(_ directory: String) throws -> Bool {
        try MountInfo.current().contains { $0.mountPoint == directory }
    }

    private static func empty(_ directory: String) throws {
        let going = "\(directory)/.removing"
        func names() throws -> [String] { try Files.names(in: directory).filter { $0 != lostAndFound } }
        do {
            // Out of the way first, which takes no time.
            try Files.makeDirectory(going, permissions: 0o700, mayExist: true)
            for name in try names() where "\(directory)/\(name)" != going {
                let target = "\(going)/\(name)"
                try Files.removeTree(target)
                try Files.rename("\(directory)/\(name)", to: target)
            }
        } catch let error as SystemError where error.isOutOfSpace || error.isOfOtherFileSystem {
            // Where there is no room for that, or an overlay below, one goes after the other.
        }
        for name in try names() { try Files.removeTree("\(directory)/\(name)") }
    }
}
