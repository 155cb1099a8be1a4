// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// An open directory and the file-system calls relative to it.
///
/// Names are single path components unless a method says otherwise; symbolic links in the last component are
/// never followed. Resolution of longer paths is confined to the directory as if it were the root (openat2(2) with
/// `RESOLVE_IN_ROOT`): neither `..` nor an absolute symbolic link leads out of it.
package struct DirectoryHandle: ~Copyable, Sendable {
    /// The descriptor, open for reading.
    package let descriptor: FileDescriptor
    /// What error messages call the directory.
    package let path: String

    /// Takes over an open directory.
    package init(owning descriptor: consuming FileDescriptor, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    /// Opens a directory of the host by its path; symbolic links are followed.
    package init(path: String) throws(SystemError) {
        let number = try systemCall("open", path) { Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        self.init(owning: FileDescriptor(owning: number), path: path)
    }

    private func subject(_ name: String) -> String { "\(path)/\(name)" }
}

// MARK: - Opening

extension DirectoryHandle {
    /// Opens the directory at a relative path of any length, resolved with this directory as root.
    package func openDirectory(inRoot relative: String) throws(SystemError) -> DirectoryHandle {
        let flags = UInt64(O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        let number = try openResolved(relative, flags: flags, mode: 0)
        return DirectoryHandle(owning: FileDescriptor(owning: number), path: subject(relative))
    }

    /// Opens a file at a relative path of any length for reading, resolved with this directory as root.
    ///
    /// Opening does not wait for the writer of a named pipe; the caller checks the kind with ``status(of:)``.
    package func openFile(inRoot relative: String) throws(SystemError) -> FileDescriptor {
        let flags = UInt64(O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        return FileDescriptor(owning: try openResolved(relative, flags: flags, mode: 0))
    }

    /// Opens a subdirectory itself, not what a symbolic link of that name leads to (ENOTDIR, ELOOP).
    package func openDirectory(_ name: String) throws(SystemError) -> DirectoryHandle {
        let number = try systemCall("openat", subject(name)) {
            openat(descriptor.rawValue, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        }
        return DirectoryHandle(owning: FileDescriptor(owning: number), path: subject(name))
    }

    /// Opens an existing file for reading.
    package func openFile(_ name: String) throws(SystemError) -> FileDescriptor {
        let number = try systemCall("openat", subject(name)) {
            openat(descriptor.rawValue, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        }
        return FileDescriptor(owning: number)
    }

    /// Creates a file that must not exist yet (EEXIST), for writing and reading.
    package func createFile(_ name: String, permissions: UInt32 = 0o600) throws(SystemError) -> FileDescriptor {
        let number = try systemCall("openat", subject(name)) {
            openat(descriptor.rawValue, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode_t(permissions))
        }
        return FileDescriptor(owning: number)
    }

    /// Opens a file for reading and writing, creating it where it is missing: for lock files.
    package func openOrCreateFile(_ name: String, permissions: UInt32 = 0o600) throws(SystemError) -> FileDescriptor {
        let number = try systemCall("openat", subject(name)) {
            openat(descriptor.rawValue, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode_t(permissions))
        }
        return FileDescriptor(owning: number)
    }

    private func openResolved(_ relative: String, flags: UInt64, mode: UInt64) throws(SystemError) -> CInt {
        let target = relative.isEmpty ? "." : relative
        // EAGAIN: a rename raced with the resolution of `..` (openat2(2)); a bounded number of new attempts.
        for attempt in 1...16 {
            do {
                return try systemCall("openat2", subject(relative)) {
                    clinux_openat2(
                        descriptor.rawValue, target, flags, mode,
                        clinux_RESOLVE_IN_ROOT | clinux_RESOLVE_NO_MAGICLINKS)
                }
            } catch  where error.errno == EAGAIN && attempt < 16 {
                continue
            }
        }
        throw SystemError("openat2", subject(relative), errno: EAGAIN)
    }
}

// MARK: - Creating and removing names

extension DirectoryHandle {
    /// mkdirat(2); EEXIST where the name is taken.
    package func makeDirectory(_ name: String, permissions: UInt32 = 0o755) throws(SystemError) {
        try systemCall("mkdirat", subject(name)) { mkdirat(descriptor.rawValue, name, mode_t(permissions)) }
    }

    /// symlinkat(2).
    package func makeSymbolicLink(_ name: String, to target: String) throws(SystemError) {
        try systemCall("symlinkat", subject(name)) { symlinkat(target, descriptor.rawValue, name) }
    }

    /// linkat(2): gives `name` in this directory to the file `sourceName` of `source`.
    package func makeHardLink(
        _ name: String, to sourceName: String, in source: borrowing DirectoryHandle
    ) throws(SystemError) {
        let from = source.descriptor.rawValue
        try systemCall("linkat", subject(name)) { linkat(from, sourceName, descriptor.rawValue, name, 0) }
    }

    /// mknodat(2) of a device, FIFO or overlayfs whiteout.
    package func makeNode(
        _ name: String, kind: FileStatus.Kind, permissions: UInt32, major: UInt32 = 0, minor: UInt32 = 0
    ) throws(SystemError) {
        let type: mode_t =
            switch kind {
            case .characterDevice: S_IFCHR
            case .blockDevice: S_IFBLK
            case .fifo: S_IFIFO
            default: S_IFREG
            }
        try systemCall("mknodat", subject(name)) {
            clinux_mknodat(descriptor.rawValue, name, type | mode_t(permissions), major, minor)
        }
    }

    /// unlinkat(2) of anything that is not a directory.
    package func removeFile(_ name: String) throws(SystemError) {
        try systemCall("unlinkat", subject(name)) { unlinkat(descriptor.rawValue, name, 0) }
    }

    /// renameat(2) to a name in another (or the same) directory, replacing what is there.
    package func rename(
        _ name: String, to newName: String, in target: borrowing DirectoryHandle
    ) throws(SystemError) {
        let to = target.descriptor.rawValue
        try systemCall("renameat", subject(name)) { renameat(descriptor.rawValue, name, to, newName) }
    }

    /// Removes a name and everything below it; a name that does not exist is no error.
    ///
    /// Symbolic links are removed, not followed. Directories nest at most ``maximumDepth`` levels.
    package func removeTree(_ name: String) throws(SystemError) { try removeTree(name, depth: 0) }

    /// How deep ``removeTree(_:)`` goes down before it gives up with ELOOP; each level holds a descriptor.
    package static var maximumDepth: Int { 512 }

    private func removeTree(_ name: String, depth: Int) throws(SystemError) {
        guard depth < Self.maximumDepth else { throw SystemError("removing", subject(name), errno: ELOOP) }
        do {
            try removeFile(name)
            return
        } catch  where error.errno == ENOENT {
            return
        } catch  where error.errno == EISDIR || error.errno == EPERM || error.errno == EBUSY {
            // A directory: emptied below.
        }
        let directory = try openDirectory(name)
        for child in try directory.names() { try directory.removeTree(child, depth: depth + 1) }
        do {
            try systemCall("unlinkat", subject(name)) { unlinkat(descriptor.rawValue, name, AT_REMOVEDIR) }
        } catch  where error.errno == ENOENT {
            return
        }
    }
}

// MARK: - Reading and changing what is there

extension DirectoryHandle {
    /// fstatat(2) of a name itself (a symbolic link is not followed); nil where it does not exist.
    package func status(of name: String) throws(SystemError) -> FileStatus? {
        var status = stat()
        do {
            try systemCall("fstatat", subject(name)) {
                fstatat(descriptor.rawValue, name, &status, AT_SYMLINK_NOFOLLOW)
            }
        } catch  where error.errno == ENOENT {
            return nil
        }
        return FileStatus(status)
    }

    /// The names in the directory, without `.` and `..`, in no particular order.
    package func names() throws(SystemError) -> [String] {
        let copy = try systemCall("openat", path) {
            openat(descriptor.rawValue, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        }
        guard let stream = fdopendir(copy) else {
            let number = errno
            Glibc.close(copy)
            throw SystemError("fdopendir", path, errno: number)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            // readdir(3) reports an error only by changing errno.
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw SystemError("readdir", path, errno: errno) }
                return names
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    /// The target of a symbolic link.
    package func symbolicLinkTarget(_ name: String) throws(SystemError) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = try systemCall("readlinkat", subject(name)) {
            readlinkat(descriptor.rawValue, name, &buffer, buffer.count)
        }
        return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// fchownat(2) of a name itself.
    package func setOwner(of name: String, owner: UInt32, group: UInt32) throws(SystemError) {
        try systemCall("fchownat", subject(name)) {
            fchownat(descriptor.rawValue, name, owner, group, AT_SYMLINK_NOFOLLOW)
        }
    }

    /// fchmodat(2); not for symbolic links, which it would follow.
    package func setPermissions(of name: String, _ permissions: UInt32) throws(SystemError) {
        try systemCall("fchmodat", subject(name)) { fchmodat(descriptor.rawValue, name, mode_t(permissions), 0) }
    }

    /// utimensat(2) of a name itself: both time stamps are set to `time`.
    package func setTime(of name: String, _ time: FileTime) throws(SystemError) {
        let times = [time.kernelForm, time.kernelForm]
        try systemCall("utimensat", subject(name)) {
            utimensat(descriptor.rawValue, name, times, AT_SYMLINK_NOFOLLOW)
        }
    }
}
