// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// Turns a container's mounts into the runtime specification's.
///
/// The place that a subPath names is found with openat2(2) inside its volume and handed on as an open descriptor, so
/// that whoever can write the volume cannot exchange a directory for a symbolic link in between (CVE-2017-1002101).
final class MountResolver {
    let mounts: [RuntimeSpec.Mount]
    private let descriptors: [CInt]

    init(mounts: [ContainerMount], message: (hostPath: String, containerPath: String)?) throws {
        var result: [RuntimeSpec.Mount] = []
        var open: [CInt] = []
        do {
            for mount in mounts {
                var source = mount.hostPath
                if let subPath = mount.subPath {
                    let descriptor = try Self.open(subPath, in: mount.hostPath).release()
                    open.append(descriptor)
                    source = "/proc/\(Processes.current)/fd/\(descriptor)"
                }
                result.append(
                    .init(
                        destination: mount.containerPath, type: "bind", source: source, options: Self.options(mount)))
            }
        } catch {
            for number in open { FileDescriptor(owning: number).close() }
            throw error
        }
        if let message {
            result.append(
                .init(
                    destination: message.containerPath, type: "bind", source: message.hostPath,
                    options: ["rbind", "rprivate", "rw"]))
        }
        self.mounts = result
        descriptors = open
    }

    deinit { for number in descriptors { FileDescriptor(owning: number).close() } }

    /// Marks the end of the descriptors' use: they are closed with this object, not earlier.
    func close() {}

    private static func options(_ mount: ContainerMount) -> [String] {
        let propagation =
            switch mount.propagation {
            case .none: "rprivate"
            case .hostToContainer: "rslave"
            case .bidirectional: "rshared"
            }
        let access = mount.isReadOnly ? (mount.isRecursivelyReadOnly ? ["ro", "rro"] : ["ro"]) : ["rw"]
        return ["rbind", propagation] + access
    }

    /// Opens what a path inside a volume names; missing directories are made with the volume's permissions.
    private static func open(_ subPath: String, in volume: String) throws(SystemError) -> FileDescriptor {
        let root = try DirectoryHandle(path: volume)
        if try !exists(subPath, in: root) { try makeDirectories(subPath, in: root) }
        return try FileDescriptor.open(
            subPath, .path, in: root.descriptor.rawValue, resolve: [.inRoot, .noMagicLinks])
    }

    private static func exists(_ subPath: String, in root: borrowing DirectoryHandle) throws(SystemError) -> Bool {
        do {
            _ = try FileDescriptor.open(
                subPath, .path, in: root.descriptor.rawValue, resolve: [.inRoot, .noMagicLinks])
            return true
        } catch {
            if error.errno == Errno.ENOENT { return false }
            throw error
        }
    }

    private static func makeDirectories(
        _ subPath: String, in root: borrowing DirectoryHandle
    ) throws(SystemError) {
        let permissions = try root.descriptor.status(root.path).permissions
        var prefix = ""
        for part in subPath.split(separator: "/") where part != "." {
            let parent = try root.openDirectory(inRoot: prefix)
            if try parent.status(of: String(part)) == nil {
                try parent.makeDirectory(String(part), permissions: permissions)
                try parent.setPermissions(of: String(part), permissions)
            }
            prefix = prefix.isEmpty ? String(part) : "\(prefix)/\(part)"
        }
    }
}
