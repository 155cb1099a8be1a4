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
    /// Redirects to a neighbour of the same node would lead its packets past the gateway. Low ports and ping need no
    /// privilege inside, as with containerd 2 (enable_unprivileged_ports, enable_unprivileged_icmp): the addresses are the
    /// sandbox's own.
    static let defaults = [
        (name: "net.ipv4.conf.all.accept_redirects", value: "0"),
        (name: "net.ipv4.conf.default.accept_redirects", value: "0"),
        (name: "net.ipv4.ip_unprivileged_port_start", value: "0"),
        (name: "net.ipv4.ping_group_range", value: "0 2147483647"),
    ]

    /// What every sandbox gets, too, where the kernel has IPv6: routers and redirects that other sandboxes announce on the
    /// bridge are not believed (CVE-2020-10749).
    static let defaultsV6 = [
        (name: "net.ipv6.conf.default.accept_ra", value: "0"),
        (name: "net.ipv6.conf.default.accept_redirects", value: "0"),
    ]

    /// What a sandbox with an IPv6 address gets, too.
    ///
    /// Addresses are not looked for on the link before they are used (RFC 4862, 5.4), which would take a second and more: nobody
    /// else has them. IPv6 itself may be switched off for new namespaces (ipv6.disable_ipv6=1).
    static let dualStack = [
        (name: "net.ipv6.conf.all.disable_ipv6", value: "0"), (name: "net.ipv6.conf.default.disable_ipv6", value: "0"),
        (name: "net.ipv6.conf.default.accept_dad", value: "0"),
    ]
}
