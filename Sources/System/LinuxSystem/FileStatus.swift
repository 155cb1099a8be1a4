// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// What stat(2) says about a file.
package struct FileStatus: Sendable, Hashable {
    /// The kinds of file that Linux knows (inode(7)).
    package enum Kind: Sendable, Hashable {
        case regular, directory, symbolicLink, characterDevice, blockDevice, fifo, socket, unknown
    }

    package let kind: Kind
    /// Permission bits with set-uid, set-gid and sticky, `07777`.
    package let permissions: UInt32
    package let owner: UInt32
    package let group: UInt32
    /// Bytes of content.
    package let size: UInt64
    /// Bytes that the file takes up on disk.
    package let allocatedBytes: UInt64
    package let modified: FileTime
    package let inode: UInt64
    package let device: UInt64
    package let links: UInt64
    /// The device that a device file stands for.
    package let major: UInt32
    package let minor: UInt32

    init(_ status: stat) {
        kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            case S_IFCHR: .characterDevice
            case S_IFBLK: .blockDevice
            case S_IFIFO: .fifo
            case S_IFSOCK: .socket
            default: .unknown
            }
        permissions = status.st_mode & 0o7777
        owner = status.st_uid
        group = status.st_gid
        size = UInt64(max(0, status.st_size))
        allocatedBytes = UInt64(max(0, status.st_blocks)) * 512
        modified = FileTime(seconds: Int64(status.st_mtim.tv_sec), nanoseconds: Int64(status.st_mtim.tv_nsec))
        inode = UInt64(status.st_ino)
        device = UInt64(status.st_dev)
        links = UInt64(status.st_nlink)
        major = clinux_major(UInt64(status.st_rdev))
        minor = clinux_minor(UInt64(status.st_rdev))
    }

    /// Whether this is overlayfs' mark of a deleted name: a character device 0/0.
    package var isOverlayWhiteout: Bool { kind == .characterDevice && major == 0 && minor == 0 }
}

/// A file's time stamp since 1970.
package struct FileTime: Sendable, Hashable {
    package let seconds: Int64
    package let nanoseconds: Int64

    package init(seconds: Int64, nanoseconds: Int64 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// The time of the real-time clock.
    package static func now() -> FileTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return FileTime(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }

    var kernelForm: timespec { timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds)) }
}

/// Room on a file system, statvfs(3).
package struct FileSystemSpace: Sendable, Hashable {
    package let totalBytes: UInt64
    /// What unprivileged users may still take; the kubelet counts this as available.
    package let availableBytes: UInt64
    package let totalInodes: UInt64
    package let freeInodes: UInt64

    package init(totalBytes: UInt64, availableBytes: UInt64, totalInodes: UInt64, freeInodes: UInt64) {
        self.totalBytes = totalBytes
        self.availableBytes = availableBytes
        self.totalInodes = totalInodes
        self.freeInodes = freeInodes
    }
}
