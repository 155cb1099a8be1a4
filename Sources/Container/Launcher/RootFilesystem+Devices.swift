// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

extension RootFilesystem {
    /// The devices that every container has (config-linux.md, "Default Devices").
    static var defaultDevices: [RuntimeSpec.Device] {
        [
            .init(type: "c", path: "/dev/null", major: 1, minor: 3),
            .init(type: "c", path: "/dev/zero", major: 1, minor: 5),
            .init(type: "c", path: "/dev/full", major: 1, minor: 7),
            .init(type: "c", path: "/dev/random", major: 1, minor: 8),
            .init(type: "c", path: "/dev/urandom", major: 1, minor: 9),
            .init(type: "c", path: "/dev/tty", major: 5, minor: 0),
        ]
    }

    /// Links that programs expect (config-linux.md, "Dev symbolic links").
    private static var links: [(name: String, target: String)] {
        [
            ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx"),
        ]
    }

    borrowing func populateDev() throws(SystemError) {
        let directory = DirectoryHandle(
            owning: try tree.open("/dev", missing: .makeDirectory, flags: [.read, .directory]), path: "/dev")
        let configured = context.spec.linux.devices
        for device in Self.defaultDevices where !configured.contains(where: { $0.path == device.path }) {
            try makeDevice(device, in: directory)
        }
        for device in configured {
            try makeDevice(device)
        }
        var links = Self.links
        if Files.exists("/proc/kcore") { links.append(("core", "/proc/kcore")) }
        for link in links {
            // The image's own node or link of this name goes, as with runc's ptmx; what cannot go stays.
            if link.name == "ptmx" { try? directory.removeFile(link.name) }
            try makeLink(link.name, to: link.target, in: directory)
        }
    }

    private borrowing func makeLink(
        _ name: String, to target: String, in directory: borrowing DirectoryHandle
    ) throws(SystemError) {
        do {
            try directory.makeSymbolicLink(name, to: target)
        } catch  where error.errno == Errno.EEXIST || error.errno == Errno.EROFS {
            // What the image has there stays.
        }
    }

    /// Makes a device wherever its path leads inside the root.
    private borrowing func makeDevice(_ device: RuntimeSpec.Device) throws(SystemError) {
        let parent = Files.directory(of: device.path)
        _ = try tree.open(parent, missing: .makeDirectory)
        let directory = DirectoryHandle(owning: try tree.open(parent, flags: [.read, .directory]), path: parent)
        try makeDevice(device, in: directory)
    }

    private borrowing func makeDevice(
        _ device: RuntimeSpec.Device, in directory: borrowing DirectoryHandle
    ) throws(SystemError) {
        guard let name = device.path.split(separator: "/").last.map(String.init) else { return }
        let kind: FileStatus.Kind =
            switch device.type {
            case "b": .blockDevice
            case "p": .fifo
            default: .characterDevice
            }
        // A user namespace cannot make devices: the host's are bound there.
        if context.namespaces.has(.user), kind != .fifo { return try bindDevice(device) }
        if let existing = try directory.status(of: name) {
            if existing.kind == kind, existing.major == device.major, existing.minor == device.minor { return }
            try directory.removeFile(name)
        }
        let permissions = (device.fileMode ?? 0o666) & 0o7777
        do {
            try directory.makeNode(
                name, kind: kind, permissions: permissions, major: device.major, minor: device.minor)
        } catch  where error.errno == Errno.EPERM {
            return try bindDevice(device)
        }
        // The file creation mask is 0 here, so the mode is right already.
        if device.uid != 0 || device.gid != 0 {
            try directory.setOwner(of: name, owner: device.uid, group: device.gid)
        }
    }

    private borrowing func bindDevice(_ device: RuntimeSpec.Device) throws(SystemError) {
        let copy = try Mounting.cloneTree(device.path)
        let target = try tree.open(device.path, missing: .makeFile)
        try Mounting.attach(copy, to: target, device.path)
    }

    /// Opens a terminal of the container's own devpts (the host's, where it has none) and puts it at /dev/console.
    borrowing func openConsole() throws(LauncherError) -> FileDescriptor {
        do {
            let master = try openMaster()
            let peer = try Terminal.openPeer(of: master)
            let target = try tree.open("/dev/console", missing: .makeFile)
            let copy = try Mounting.cloneTree("", in: peer.rawValue)
            try Mounting.attach(copy, to: target, "/dev/console")
            return master
        } catch {
            throw LauncherError("creating the container's terminal", error)
        }
    }

    private borrowing func openMaster() throws(SystemError) -> FileDescriptor {
        guard let own = try tree.openExisting("/dev/pts/ptmx") else { return try Terminal.openMaster() }
        let isTerminal = try Mounting.fileSystemType(of: own.procPath) == Console.devptsMagic
        return try Terminal.openMaster(isTerminal ? own.procPath : "/dev/ptmx")
    }
}
