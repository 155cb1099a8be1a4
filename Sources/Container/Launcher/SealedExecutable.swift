// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Keeps containers from writing to the launcher's own program file (CVE-2019-5736).
///
/// A container can reach the launcher's file by `/proc/PID/exe` while the launcher is inside it, or by having it
/// execute `/proc/self/exe`. So before it enters a container the launcher starts itself again from a read-only,
/// detached mount of its file; where that cannot be had (no CAP_SYS_ADMIN), from a sealed copy in memory.
enum SealedExecutable {
    private static let marker = "_SWIFTLET_LAUNCHER_SEALED"

    /// Returns when the program runs from a place that cannot be written; starts it again from one otherwise.
    static func ensure(arguments: [String]) throws(LauncherError) {
        do {
            if try isSealed() { return }
            guard environmentVariable(marker) == nil else {
                throw LauncherError("the launcher's program file could not be protected")
            }
            let file = try protectedFile()
            throw LauncherError(
                "starting the protected launcher",
                Processes.execute(
                    file, arguments: arguments, environment: Processes.environment() + ["\(marker)=1"]))
        } catch let error as LauncherError {
            throw error
        } catch {
            throw LauncherError("protecting the launcher's program file", error)
        }
    }

    /// Whether the own program file is on a read-only mount or a sealed memory file.
    private static func isSealed() throws(SystemError) -> Bool {
        let path = "/proc/self/exe"
        if try Mounting.flags(of: path).contains(.readOnly) { return true }
        return try FileDescriptor.open(path, .read).isSealed()
    }

    private static func protectedFile() throws(SystemError) -> FileDescriptor {
        do {
            let tree = try Mounting.cloneTree("/proc/self/exe")
            try Mounting.setAttributes(of: tree, set: .readOnly, "/proc/self/exe")
            return tree
        } catch  where error.errno == Errno.EPERM || error.errno == Errno.ENOSYS || error.errno == Errno.EINVAL {
            return try FileDescriptor.sealedCopy(of: "/proc/self/exe", name: "swiftlet-launcher")
        }
    }
}
