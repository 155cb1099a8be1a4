// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Kernel parameters of sandboxes.
enum SandboxParameters {
    /// Whether a parameter belongs to a network or IPC namespace (namespaces(7), ipc_namespaces(7)), the rule of upstream's
    /// kubelet.
    static func isNamespaced(_ name: String) -> Bool {
        guard let path = SystemControl.path(of: name)?.dropFirst("/proc/sys/".count) else { return false }
        return path.hasPrefix("net/") || path.hasPrefix("fs/mqueue/") || path.hasPrefix("kernel/shm")
            || path.hasPrefix("kernel/msg") || path == "kernel/sem"
    }

    /// Whether a parameter belongs to the link to the bridge, which exists only after the namespace.
    static func isOfLink(_ name: String) -> Bool {
        SystemControl.path(of: name)?.split(separator: "/").contains(Substring(SandboxNetwork.interface)) ?? false
    }

    /// What every sandbox gets before its own parameters.
    ///
    /// Redirects to a neighbour of the same node would lead its packets past the gateway.
    static let defaults = [
        (name: "net.ipv4.conf.all.accept_redirects", value: "0"),
        (name: "net.ipv4.conf.default.accept_redirects", value: "0"),
    ]
}
