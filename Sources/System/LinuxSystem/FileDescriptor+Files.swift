// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Calls on open files. `subject` is what an error message calls the file.
extension FileDescriptor {
    /// Opens a file of the host for reading; symbolic links are followed.
    package static func open(reading path: String) throws(SystemError) -> FileDescriptor {
        FileDescriptor(owning: try systemCall("open", path) { Glibc.open(path, O_RDONLY | O_CLOEXEC) })
    }

    /// Duplicates a descriptor that somebody else owns (standard input, say).
    package static func duplicate(_ number: CInt) throws(SystemError) -> FileDescriptor {
        FileDescriptor(owning: try systemCall("dup") { fcntl(number, F_DUPFD_CLOEXEC, 3) })
    }

    /// Fills `buffer` from the current position as far as one read(2) does; 0 at the end.
    package func read(into buffer: UnsafeMutableRawBufferPointer, _ subject: String) throws(SystemError) -> Int {
        try systemCall("read", subject) { Glibc.read(rawValue, buffer.baseAddress, buffer.count) }
    }

    /// pread(2): fills `buffer` from an offset as far as one call does; 0 at the end.
    package func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64, _ subject: String
    ) throws(SystemError) -> Int {
        try systemCall("pread", subject) { pread(rawValue, buffer.baseAddress, buffer.count, off_t(offset)) }
    }

    /// Reads up to `limit` bytes from an offset; fewer only at the end of the file.
    package func bytes(at offset: UInt64 = 0, limit: Int, _ subject: String) throws(SystemError) -> [UInt8] {
        var result: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(limit, 65536))
        while result.count < limit {
            let wanted = min(chunk.count, limit - result.count)
            let count = try systemCall("pread", subject) {
                pread(rawValue, &chunk, wanted, off_t(offset) + off_t(result.count))
            }
            if count == 0 { break }
            result += chunk[..<count]
        }
        return result
    }

    /// Writes all of `buffer` at the current position.
    package func write(_ buffer: UnsafeRawBufferPointer, _ subject: String) throws(SystemError) {
        var written = 0
        while written < buffer.count {
            let rest = UnsafeRawBufferPointer(rebasing: buffer[written...])
            written += try systemCall("write", subject) { Glibc.write(rawValue, rest.baseAddress, rest.count) }
        }
    }

    /// fstat(2).
    package func status(_ subject: String = "") throws(SystemError) -> FileStatus {
        var status = stat()
        try systemCall("fstat", subject) { fstat(rawValue, &status) }
        return FileStatus(status)
    }

    /// Whether the file has a position, so that it can be read twice (a regular file; not a pipe).
    package var isSeekable: Bool { lseek(rawValue, 0, SEEK_CUR) != -1 }

    /// The file's current position.
    package func position(_ subject: String = "") throws(SystemError) -> UInt64 {
        UInt64(try systemCall("lseek", subject) { lseek(rawValue, 0, SEEK_CUR) })
    }

    /// fsync(2): content and metadata are on disk afterwards.
    package func synchronize(_ subject: String = "") throws(SystemError) {
        try systemCall("fsync", subject) { fsync(rawValue) }
    }

    /// syncfs(2): everything on the file system that holds the file is on disk afterwards.
    package func synchronizeFileSystem(_ subject: String = "") throws(SystemError) {
        try systemCall("syncfs", subject) { clinux_syncfs(rawValue) }
    }

    /// fchown(2).
    package func setOwner(_ owner: UInt32, group: UInt32, _ subject: String = "") throws(SystemError) {
        try systemCall("fchown", subject) { fchown(rawValue, owner, group) }
    }

    /// fchmod(2).
    package func setPermissions(_ permissions: UInt32, _ subject: String = "") throws(SystemError) {
        try systemCall("fchmod", subject) { fchmod(rawValue, mode_t(permissions)) }
    }

    /// futimens(3): both time stamps are set to `time`.
    package func setTime(_ time: FileTime, _ subject: String = "") throws(SystemError) {
        let times = [time.kernelForm, time.kernelForm]
        try systemCall("futimens", subject) { futimens(rawValue, times) }
    }

    /// fsetxattr(2).
    package func setAttribute(_ name: String, _ value: [UInt8], _ subject: String = "") throws(SystemError) {
        try systemCall("fsetxattr \(name)", subject) { clinux_fsetxattr(rawValue, name, value, value.count) }
    }

    /// fgetxattr(2) of a value up to 64 KiB; nil where the file has no such attribute.
    package func attribute(_ name: String, _ subject: String = "") throws(SystemError) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65536)
        do {
            let count = try systemCall("fgetxattr \(name)", subject) {
                clinux_fgetxattr(rawValue, name, &buffer, buffer.count)
            }
            return Array(buffer.prefix(count))
        } catch  where error.errno == ENODATA || error.errno == ENOTSUP {
            return nil
        }
    }

    /// flock(2), waiting for the lock; it is let go of when the descriptor is closed, also by the death of the process.
    package func lock(exclusively: Bool, _ subject: String = "") throws(SystemError) {
        try systemCall("flock", subject) { flock(rawValue, exclusively ? LOCK_EX : LOCK_SH) }
    }

    /// flock(2) without waiting; false where somebody else holds the lock.
    package func tryLock(_ subject: String = "") throws(SystemError) -> Bool {
        do {
            try systemCall("flock", subject) { flock(rawValue, LOCK_EX | LOCK_NB) }
            return true
        } catch  where error.errno == EWOULDBLOCK {
            return false
        }
    }

    /// Lets go of the flock(2) at once, also where a child that has not come to its execve(2) yet shares the descriptor.
    package func unlock(_ subject: String = "") throws(SystemError) {
        try systemCall("flock", subject) { flock(rawValue, LOCK_UN) }
    }

    /// fstatvfs(3): room on the file system that holds the file.
    package func space(_ subject: String = "") throws(SystemError) -> FileSystemSpace {
        var status = statvfs()
        try systemCall("fstatvfs", subject) { fstatvfs(rawValue, &status) }
        let block = UInt64(status.f_frsize)
        return FileSystemSpace(
            totalBytes: UInt64(status.f_blocks) * block, availableBytes: UInt64(status.f_bavail) * block,
            totalInodes: UInt64(status.f_files), freeInodes: UInt64(status.f_ffree))
    }
}
