// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Whole-file and path operations on the host's file system; symbolic links are followed unless said otherwise.
package enum Files {
    /// The content of a file, at most `limit` bytes.
    package static func read(_ path: String, limit: Int = 16 << 20) throws(SystemError) -> [UInt8] {
        try FileDescriptor.open(path, .read).readAll(limit: limit, path)
    }

    /// The content of a small text file without its last line feed: for files of the kernel.
    package static func readText(_ path: String, limit: Int = 1 << 20) throws(SystemError) -> String {
        var bytes = try read(path, limit: limit)
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes a text to an existing file with one write(2): for files of the kernel, which take a value as a whole.
    package static func write(_ text: String, to path: String) throws(SystemError) {
        try FileDescriptor.open(path, .write).writeAll(text, path)
    }

    /// Replaces a file's content so that a reader, or a machine that loses power, sees the old or the new one whole.
    ///
    /// Several may replace one file at a time: then it has what one of them wrote.
    ///
    /// - Parameter durable: whether the content is on disk when this returns (fsync(2) of the file and its directory).
    package static func replace(
        _ path: String, with bytes: [UInt8], permissions: UInt32 = 0o644, durable: Bool = true
    ) throws(SystemError) {
        // A thread writes one file at a time, so the name is its own.
        let temporary = "\(path).\(getpid()).\(pthread_self()).tmp"
        do {
            let file = try FileDescriptor.open(temporary, [.write, .create, .truncate], permissions: permissions)
            try file.writeAll(bytes, temporary)
            if durable { try file.synchronize(temporary) }
            try rename(temporary, to: path)
        } catch {
            unlink(temporary)
            throw error
        }
        if durable { try FileDescriptor.open(directory(of: path), [.read, .directory]).synchronize(path) }
    }

    /// rename(2).
    package static func rename(_ path: String, to target: String) throws(SystemError) {
        try systemCall("rename", path) { Glibc.rename(path, target) }
    }

    /// Gives each of two paths the other's place, in one step (renameat2(2)).
    package static func exchange(_ path: String, _ other: String) throws(SystemError) {
        try systemCall("exchange \(other) with", path) { clinux_exchange(path, other) }
    }

    /// The directory part of a path, `.` if it has none.
    package static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Makes a directory and the missing ones above it; one that exists is no error.
    package static func makeDirectories(_ path: String, permissions: UInt32 = 0o755) throws(SystemError) {
        if mkdir(path, mode_t(permissions)) == 0 { return }
        switch errno {
        case EEXIST: return
        case ENOENT where path.contains("/") && path != "/":
            try makeDirectories(directory(of: path), permissions: permissions)
            try makeDirectory(path, permissions: permissions, mayExist: true)
        default: throw SystemError("mkdir", path, errno: errno)
        }
    }

    /// mkdir(2).
    package static func makeDirectory(
        _ path: String, permissions: UInt32 = 0o755, mayExist: Bool = false
    ) throws(SystemError) {
        do {
            try systemCall("mkdir", path) { mkdir(path, mode_t(permissions)) }
        } catch  where mayExist && error.errno == EEXIST {
            return
        }
    }

    /// rmdir(2).
    package static func removeDirectory(_ path: String) throws(SystemError) {
        try systemCall("rmdir", path) { rmdir(path) }
    }

    /// unlink(2); false where there was nothing.
    @discardableResult
    package static func remove(_ path: String) throws(SystemError) -> Bool {
        do {
            try systemCall("unlink", path) { unlink(path) }
            return true
        } catch  where error.errno == ENOENT {
            return false
        }
    }

    /// The names in a directory, without `.` and `..`, in no particular order.
    package static func names(in path: String) throws(SystemError) -> [String] {
        try DirectoryHandle(path: path).names()
    }

    /// The target of a symbolic link.
    package static func linkTarget(_ path: String) throws(SystemError) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = try systemCall("readlink", path) { readlink(path, &buffer, buffer.count) }
        return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// symlink(2).
    package static func makeLink(_ path: String, to target: String) throws(SystemError) {
        try systemCall("symlink", path) { symlink(target, path) }
    }

    /// stat(2); nil where the path does not exist.
    package static func status(_ path: String) throws(SystemError) -> FileStatus? {
        var status = stat()
        do {
            try systemCall("stat", path) { stat(path, &status) }
        } catch  where error.errno == ENOENT || error.errno == ENOTDIR {
            return nil
        }
        return FileStatus(status)
    }

    /// Whether a path exists, also as something that we may not look at.
    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 || errno == EACCES }

    /// The absolute path without symbolic links, realpath(3).
    package static func resolved(_ path: String) throws(SystemError) -> String {
        guard let resolved = realpath(path, nil) else { throw SystemError("realpath", path, errno: errno) }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Removes a directory tree (or file) without following symbolic links and without crossing into another mount.
    ///
    /// A mount point inside the tree is an error (EXDEV, named), and nothing below it is touched.
    package static func removeTree(_ path: String) throws(SystemError) {
        do {
            if try !isDirectory(path) {
                try remove(path)
                return
            }
            try emptyDirectory(FileDescriptor.open(path, [.read, .directory, .noFollow]), path, depth: 0)
            try removeDirectory(path)
        } catch  where error.errno == ENOENT {
            return
        }
    }

    private static func isDirectory(_ path: String) throws(SystemError) -> Bool {
        var status = stat()
        try systemCall("lstat", path) { lstat(path, &status) }
        return FileStatus(status).kind == .directory
    }

    private static func emptyDirectory(
        _ descriptor: consuming FileDescriptor, _ path: String, depth: Int
    ) throws(SystemError) {
        guard depth < DirectoryHandle.maximumDepth else { throw SystemError("removing", path, errno: ELOOP) }
        let directory = DirectoryHandle(owning: descriptor, path: path)
        for name in try directory.names() {
            let child = "\(path)/\(name)"
            do {
                try directory.removeFile(name)
                continue
            } catch {
                if error.errno == ENOENT { continue }
                if error.errno != EISDIR, error.errno != EPERM { throw error }
            }
            let next = try FileDescriptor.open(
                name, [.read, .directory, .noFollow], in: directory.descriptor.rawValue,
                resolve: [.oneMount, .noSymbolicLinks])
            try emptyDirectory(next, child, depth: depth + 1)
            let parent = directory.descriptor.rawValue
            try systemCall("unlinkat", child) { unlinkat(parent, name, AT_REMOVEDIR) }
        }
    }
}

extension Files {
    /// Whether the process may execute a file with its effective ids (faccessat(2), `AT_EACCESS`).
    package static func isExecutable(_ path: String) -> Bool { faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 }
}
