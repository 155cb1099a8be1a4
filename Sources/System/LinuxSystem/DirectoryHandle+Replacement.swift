// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Whole files that are read and replaced at once.
extension DirectoryHandle {
    /// How much ``replaceFile(_:with:permissions:group:durably:)`` does against loss of power.
    package enum Durability: Sendable, Hashable {
        /// The new content is on disk when the call returns.
        case synchronized
        /// Another process never sees half a file, but a power cut may: for memory file systems.
        case atomic
    }

    /// Opens a directory of the host, making it and its missing parents with these permissions.
    package static func create(path: String, permissions: UInt32 = 0o755) throws(SystemError) -> DirectoryHandle {
        var prefix = path.hasPrefix("/") ? "/" : ""
        for component in path.split(separator: "/") {
            prefix += (prefix.isEmpty || prefix.hasSuffix("/") ? "" : "/") + component
            do {
                try systemCall("mkdir", prefix) { mkdir(prefix, mode_t(permissions)) }
            } catch  where error.errno == EEXIST || error.errno == EROFS {
                // EROFS: the kernel reports it before EEXIST on a read-only mount; opening tells if it is really missing.
                continue
            }
        }
        return try DirectoryHandle(path: path)
    }

    /// Reads a file of at most `limit` bytes (EFBIG beyond); nil where it does not exist.
    package func readFile(_ name: String, limit: Int) throws(SystemError) -> [UInt8]? {
        let file: FileDescriptor
        do {
            file = try openFile(name)
        } catch  where error.errno == ENOENT {
            return nil
        }
        let bytes = try file.bytes(limit: limit + 1, "\(path)/\(name)")
        guard bytes.count <= limit else { throw SystemError("read", "\(path)/\(name)", errno: EFBIG) }
        return bytes
    }

    /// The name that a file has until it is whole, in ``replaceFile(_:with:permissions:group:durability:)``.
    package static func unfinishedName(of name: String) -> String { ".\(name).new" }

    /// Replaces a file, or creates it: whoever reads sees the old content or the new, never a part.
    ///
    /// - Parameter group: the group that shall own it; nil leaves the process's own.
    package func replaceFile(
        _ name: String, with bytes: [UInt8], permissions: UInt32 = 0o644, group: UInt32? = nil,
        durability: Durability = .synchronized
    ) throws(SystemError) {
        let temporary = Self.unfinishedName(of: name)
        let subject = "\(path)/\(temporary)"
        // A leftover of a crash: its content was never in force.
        try removeTree(temporary)
        let file = try createFile(temporary, permissions: permissions)
        do throws(SystemError) {
            try file.write(bytes, subject)
            if let group { try file.setOwner(geteuid(), group: group, subject) }
            // The umask must not have the last word.
            try file.setPermissions(permissions, subject)
            if durability == .synchronized { try file.synchronize(subject) }
            try rename(temporary, to: name, in: self)
            if durability == .synchronized { try descriptor.synchronize(path) }
        } catch {
            // The first failure is what matters.
            try? removeTree(temporary)
            throw error
        }
    }
}

extension FileDescriptor {
    /// Writes all of `bytes` at the current position.
    package func write(_ bytes: [UInt8], _ subject: String) throws(SystemError) {
        var failure: SystemError?
        bytes.withUnsafeBytes { buffer in
            do throws(SystemError) {
                try write(buffer, subject)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }
}
