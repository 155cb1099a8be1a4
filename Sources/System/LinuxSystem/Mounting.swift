// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Flags of mount(2).
package struct MountFlags: OptionSet, Sendable, Hashable {
    package let rawValue: UInt
    package init(rawValue: UInt) { self.rawValue = rawValue }

    package static let readOnly = MountFlags(rawValue: 1)
    package static let noSetUserID = MountFlags(rawValue: 2)
    package static let noDevices = MountFlags(rawValue: 4)
    package static let noExecute = MountFlags(rawValue: 8)
    package static let synchronous = MountFlags(rawValue: 16)
    package static let remount = MountFlags(rawValue: 32)
    package static let mandatoryLocks = MountFlags(rawValue: 64)
    package static let synchronousDirectories = MountFlags(rawValue: 128)
    package static let noSymbolicLinks = MountFlags(rawValue: 256)
    package static let noAccessTime = MountFlags(rawValue: 1024)
    package static let noDirectoryAccessTime = MountFlags(rawValue: 2048)
    package static let bind = MountFlags(rawValue: 4096)
    package static let move = MountFlags(rawValue: 8192)
    package static let recursive = MountFlags(rawValue: 16384)
    package static let silent = MountFlags(rawValue: 32768)
    package static let unbindable = MountFlags(rawValue: 1 << 17)
    package static let `private` = MountFlags(rawValue: 1 << 18)
    package static let slave = MountFlags(rawValue: 1 << 19)
    package static let shared = MountFlags(rawValue: 1 << 20)
    package static let relativeAccessTime = MountFlags(rawValue: 1 << 21)
    package static let inodeVersion = MountFlags(rawValue: 1 << 23)
    package static let strictAccessTime = MountFlags(rawValue: 1 << 24)
    package static let lazyTime = MountFlags(rawValue: 1 << 25)
}

/// Attributes of mount_setattr(2).
package struct MountAttributes: OptionSet, Sendable, Hashable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package static let readOnly = MountAttributes(rawValue: 1)
    package static let noSetUserID = MountAttributes(rawValue: 2)
    package static let noDevices = MountAttributes(rawValue: 4)
    package static let noExecute = MountAttributes(rawValue: 8)
    /// The whole access-time field; it has to be cleared when a mode is set.
    package static let accessTimeMask = MountAttributes(rawValue: 0x70)
    package static let noAccessTime = MountAttributes(rawValue: 0x10)
    package static let strictAccessTime = MountAttributes(rawValue: 0x20)
    package static let noDirectoryAccessTime = MountAttributes(rawValue: 0x80)
    package static let idMap = MountAttributes(rawValue: 0x10_0000)
    package static let noSymbolicLinks = MountAttributes(rawValue: 0x20_0000)
}

/// The calls of mount(2) and its newer relatives, in the calling thread's mount namespace.
package enum Mounting {
    /// mount(2).
    package static func mount(
        _ source: String? = nil, at target: String, type: String? = nil, _ flags: MountFlags = [], data: String? = nil
    ) throws(SystemError) {
        try systemCall("mount", describe(source, target, type)) {
            Glibc.mount(source, target, type, flags.rawValue, data)
        }
    }

    private static func describe(_ source: String?, _ target: String, _ type: String?) -> String {
        "\(source ?? "none") at \(target)" + (type.map { " (\($0))" } ?? "")
    }

    /// umount2(2); `detach` takes the mount out of the tree at once and ends it when it is no longer in use.
    package static func unmount(_ target: String, detach: Bool = false) throws(SystemError) {
        try systemCall("umount", target) { umount2(target, detach ? 2 : 0) }
    }

    /// pivot_root(2).
    package static func pivotRoot(_ newRoot: String, oldRootAt oldRoot: String) throws(SystemError) {
        try systemCall("pivot_root", newRoot) { clinux_pivot_root(newRoot, oldRoot) }
    }

    /// open_tree(2) with `OPEN_TREE_CLONE`: a detached copy of a mount.
    package static func cloneTree(
        _ path: String, in directory: CInt? = nil, recursive: Bool = false
    ) throws(SystemError) -> FileDescriptor {
        let flags = UInt32(1 | O_CLOEXEC) | (recursive ? 0x8000 : 0) | (path.isEmpty ? 0x1000 : 0)
        return FileDescriptor(
            owning: try systemCall("open_tree", path) { clinux_open_tree(directory ?? AT_FDCWD, path, flags) })
    }

    /// move_mount(2): attaches a detached mount to an open file or directory.
    package static func attach(
        _ tree: borrowing FileDescriptor, to target: borrowing FileDescriptor, _ subject: String
    ) throws(SystemError) {
        let from = tree.rawValue
        let to = target.rawValue
        // MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
        try systemCall("move_mount", subject) { clinux_move_mount(from, "", to, "", 0x04 | 0x40) }
    }

    /// mount_setattr(2) on an open mount.
    package static func setAttributes(
        of mount: borrowing FileDescriptor, set: MountAttributes = [], clear: MountAttributes = [],
        propagation: MountFlags = [], recursive: Bool = false, userNamespace: CInt? = nil, _ subject: String
    ) throws(SystemError) {
        let fd = mount.rawValue
        let flags: UInt32 = 0x1000 | (recursive ? 0x8000 : 0)
        try systemCall("mount_setattr", subject) {
            clinux_mount_setattr(
                fd, "", flags, set.rawValue, clear.rawValue, UInt64(propagation.rawValue), userNamespace ?? -1)
        }
    }

    /// The magic number of the file system that holds a path.
    package static func fileSystemType(of path: String) throws(SystemError) -> UInt32 {
        let file = try FileDescriptor.open(path, .path)
        let number = file.rawValue
        return UInt32(truncatingIfNeeded: try systemCall("fstatfs", path) { clinux_filesystem_type(number) })
    }

    /// The flags that a mount has now, as mount(2) would want them to keep them.
    package static func flags(of path: String) throws(SystemError) -> MountFlags {
        let file = try FileDescriptor.open(path, .path)
        let number = file.rawValue
        let status = try systemCall("fstatfs", path) { clinux_filesystem_flags(number) }
        var flags = MountFlags(rawValue: UInt(status) & 0x0F)
        // ST_NOATIME, ST_NODIRATIME and ST_RELATIME are other bits than their MS_ counterparts.
        if status & 1024 != 0 { flags.insert(.noAccessTime) }
        if status & 2048 != 0 { flags.insert(.noDirectoryAccessTime) }
        if status & 4096 != 0 { flags.insert(.relativeAccessTime) }
        if status & 0x2000 != 0 { flags.insert(.noSymbolicLinks) }
        return flags
    }
}
