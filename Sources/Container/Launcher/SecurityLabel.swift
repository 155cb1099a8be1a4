// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// The label of AppArmor or SELinux that the program is to run under; none where the configuration asks for none.
///
/// The file is opened by the host's /proc, before anything of the container could stand in its place.
struct SecurityLabel: ~Copyable {
    /// The attribute of this process; -1 without a label.
    private let file: CInt
    private let text: String

    /// Opens the attribute of the calling process; a kernel without the security module is an error, as the label would not hold.
    init(_ process: RuntimeSpec.Process) throws(LauncherError) {
        let wanted = try Self.wanted(process)
        var file: CInt = -1
        if let wanted {
            file = try attempting("preparing the security label \"\(wanted.text)\"") {
                try FileDescriptor.open(wanted.path, .write).release()
            }
        }
        // Only now: what has a deinit cannot be given up half made.
        self.file = file
        text = wanted?.text ?? ""
    }

    /// The attribute to write, and what to write to it.
    private static func wanted(_ process: RuntimeSpec.Process) throws(LauncherError) -> (path: String, text: String)? {
        if let profile = process.apparmorProfile, !profile.isEmpty {
            guard SecurityModules.hasAppArmor() else {
                throw LauncherError(
                    "process.apparmorProfile is \"\(profile)\", but AppArmor is not enabled on the host")
            }
            // The module's own file; older kernels have one that all modules share.
            let own = "/proc/self/attr/apparmor/exec"
            return (Files.exists(own) ? own : "/proc/self/attr/exec", "exec \(profile)")
        }
        guard let label = process.selinuxLabel, !label.isEmpty else { return nil }
        guard Files.exists("/sys/fs/selinux") else {
            throw LauncherError("process.selinuxLabel is \"\(label)\", but the kernel has no SELinux")
        }
        return ("/proc/self/attr/exec", label)
    }

    deinit { if file >= 0 { FileDescriptor(owning: file).close() } }

    /// Sets the label for the next program that the process becomes.
    borrowing func apply() throws(LauncherError) {
        if file < 0 { return }
        do {
            try FileDescriptor.duplicate(file).writeAll(text)
        } catch {
            throw LauncherError("setting the security label \"\(text)\"", error)
        }
    }
}
