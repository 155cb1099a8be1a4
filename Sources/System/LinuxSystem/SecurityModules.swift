// SPDX-License-Identifier: Apache-2.0

/// The kernel's security modules.
package enum SecurityModules {
    /// Whether AppArmor is enabled: it can be in the kernel without.
    ///
    /// - Parameter root: Where /sys is found.
    package static func hasAppArmor(root: String = "") -> Bool {
        guard Files.exists("\(root)/sys/kernel/security/apparmor"),
            // A kernel without the module has no such file.
            let enabled = try? Files.readText("\(root)/sys/module/apparmor/parameters/enabled")
        else { return false }
        return enabled.hasPrefix("Y")
    }
}
