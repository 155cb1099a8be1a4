// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Flags of open(2). Descriptors are always close-on-exec.
package struct OpenFlags: OptionSet, Sendable {
    package let rawValue: CInt
    package init(rawValue: CInt) { self.rawValue = rawValue }

    package static let read = OpenFlags([])
    package static let write = OpenFlags(rawValue: O_WRONLY)
    package static let readWrite = OpenFlags(rawValue: O_RDWR)
    package static let create = OpenFlags(rawValue: O_CREAT)
    package static let exclusive = OpenFlags(rawValue: O_EXCL)
    package static let truncate = OpenFlags(rawValue: O_TRUNC)
    package static let append = OpenFlags(rawValue: O_APPEND)
    package static let directory = OpenFlags(rawValue: O_DIRECTORY)
    package static let noFollow = OpenFlags(rawValue: O_NOFOLLOW)
    package static let nonBlocking = OpenFlags(rawValue: O_NONBLOCK)
    package static let noControllingTerminal = OpenFlags(rawValue: O_NOCTTY)
    /// Only names the file; reading and writing need another descriptor (`O_PATH`).
    package static let path = OpenFlags(rawValue: clinux_O_PATH)
}

/// How openat2(2) resolves a path below a directory.
package struct ResolveFlags: OptionSet, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The directory is the root: neither `..` nor a symbolic link leads out of it.
    package static var inRoot: ResolveFlags { ResolveFlags(rawValue: clinux_RESOLVE_IN_ROOT) }
    /// Links such as `/proc/self/exe` are refused (ELOOP).
    package static var noMagicLinks: ResolveFlags { ResolveFlags(rawValue: clinux_RESOLVE_NO_MAGICLINKS) }
    /// Every symbolic link is refused (ELOOP).
    package static var noSymbolicLinks: ResolveFlags { ResolveFlags(rawValue: clinux_RESOLVE_NO_SYMLINKS) }
    /// Mount points are not crossed (EXDEV).
    package static var oneMount: ResolveFlags { ResolveFlags(rawValue: 0x01) }
}

extension FileDescriptor {
    /// openat(2); `directory` is an open directory, nil is the working directory.
    package static func open(
        _ path: String, _ flags: OpenFlags, permissions: UInt32 = 0o644, in directory: CInt? = nil
    ) throws(SystemError) -> FileDescriptor {
        FileDescriptor(
            owning: try systemCall("open", path) {
                clinux_openat(directory ?? AT_FDCWD, path, flags.rawValue | O_CLOEXEC, permissions)
            })
    }

    /// openat2(2) below `directory`, repeated while a rename races with it (EAGAIN, a bounded number of times).
    package static func open(
        _ path: String, _ flags: OpenFlags, permissions: UInt32 = 0, in directory: CInt, resolve: ResolveFlags
    ) throws(SystemError) -> FileDescriptor {
        let target = path.isEmpty ? "." : path
        var attempts = 0
        while true {
            do {
                return FileDescriptor(
                    owning: try systemCall("openat2", path) {
                        clinux_openat2(
                            directory, target, UInt64(flags.rawValue | O_CLOEXEC), UInt64(permissions),
                            resolve.rawValue)
                    })
            } catch {
                attempts += 1
                if error.errno != EAGAIN || attempts > 16 { throw error }
            }
        }
    }

    /// The path by which the kernel reaches this open file, whatever its name has become.
    package var procPath: String { "/proc/self/fd/\(rawValue)" }

    /// Reads from the current position to the end, at most `limit` bytes.
    package func readAll(limit: Int = 16 << 20, _ subject: String = "") throws(SystemError) -> [UInt8] {
        var result: [UInt8] = []
        var chunk = 4096
        while result.count < limit {
            let size = min(chunk, limit - result.count)
            let start = result.count
            result.append(contentsOf: repeatElement(0, count: size))
            let count = try result.withUnsafeMutableBytes { buffer in
                Result { () throws(SystemError) in
                    try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[start...]), subject)
                }
            }.get()
            result.removeLast(size - count)
            if count == 0 { break }
            chunk = min(chunk * 2, 65536)
        }
        return result
    }

    /// Writes all bytes at the current position.
    package func writeAll(_ bytes: [UInt8], _ subject: String = "") throws(SystemError) {
        try bytes.withUnsafeBytes { buffer in Result { () throws(SystemError) in try write(buffer, subject) } }.get()
    }

    /// Writes a text at the current position.
    package func writeAll(_ text: String, _ subject: String = "") throws(SystemError) {
        try writeAll(Array(text.utf8), subject)
    }

    /// One write(2) of what the kernel takes now; nil where it would block.
    package func writeSome(_ buffer: UnsafeRawBufferPointer, _ subject: String = "") throws(SystemError) -> Int? {
        do {
            return try systemCall("write", subject) { Glibc.write(rawValue, buffer.baseAddress, buffer.count) }
        } catch  where error.errno == EAGAIN {
            return nil
        }
    }

    /// One read(2) of what there is now; nil where it would block, 0 at the end.
    package func readSome(
        into buffer: UnsafeMutableRawBufferPointer, _ subject: String = ""
    ) throws(SystemError) -> Int? {
        do {
            return try read(into: buffer, subject)
        } catch  where error.errno == EAGAIN {
            return nil
        }
    }

    /// Sets or clears `O_NONBLOCK`.
    package func setNonBlocking(_ on: Bool) throws(SystemError) {
        let flags = try systemCall("fcntl") { clinux_fcntl(rawValue, F_GETFL, 0) }
        let wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK
        try systemCall("fcntl") { clinux_fcntl(rawValue, F_SETFL, CLong(wanted)) }
    }

    /// Sets or clears close-on-exec.
    package func setCloseOnExec(_ on: Bool) throws(SystemError) {
        try systemCall("fcntl") { clinux_fcntl(rawValue, F_SETFD, on ? CLong(FD_CLOEXEC) : 0) }
    }

    /// A second descriptor of the same open file, close-on-exec.
    package func duplicated() throws(SystemError) -> FileDescriptor { try FileDescriptor.duplicate(rawValue) }

    /// dup2(2): makes `number` another descriptor of this file, inherited over exec.
    package func place(at number: CInt) throws(SystemError) {
        if number == rawValue { return try setCloseOnExec(false) }
        try systemCall("dup2") { dup2(rawValue, number) }
    }
}

/// Marks every descriptor from `first` on close-on-exec (close_range(2)), so that none leaks into the next program.
package func closeDescriptorsOnExec(from first: CInt) throws(SystemError) {
    try systemCall("close_range") { clinux_close_range(UInt32(first), UInt32.max, 1 << 2) }
}

extension FileDescriptor {
    /// A file in memory that holds these bytes, open at its beginning; `name` is for /proc only.
    package static func inMemory(_ name: String, _ bytes: [UInt8]) throws(SystemError) -> FileDescriptor {
        let file = FileDescriptor(owning: try systemCall("memfd_create", name) { clinux_memfd_create(name, 1) })
        try file.writeAll(bytes, name)
        let number = file.rawValue
        try systemCall("lseek", name) { lseek(number, 0, SEEK_SET) }
        return file
    }
}

extension FileDescriptor {
    /// Whether this is a memory file that nothing can write to any more.
    package func isSealed() throws(SystemError) -> Bool {
        // F_GET_SEALS is 1034; other kinds of file refuse it with EINVAL. F_SEAL_WRITE is 8.
        let seals = clinux_fcntl(rawValue, 1034, 0)
        return seals >= 0 && seals & 8 != 0
    }

    /// A copy of a file in memory that can be neither written, grown nor shrunk, nor unsealed.
    package static func sealedCopy(of path: String, name: String) throws(SystemError) -> FileDescriptor {
        // MFD_CLOEXEC | MFD_ALLOW_SEALING
        let copy = FileDescriptor(owning: try systemCall("memfd_create", name) { clinux_memfd_create(name, 3) })
        let source = try FileDescriptor.open(path, .read)
        let number = copy.rawValue
        let from = source.rawValue
        while try systemCall("sendfile", path, { sendfile(number, from, nil, 1 << 20) }) > 0 {}
        // F_ADD_SEALS is 1033; SEAL | SHRINK | GROW | WRITE
        try systemCall("fcntl(F_ADD_SEALS)", name) { clinux_fcntl(number, 1033, 15) }
        return copy
    }
}

/// The same calls on numbers that somebody else owns.
extension FileDescriptor {
    /// One write(2) of what the kernel takes now; nil where it would block. A closed pipe is EPIPE, never a signal's
    /// business: the program ignores SIGPIPE.
    package static func writeSome(
        _ buffer: UnsafeRawBufferPointer, to number: CInt, _ subject: String = ""
    ) throws(SystemError) -> Int? {
        do {
            return try systemCall("write", subject) { Glibc.write(number, buffer.baseAddress, buffer.count) }
        } catch  where error.errno == EAGAIN {
            return nil
        }
    }

    /// One read(2) of what there is now; nil where it would block, 0 at the end.
    package static func readSome(
        into buffer: UnsafeMutableRawBufferPointer, from number: CInt, _ subject: String = ""
    ) throws(SystemError) -> Int? {
        do {
            return try systemCall("read", subject) { Glibc.read(number, buffer.baseAddress, buffer.count) }
        } catch  where error.errno == EAGAIN {
            return nil
        }
    }
}
