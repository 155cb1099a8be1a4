// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

extension RootFilesystem {
    /// Makes one mount of the configuration.
    borrowing func mount(_ mount: RuntimeSpec.Mount, index: Int) throws(SystemError) {
        let options = MountOptions(mount.options)
        if options.isBind || mount.type == "bind" { return try bind(mount, options, index: index) }
        guard let type = mount.type, !type.isEmpty else {
            throw SystemError("mount without a type", mount.destination, errno: Errno.EINVAL)
        }
        switch type {
        case "cgroup", "cgroup2": try mountCgroups(mount, options)
        case "tmpfs" where options.copiesUp: try mountCopyingUp(mount, options)
        case "sysfs":
            do {
                try mountFileSystem(mount, type, options)
            } catch  where error.errno == Errno.EPERM && context.namespaces.has(.user) {
                // The kernel gives a sysfs only to the owner of the network namespace; the host's, read-only, will do.
                var host = RuntimeSpec.Mount(destination: mount.destination, source: "/sys")
                host.options = ["rbind", "rro", "nosuid", "noexec", "nodev"]
                try bind(host, MountOptions(host.options), index: index)
            }
        default: try mountFileSystem(mount, type, options)
        }
    }

    private borrowing func mountFileSystem(
        _ mount: RuntimeSpec.Mount, _ type: String, _ options: MountOptions
    ) throws(SystemError) {
        // /proc and /sys are what the kernel's restrictions hang on: a link there is an attack or a mistake.
        let followsLinks = type != "proc" && type != "sysfs"
        let target = try tree.open(mount.destination, missing: .makeDirectory, followsLinks: followsLinks)
        var data = options.data
        if let label = context.spec.linux.mountLabel, !label.isEmpty, type != "proc", type != "sysfs" {
            data.append("context=\"\(label)\"")
        }
        let joined = data.isEmpty ? nil : data.joined(separator: ",")
        do {
            try Mounting.mount(
                mount.source ?? type, at: target.procPath, type: type, options.flags, data: joined)
        } catch {
            // The path through /proc means nothing to the user.
            throw SystemError("mount \(type)", mount.destination, errno: error.errno)
        }
        try finish(mount.destination, options)
    }

    /// Sets the propagation and the whole tree's attributes of a mount that was made.
    private borrowing func finish(_ destination: String, _ options: MountOptions) throws(SystemError) {
        guard !options.propagation.isEmpty || !options.recursiveSet.isEmpty || !options.recursiveClear.isEmpty else {
            return
        }
        try apply(options, to: try tree.open(destination), destination)
    }

    private borrowing func apply(
        _ options: MountOptions, to mounted: borrowing FileDescriptor, _ destination: String
    ) throws(SystemError) {
        for flags in options.propagation {
            try Mounting.setAttributes(
                of: mounted, propagation: flags.subtracting(.recursive), recursive: flags.contains(.recursive),
                destination)
        }
        if !options.recursiveSet.isEmpty || !options.recursiveClear.isEmpty {
            try Mounting.setAttributes(
                of: mounted, set: options.recursiveSet, clear: options.recursiveClear, recursive: true, destination)
        }
    }

    // MARK: Bind mounts

    private borrowing func bind(
        _ mount: RuntimeSpec.Mount, _ options: MountOptions, index: Int
    ) throws(SystemError) {
        guard let given = mount.source, !given.isEmpty else {
            throw SystemError("bind mount without a source", mount.destination, errno: Errno.EINVAL)
        }
        let source = given.hasPrefix("/") ? given : "\(context.bundle)/\(given)"
        let copy: FileDescriptor
        if let prepared = context.preparedSources[index] {
            copy = try FileDescriptor.duplicate(prepared)
        } else {
            copy = try Mounting.cloneTree(source, recursive: options.flags.contains(.recursive))
        }
        try setBindAttributes(options, of: copy, source)
        let isDirectory = try copy.status(source).kind == .directory
        let target = try tree.open(mount.destination, missing: isDirectory ? .makeDirectory : .makeFile)
        try Mounting.attach(copy, to: target, mount.destination)
        try apply(options, to: copy, mount.destination)
    }

    private borrowing func setBindAttributes(
        _ options: MountOptions, of copy: borrowing FileDescriptor, _ source: String
    ) throws(SystemError) {
        let attributes = options.bindAttributes
        if attributes.set.isEmpty, attributes.clear.isEmpty { return }
        do {
            try Mounting.setAttributes(of: copy, set: attributes.set, clear: attributes.clear, source)
        } catch  where error.errno == Errno.EPERM && !attributes.clear.isEmpty {
            // Inside a user namespace some restrictions of the source are locked; they stay, as with runc.
            try Mounting.setAttributes(of: copy, set: attributes.set, source)
        }
    }

    // MARK: tmpfs with the image's content

    private borrowing func mountCopyingUp(_ mount: RuntimeSpec.Mount, _ options: MountOptions) throws(SystemError) {
        // Opened before the mount, so this goes on showing the image's directory.
        let below = try tree.open(mount.destination, missing: .makeDirectory)
        let original = DirectoryHandle(
            owning: try FileDescriptor.open(".", [.read, .directory], in: below.rawValue), path: mount.destination)
        var writable = options
        writable.flags.remove(.readOnly)
        try mountFileSystem(mount, "tmpfs", writable)
        let above = DirectoryHandle(
            owning: try tree.open(mount.destination, flags: [.read, .directory]), path: mount.destination)
        try FileCopy.copyContents(of: original, to: above)
        if options.flags.contains(.readOnly) {
            try Mounting.setAttributes(of: above.descriptor, set: .readOnly, mount.destination)
        }
    }

    // MARK: cgroups

    private borrowing func mountCgroups(_ mount: RuntimeSpec.Mount, _ options: MountOptions) throws(SystemError) {
        let hasNamespace = context.namespaces.has(.cgroup)
        if context.cgroups.isUnified {
            return try mountHierarchy(
                context.cgroups.hierarchies[0], at: mount.destination, options, hasNamespace: hasNamespace)
        }
        let target = try tree.open(mount.destination, missing: .makeDirectory)
        try Mounting.mount(
            "tmpfs", at: target.procPath, type: "tmpfs", [.noSetUserID, .noDevices, .noExecute], data: "mode=755")
        for hierarchy in context.cgroups.hierarchies {
            let name = hierarchy.mountPoint.split(separator: "/").last.map(String.init) ?? ""
            try mountHierarchy(
                hierarchy, at: "\(mount.destination)/\(name)", options, hasNamespace: hasNamespace)
            try linkControllers(hierarchy, name: name, in: mount.destination)
        }
        if options.flags.contains(.readOnly) {
            try Mounting.setAttributes(of: try tree.open(mount.destination), set: .readOnly, mount.destination)
        }
    }

    private borrowing func mountHierarchy(
        _ hierarchy: Cgroups.Hierarchy, at destination: String, _ options: MountOptions, hasNamespace: Bool
    ) throws(SystemError) {
        let target = try tree.open(destination, missing: .makeDirectory)
        if hasNamespace {
            let isNamed = hierarchy.controllers.first?.hasPrefix("name=") == true
            let controllers = hierarchy.controllers.joined(separator: ",")
            let data = context.cgroups.isUnified ? nil : (isNamed ? "none,\(controllers)" : controllers)
            let type = context.cgroups.isUnified ? "cgroup2" : "cgroup"
            do {
                return try Mounting.mount("cgroup", at: target.procPath, type: type, options.flags, data: data)
            } catch  where error.errno == Errno.EPERM || error.errno == Errno.EBUSY {
                // A user namespace that does not own the hierarchy: show the container's part of it.
            }
        }
        let directory = context.group.map { "\(hierarchy.mountPoint)/\($0)" } ?? hierarchy.mountPoint
        let copy = try Mounting.cloneTree(directory, recursive: true)
        try setBindAttributes(options, of: copy, directory)
        try Mounting.attach(copy, to: target, destination)
    }

    /// Programs look for each controller by its own name: `cpu` and `cpuacct` beside `cpu,cpuacct`.
    private borrowing func linkControllers(
        _ hierarchy: Cgroups.Hierarchy, name: String, in destination: String
    ) throws(SystemError) {
        guard hierarchy.controllers.count > 1 else { return }
        let directory = DirectoryHandle(
            owning: try tree.open(destination, flags: [.read, .directory]), path: destination)
        for controller in hierarchy.controllers where controller != name {
            try directory.makeSymbolicLink(controller, to: name)
        }
    }
}
