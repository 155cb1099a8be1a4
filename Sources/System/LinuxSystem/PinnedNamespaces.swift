// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Network, IPC and UTS namespaces that bind mounts keep alive without any process in them.
package struct PinnedNamespaces: Sendable, Hashable {
    /// What `setns(2)`, or a container's configuration, opens.
    package let networkPath: String
    package let ipcPath: String
    package let utsPath: String

    /// Namespaces below a directory, whether they exist or not.
    package init(directory: String) {
        networkPath = directory + "/net"
        ipcPath = directory + "/ipc"
        utsPath = directory + "/uts"
    }

    private var paths: [String] { [networkPath, ipcPath, utsPath] }

    /// Creates the namespaces by a short-lived thread, so that no other thread of the program changes its own.
    ///
    /// - Parameters:
    ///   - hostname: at most 64 bytes.
    ///   - parameters: kernel parameters (see ``SystemControl``) to set inside, in this order.
    /// - Returns: a netlink socket in the new network namespace.
    package func create(
        hostname: String, parameters: [(name: String, value: String)]
    ) throws(SystemError) -> NetlinkChannel {
        var files: [String] = []
        for (name, _) in parameters {
            guard let path = SystemControl.path(of: name) else { throw SystemError("write", name, errno: EINVAL) }
            files.append(path)
        }
        for path in paths {
            // What a crash left behind is covered by the new mount's file.
            let number = try systemCall("open", path) { open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0o600) }
            FileDescriptor(owning: number).close()
        }
        let texts = (paths + [hostname] + files + parameters.map(\.value)).map { strdup($0) }
        defer { for text in texts { free(text) } }
        let names = texts[4..<4 + files.count].map { UnsafePointer($0) }
        let values = texts[(4 + files.count)...].map { UnsafePointer($0) }
        let result = names.withUnsafeBufferPointer { names in
            values.withUnsafeBufferPointer { values in
                var request = clinux_sandbox(
                    network_path: texts[0], ipc_path: texts[1], uts_path: texts[2], hostname: texts[3],
                    sysctl_paths: names.baseAddress, sysctl_values: values.baseAddress,
                    sysctl_count: CInt(files.count))
                return clinux_sandbox_create(&request)
            }
        }
        guard result.error == 0 else {
            throw SystemError(
                String(cString: result.call), String(cString: result.subject), errno: result.error)
        }
        return NetlinkChannel(owning: FileDescriptor(owning: result.socket))
    }

    /// Whether all three are there.
    package var exist: Bool { paths.allSatisfy { clinux_is_namespace($0) == 1 } }

    /// Lets go of the namespaces; processes inside keep them alive. No error where there are none.
    package func remove() throws(SystemError) {
        for path in paths {
            // A crash or an impatient repetition may have stacked several mounts.
            while clinux_is_namespace(path) == 1 {
                try systemCall("umount", path) { clinux_unmount_detached(path) }
            }
            do {
                try systemCall("unlink", path) { unlink(path) }
            } catch  where error.errno == ENOENT {
                continue
            }
        }
    }
}
