// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import LinuxSystem
import Netlink

/// Who this node is: its name and the addresses at which others reach it.
struct NodeIdentity: Sendable, Hashable {
    var name: String
    var hostName: String
    /// The first is the one that the API server and other nodes use.
    var addresses: [IPAddress]

    /// Takes what the configuration says and finds out the rest.
    ///
    /// - Throws: ``ConfigurationError`` when the host name cannot name a node, or the machine has no address.
    static func discover(_ configuration: Configuration) throws -> NodeIdentity {
        let addresses =
            configuration.nodeAddresses.isEmpty
            ? try findAddresses(bridge: configuration.network.bridge, podRanges: configuration.clusterRanges)
            : configuration.nodeAddresses
        return NodeIdentity(name: try name(configuration), hostName: try machineName(), addresses: addresses)
    }

    /// The configured name, or the machine's.
    ///
    /// - Throws: ``ConfigurationError`` when the host name cannot name a node.
    static func name(_ configuration: Configuration) throws -> String {
        let hostName = try machineName()
        let name = configuration.nodeName.isEmpty ? hostName.lowercased() : configuration.nodeName
        guard NodeName.isValid(name) else {
            throw ConfigurationError(
                field: "nodeName",
                reason: "the host name \"\(hostName)\" cannot name a node; set nodeName, or another host name")
        }
        return name
    }

    private static func machineName() throws -> String { try Files.readText("/proc/sys/kernel/hostname").trimmed }

    /// The address of the default route's link first; without a default route any address that is not our own bridge's;
    /// loopback at last, so that a board without network still is a node of its own.
    ///
    /// Addresses of bridges that other software made for its containers (Docker, libvirt, LXD) are those of no network that
    /// others are on: they do not count, and are the same on every machine that has that software.
    ///
    /// In a dual stack cluster IPv6 addresses are there, too: the first one second, as upstream has it.
    private static func findAddresses(bridge: String, podRanges: PodRanges) throws -> [IPAddress] {
        let session = try RouteSession()
        let every = try session.links()
        let links = every.filter {
            $0.isUp && !$0.isLoopback && $0.name != bridge && !isSoftwareBridge($0, among: every)
        }
        let uplink = try session.routes().filter { $0.destination.prefixLength == 0 }
            .min { $0.priority ?? 0 < $1.priority ?? 0 }
        let all = try session.addresses()
        func addresses(of links: [Link]) -> [LinkAddress] {
            let eligible = Set(links.map(\.index) + [uplink?.link].compactMap { $0 })
            let found = all.filter {
                eligible.contains($0.link) && $0.network.address.isV4 && !$0.network.address.isLinkLocal
            }
            guard let podRange = podRanges.v6 else { return found }
            return found + usableV6(all.filter { eligible.contains($0.link) }, podRange: podRange)
        }
        // Behind a link without carrier is nobody, but where there is no other, somebody may be again.
        var found = addresses(of: links.filter { $0.kind != "veth" && $0.hasCarrier })
        if !found.contains(where: \.network.address.isV4) { found = addresses(of: links.filter { $0.kind != "veth" }) }
        // A veth leads to containers, but in a network namespace it may be the only way out, also without a default route.
        if !found.contains(where: \.network.address.isV4) { found = addresses(of: links) }
        let sorted = found.sorted { left, right in
            let (isLeft, isRight) = (left.link == uplink?.link, right.link == uplink?.link)
            return isLeft == isRight ? left.link < right.link : isLeft
        }.map(\.network.address)
        let (v4, v6) = (sorted.filter(\.isV4), sorted.filter(\.isV6))
        return [v4.first ?? .loopbackV4] + v6.prefix(1) + v4.dropFirst() + v6.dropFirst()
    }

    /// The kinds of links that lead to what runs on this machine.
    private static let softwareKinds: Set<String> = ["veth", "tun", "dummy", "vxlan"]

    /// Whether a link is a bridge that leads out of the machine by none of its ports.
    private static func isSoftwareBridge(_ link: Link, among links: [Link]) -> Bool {
        link.kind == "bridge"
            && !links.contains { $0.master == link.index && !softwareKinds.contains($0.kind) }
    }

    /// Of each link the one IPv6 address that will last longest: a site's own rather than a provider's.
    private static func usableV6(_ addresses: [LinkAddress], podRange: IPNetwork) -> [LinkAddress] {
        let usable = addresses.filter { address in
            let ip = address.network.address
            return ip.isV6 && address.isLasting && !ip.isLinkLocal && !ip.isLoopback && !podRange.contains(ip)
        }
        return Dictionary(grouping: usable, by: \.link).values.compactMap { ofLink in
            ofLink.min { left, right in
                let (left, right) = (left.network.address, right.network.address)
                return left.isUniqueLocal == right.isUniqueLocal ? left < right : left.isUniqueLocal
            }
        }
    }
}

extension String {
    /// Without the white space at both ends.
    var trimmed: String {
        var result = Substring(self)
        while let last = result.last, last.isWhitespace { result.removeLast() }
        return String(result.drop(while: \.isWhitespace))
    }
}
