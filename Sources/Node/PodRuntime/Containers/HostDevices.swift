// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// The machine's devices, all of which a privileged container has (containerd: oci.WithHostDevices).
enum HostDevices {
    /// Directories with file systems that a container has of its own, or with no devices of the machine.
    private static let skipped: Set<String> = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"]
    /// The terminal of whoever looks, and not the container's.
    private static let console = "console"

    /// The character and block devices in a directory and those in it, with their owners and permissions, but for the console;
    /// symbolic links are not followed.
    ///
    /// - Throws: `SystemError` where a directory cannot be read.
    static func list(in path: String = "/dev") throws(SystemError) -> [RuntimeSpec.Device] {
        try list(DirectoryHandle(path: path), path, depth: 0)
    }

    private static func list(
        _ directory: borrowing DirectoryHandle, _ path: String, depth: Int
    ) throws(SystemError) -> [RuntimeSpec.Device] {
        guard depth < 32 else { throw SystemError("listing devices", path, errno: Errno.ELOOP) }
        var result: [RuntimeSpec.Device] = []
        for name in try directory.names().sorted() {
            // A device may be unplugged at any time.
            guard let status = try directory.status(of: name) else { continue }
            let whole = "\(path)/\(name)"
            switch status.kind {
            case .directory where !skipped.contains(name):
                result += try list(directory.openDirectory(name), whole, depth: depth + 1)
            case .characterDevice where name != console: result.append(device("c", whole, status))
            case .blockDevice where name != console: result.append(device("b", whole, status))
            default: break
            }
        }
        return result
    }

    private static func device(_ type: String, _ path: String, _ status: FileStatus) -> RuntimeSpec.Device {
        RuntimeSpec.Device(
            type: type, path: path, major: status.major, minor: status.minor, fileMode: status.permissions,
            uid: status.owner, gid: status.group)
    }
}
