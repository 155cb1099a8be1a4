// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

extension Finding {
    /// The ``id`` of a kernel without IPv6 that should have it.
    package static let missingIPv6 = "IPv6Missing"
}

extension Board {
    /// Addresses, ports, firewalls and kernel variables.
    func networkFindings() -> [Finding] {
        addressFindings() + needs.ports.compactMap(portFinding) + firewallFindings() + forwardingFindings()
            + missingIPv6Findings()
    }

    private func missingIPv6Findings() -> [Finding] {
        guard let field = needs.fieldOfIPv6, !exists("/proc/sys/net/ipv6/conf/all") else { return [] }
        return [
            Finding(
                Finding.missingIPv6, .network, .error, "The kernel has no IPv6, perhaps because of ipv6.disable=1",
                why: "Containers are to have IPv6 addresses, by \(field).",
                remedy: "Remove ipv6.disable=1 from the kernel's command line and start the machine anew, or remove the"
                    + " IPv6 range from \(field)")
        ]
    }

    private func addressFindings() -> [Finding] {
        guard !probes.addresses.isEmpty else {
            return [
                Finding(
                    "NoAddress", .network, .warning, "No link has an address but the loopback",
                    why: "Other machines cannot reach this one.",
                    remedy: "Connect the cable or the Wi-Fi; 'ip address' shows what is there")
            ]
        }
        var findings = [
            Finding(
                "AddressFound", .network, .ok,
                "Addresses: \(probes.addresses.map(\.description).joined(separator: ", "))")
        ]
        if !probes.hasDefaultRoute {
            findings.append(
                Finding(
                    "NoDefaultRoute", .network, .info, "There is no default route",
                    why: "Images cannot be pulled from the internet; a mirror on the link still works.",
                    remedy: "Set a gateway if one is wanted"))
        }
        return findings
    }

    private func portFinding(_ port: Port) -> Finding? {
        let kind = port.isUDP ? "udp" : "tcp"
        let isTaken = ["/proc/net/\(kind)", "/proc/net/\(kind)6"].contains { path in
            Self.localPorts(text(path) ?? "", listening: !port.isUDP).contains(port.number)
        }
        guard isTaken else { return nil }
        return Finding(
            "PortInUse", .network, .error, "Port \(port.number)/\(kind) is in use by another program",
            why: "It is needed for \(port.purpose).",
            remedy:
                "Find the program with 'ss -\(port.isUDP ? "u" : "t")lnp sport = :\(port.number)' and stop it, or set "
                + "\(port.field) to another port")
    }

    /// The local ports in a table of /proc/net; of TCP those in the state LISTEN (0A).
    static func localPorts(_ table: String, listening: Bool) -> Set<Int> {
        Set(
            table.split(separator: "\n").dropFirst().compactMap { line in
                let fields = line.split(separator: " ", omittingEmptySubsequences: true)
                guard fields.count > 3, !listening || fields[3] == "0A" else { return nil }
                return fields[1].split(separator: ":").last.flatMap { Int($0, radix: 16) }
            })
    }

    private func firewallFindings() -> [Finding] {
        var findings: [Finding] = []
        let why = "It can drop what other machines and containers send to this one."
        let ports = "16443/tcp 10250/tcp 4789/udp 5353/udp"
        if (text("/etc/ufw/ufw.conf") ?? "").split(separator: "\n").contains("ENABLED=yes") {
            findings.append(
                Finding(
                    "FirewallActive", .network, .warning, "The firewall ufw is active", why: why,
                    remedy: "for p in \(ports); do ufw allow $p; done; ufw route allow in on swiftlet0; "
                        + "ufw route allow out on swiftlet0; or: ufw disable"))
        }
        if exists("/run/firewalld.pid") || exists("/run/firewalld") {
            findings.append(
                Finding(
                    "FirewallActive", .network, .warning, "The firewall firewalld is active", why: why,
                    remedy:
                        "for p in \(ports); do firewall-cmd --permanent --add-port=$p; done; firewall-cmd --permanent "
                        + "--zone=trusted --add-interface=swiftlet0; firewall-cmd --reload"))
        }
        if probes.dropsForwarded == true {
            findings.append(
                Finding(
                    "ForwardingDropped", .network, .warning, "iptables drops what is forwarded (policy DROP)",
                    why: "Containers cannot reach other machines; Docker sets this policy.",
                    remedy: "iptables -I FORWARD -i swiftlet0 -j ACCEPT; iptables -I FORWARD -o swiftlet0 -j ACCEPT"))
        }
        return findings
    }

    private func forwardingFindings() -> [Finding] {
        // Forwarding itself is switched on by the agent; only a file that switches it off again is in the way.
        let paths =
            names("/etc/sysctl.d").filter { $0.hasSuffix(".conf") }.map { "/etc/sysctl.d/\($0)" } + ["/etc/sysctl.conf"]
        let parameters =
            [("net.ipv4.ip_forward", "IPv4")]
            + (needs.fieldOfIPv6 == nil ? [] : [("net.ipv6.conf.all.forwarding", "IPv6")])
        return parameters.flatMap { parameter, family in
            let disabling = paths.filter { path in
                (text(path) ?? "").split(separator: "\n").contains { line in
                    line.filter { !$0.isWhitespace } == "\(parameter)=0"
                }
            }
            return disabling.map { path in
                Finding(
                    "ForwardingSwitchedOff", .network, .warning, "\(path) switches \(family) forwarding off",
                    why: "Whenever it is applied, containers lose their way to other machines.",
                    remedy: "Remove the line \(parameter)=0 from \(path)")
            }
        }
    }
}
