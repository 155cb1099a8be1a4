// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// The container's root directory before it is anybody's root: the paths that the configuration names are resolved
/// inside it by the kernel (openat2(2), `RESOLVE_IN_ROOT`), so a symbolic link of the image cannot lead out of it.
///
/// Mounts are made on open descriptors by way of `/proc/self/fd`, so what was resolved is what is mounted on.
struct RootTree: ~Copyable {
    /// The root, opened as a path only.
    let root: FileDescriptor
    /// Its path on the host, for messages.
    let path: String

    init(path: String) throws(SystemError) {
        root = try FileDescriptor.open(path, [.path, .directory])
        self.path = path
    }

    /// What is missing at a path and is to be made.
    enum Missing { case fail, makeDirectory, makeFile }

    /// Symbolic links that a resolution with creation expands before it gives up.
    private static let maximumLinks = 40

    /// Opens a path inside the root, as a path only; makes what is missing.
    borrowing func open(
        _ inside: String, missing: Missing = .fail, followsLinks: Bool = true, flags: OpenFlags = .path
    ) throws(SystemError) -> FileDescriptor {
        var resolve: ResolveFlags = [.inRoot, .noMagicLinks]
        if !followsLinks { resolve.insert(.noSymbolicLinks) }
        do {
            return try FileDescriptor.open(inside, flags, in: root.rawValue, resolve: resolve)
        } catch  where error.errno == Errno.ENOENT && missing != .fail {
            return try create(inside, asFile: missing == .makeFile, resolve: resolve)
        }
    }

    /// Opens a path for reading its content, nil where it does not exist.
    borrowing func openExisting(_ inside: String, flags: OpenFlags = .path) throws(SystemError) -> FileDescriptor? {
        do {
            return try open(inside, flags: flags)
        } catch  where error.errno == Errno.ENOENT || error.errno == Errno.ENOTDIR {
            return nil
        }
    }

    /// Makes the missing components one by one, each in the open directory before it.
    private borrowing func create(
        _ inside: String, asFile: Bool, resolve: ResolveFlags
    ) throws(SystemError) -> FileDescriptor {
        var pending = Self.components(inside)
        var done: [String] = []
        var links = 0
        var directory = try FileDescriptor.open("", [.path, .directory], in: root.rawValue, resolve: resolve)
        while !pending.isEmpty {
            let name = pending.removeFirst()
            let isLast = pending.isEmpty
            if let target = try Self.linkTarget(name, in: directory) {
                links += 1
                guard links <= Self.maximumLinks, !resolve.contains(.noSymbolicLinks) else {
                    throw SystemError("resolving", inside, errno: Errno.ELOOP)
                }
                pending = Self.components(target) + pending
                if target.hasPrefix("/") { done = [] }
            } else {
                if name != ".." {
                    try Self.make(name, asFile: isLast && asFile, in: directory)
                }
                if name == ".." { _ = done.popLast() } else { done.append(name) }
            }
            // Everything up to here exists; the kernel finds it again, inside the root.
            directory = try FileDescriptor.open(
                done.joined(separator: "/"), .path, in: root.rawValue, resolve: resolve)
        }
        return directory
    }

    private static func components(_ path: String) -> [String] {
        path.split(separator: "/").map(String.init).filter { $0 != "." }
    }

    private static func linkTarget(
        _ name: String, in directory: borrowing FileDescriptor
    ) throws(SystemError) -> String? {
        do {
            return try Files.linkTarget("\(directory.procPath)/\(name)")
        } catch  where error.errno == Errno.EINVAL || error.errno == Errno.ENOENT {
            return nil
        }
    }

    private static func make(
        _ name: String, asFile: Bool, in directory: borrowing FileDescriptor
    ) throws(SystemError) {
        do {
            if asFile {
                _ = try FileDescriptor.open(
                    name, [.write, .create, .exclusive, .noFollow], permissions: 0o644, in: directory.rawValue)
            } else {
                try Files.makeDirectory("\(directory.procPath)/\(name)", permissions: 0o755)
            }
        } catch  where error.errno == Errno.EEXIST {
            return
        }
    }
}
