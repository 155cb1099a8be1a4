// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// The label of AppArmor or SELinux that the program is to run under.
///
/// The file is opened by the host's /proc, before anything of the container could stand in its place, and written just
/// before exec.
struct SecurityLabel: ~Copyable {
    private let file: FileDescriptor
    private let text: String

    /// Whether the configuration asks for a label.
    static func isWanted(_ process: RuntimeSpec.Process) -> Bool {
        process.apparmorProfile?.isEmpty == false || process.selinuxLabel?.isEmpty == false
    }

    /// Opens the attribute; a kernel without the security module is an error, as the label would not hold.
    init(_ process: RuntimeSpec.Process) throws(LauncherError) {
        do {
            if let profile = process.apparmorProfile, !profile.isEmpty {
                guard Files.exists("/sys/kernel/security/apparmor") || Files.exists("/sys/module/apparmor") else {
                    throw LauncherError("process.apparmorProfile is \"\(profile)\", but the kernel has no AppArmor")
                }
                let own = "/proc/self/attr/apparmor/exec"
                file = try FileDescriptor.open(Files.exists(own) ? own : "/proc/self/attr/exec", .write)
                text = "exec \(profile)"
            } else {
                let label = process.selinuxLabel ?? ""
                guard Files.exists("/sys/fs/selinux") else {
                    throw LauncherError("process.selinuxLabel is \"\(label)\", but the kernel has no SELinux")
                }
                file = try FileDescriptor.open("/proc/self/attr/exec", .write)
                text = label
            }
        } catch let error as LauncherError {
            throw error
        } catch {
            throw LauncherError("preparing the security label", error)
        }
    }

    /// Sets the label for the next exec.
    borrowing func apply() throws(LauncherError) {
        do { try file.writeAll(text) } catch { throw LauncherError("setting the security label \"\(text)\"", error) }
    }
}
