// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// What the mounts of a container depend on beside its configuration.
struct MountContext {
    let spec: RuntimeSpec
    /// The absolute path of the bundle, which relative sources start from.
    let bundle: String
    /// The absolute path of the root file system.
    let rootfs: String
    let namespaces: NamespacePlan
    let cgroups: Cgroups
    /// The container's cgroup; nil where it has none of its own.
    let group: String?
    /// Copies of mount sources that the launcher made, by the mount's place in the configuration: open, detached mounts.
    let preparedSources: [Int: CInt]
}

/// Builds the container's file system, in its mount namespace and before its root is switched.
///
/// Everything happens on the host's view with the host's /proc: nothing that the image or an earlier mount put at a
/// path is trusted (compare CVE-2019-16884, CVE-2021-30465, CVE-2025-31133, CVE-2025-52881).
struct RootFilesystem: ~Copyable {
    let context: MountContext
    let tree: RootTree

    /// Takes the mount tree apart from the host's and makes the root file system a mount of its own.
    init(_ context: MountContext) throws(LauncherError) {
        // Nothing can fail once a member is there.
        tree = try Self.makeTree(context)
        self.context = context
    }

    private static func makeTree(_ context: MountContext) throws(LauncherError) -> RootTree {
        let rootfs = context.rootfs
        do {
            try setPropagation(of: "/", context.spec.linux.rootfsPropagation ?? "rslave")
            if let propagation = context.spec.linux.rootfsPropagation, propagation.hasSuffix("shared") {
                try makeParentPrivate(of: rootfs)
            }
            try Mounting.mount(rootfs, at: rootfs, type: nil, [.bind, .recursive])
            return try RootTree(path: rootfs)
        } catch {
            throw LauncherError("preparing the root file system", error)
        }
    }

    private static func setPropagation(of path: String, _ name: String) throws(SystemError) {
        guard let flags = MountOptions.propagationTypes[name] else {
            throw SystemError("linux.rootfsPropagation", name, errno: Errno.EINVAL)
        }
        try Mounting.mount(nil, at: path, type: nil, flags)
    }

    /// The mount that holds the root must not hand our mounts on to its peers; the first mount point upwards is it.
    private static func makeParentPrivate(of path: String) throws(SystemError) {
        var path = path
        while true {
            do {
                return try Mounting.mount(nil, at: path, type: nil, .private)
            } catch {
                if error.errno != Errno.EINVAL || path == "/" { throw error }
                path = Files.directory(of: path)
            }
        }
    }

    /// Makes the mounts, devices, links and restrictions of the configuration.
    borrowing func build() throws(LauncherError) {
        for (index, mount) in context.spec.mounts.enumerated() {
            do {
                try self.mount(mount, index: index)
            } catch {
                throw LauncherError(
                    "mounting \"\(mount.source ?? mount.type ?? "")\" to \"\(mount.destination)\"", error)
            }
        }
        if ownsDev { try attempting("preparing /dev") { try populateDev() } }
        try attempting("creating the working directory") { try makeWorkingDirectory() }
        try attempting("restricting paths") { try restrictPaths() }
    }

    /// Whether /dev is the container's own and not something of the host's.
    private var ownsDev: Bool {
        !context.spec.mounts.contains { mount in
            mount.destination == "/dev" && (mount.type == "bind" || MountOptions(mount.options).isBind)
        }
    }

    private borrowing func makeWorkingDirectory() throws(SystemError) {
        guard let cwd = context.spec.process?.cwd, cwd != "/" else { return }
        do {
            _ = try tree.open(cwd, missing: .makeDirectory)
        } catch  where error.errno == Errno.EROFS || error.errno == Errno.ENOTDIR || error.errno == Errno.EACCES {
            // Changing to it says what is wrong, as the user who will run.
            return
        }
    }

    /// Switches to the new root for good.
    consuming func switchRoot(pivots: Bool) throws(LauncherError) {
        let isReadOnly = context.spec.root?.readonly == true
        let propagation = context.spec.linux.rootfsPropagation
        let rootfs = context.rootfs
        let hasMountNamespace = context.namespaces.has(.mount)
        do {
            if isReadOnly { try Mounting.setAttributes(of: tree.root, set: .readOnly, rootfs) }
            try Processes.changeDirectory(rootfs)
            if !hasMountNamespace {
                try Processes.changeRoot(".")
            } else if pivots {
                try Self.pivot()
            } else {
                try Mounting.mount(rootfs, at: "/", type: nil, .move)
                try Processes.changeRoot(".")
            }
            try Processes.changeDirectory("/")
            if let propagation { try Self.setPropagation(of: "/", propagation) }
        } catch {
            throw LauncherError("switching to the root file system", error)
        }
    }

    /// pivot_root(2) with the old root stacked on the new one, so that no directory for it is needed (its man page).
    private static func pivot() throws(SystemError) {
        let old = try FileDescriptor.open("/", [.read, .directory])
        try Mounting.pivotRoot(".", oldRootAt: ".")
        try Processes.changeDirectory(old, "/")
        // Unmounting must not reach the host.
        try Mounting.mount(nil, at: ".", type: nil, [.slave, .recursive])
        try Mounting.unmount(".", detach: true)
    }
}
