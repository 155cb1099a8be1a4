// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Logging
import Netlink
import Testing

@testable import SandboxNetwork

/// Machines in network namespaces, on two local networks with a router between them: 192.0.2.0/24 and 198.51.100.0/24. The first
/// has IPv6, too, fd00:99::/64, where machines take part in it.
struct TestCluster {
    /// A machine; its subnet for sandboxes is 10.1.NUMBER.0/24, and fd42:0:0:NUMBER::/64 if it is dual stack.
    struct Machine {
        let number: Int
        let namespace: String
        let network: SandboxNetwork

        var subnet: String { "10.1.\(number).0/24" }

        /// Runs `body` in the machine's namespace, to which its network belongs.
        func run<Result>(_ body: (SandboxNetwork) throws -> Result) throws -> Result {
            try NetworkNamespace.run(at: namespace) { try body(network) }
        }

        /// Makes a sandbox; its network namespace.
        func sandbox(_ name: String = "pod") throws -> String {
            try run { try $0.create(sandboxID: name, hostname: name).namespaces.networkPath }
        }
    }

    let directory: String
    /// Packets on the local networks have at most this many bytes.
    static let mtu: UInt32 = 1400

    /// Runs `body` in the router's namespace.
    static func run(_ body: (TestCluster) throws -> Void) throws {
        let directory = "/tmp/sandbox-cluster-\(UInt64.random(in: 0...UInt64.max))"
        // What is left of a failed test is no failure of its own.
        defer { try? DirectoryHandle(path: "/tmp").removeTree(String(directory.dropFirst(5))) }
        try NetworkNamespace.runInNew(mounts: true) {
            _ = try DirectoryHandle.create(path: directory)
            let session = try RouteSession()
            try session.change(link: 1, LinkSettings(isUp: true))
            for (name, address) in [("lan0", "192.0.2.254/24"), ("lan1", "198.51.100.254/24")] {
                try session.createBridge(LinkSettings(mtu: mtu, isUp: true, name: name))
                let link = try #require(try session.link(named: name))
                try session.setAddress(try #require(IPNetwork(address)), link: link.index)
            }
            try SystemControl.write("net.ipv4.ip_forward", "1")
            try body(TestCluster(directory: directory))
        }
    }

    /// Adds a machine with an address on a local network, and a default route by the router unless told otherwise.
    func machine(
        _ number: Int, lan: Int = 0, hasDefaultRoute: Bool = true, isDualStack: Bool = false, hasV6: Bool = false
    ) throws -> Machine {
        let own = "\(directory)/machine\(number)"
        _ = try DirectoryHandle.create(path: own)
        let namespaces = PinnedNamespaces(directory: own)
        let inside = RouteSession(try namespaces.create(hostname: "machine\(number)", parameters: []))
        try inside.change(link: 1, LinkSettings(isUp: true))
        let path = namespaces.networkPath
        try plug(number, path, lan: lan, hasDefaultRoute: hasDefaultRoute, hasV6: hasV6)
        let network = try NetworkNamespace.run(at: path) {
            let network = try TestNode.network(
                own + "/run", "10.1.\(number).0/24", isDualStack ? "fd42:0:0:\(number)::/64" : nil)
            try network.prepareNode()
            return network
        }
        return Machine(number: number, namespace: path, network: network)
    }

    /// Gives a machine a cable to a local network, instead of the one that it had.
    func plug(
        _ number: Int, _ path: String, lan: Int, hasDefaultRoute: Bool = true, hasV6: Bool = false
    ) throws {
        let session = try RouteSession()
        let inside = try RouteSession(namespace: path)
        try session.deleteLink(named: "port\(number)")
        let bridge = try #require(try session.link(named: "lan\(lan)"))
        let namespace = try FileDescriptor.open(reading: path)
        try session.createVirtualEthernet(
            LinkSettings(mtu: Self.mtu, master: bridge.index, isUp: true, name: "port\(number)"),
            peer: LinkSettings(mtu: Self.mtu, name: "uplink", namespaceDescriptor: namespace.rawValue))
        let link = try #require(try inside.link(named: "uplink"))
        // Neighbours are asked for by the link-local address, which nobody else has here: it need not be looked for first.
        try NetworkNamespace.run(at: path) { try SystemControl.write("net/ipv6/conf/uplink/accept_dad", "0") }
        try inside.change(link: link.index, LinkSettings(isUp: true))
        try inside.setAddress(
            try #require(IPNetwork("\(Self.address(number, lan: lan))/24")), link: link.index)
        if hasV6 { try inside.setAddress(try #require(IPNetwork("fd00:99::\(number)/64")), link: link.index) }
        if hasDefaultRoute {
            try inside.setRoute(
                Route(
                    to: try #require(IPNetwork("0.0.0.0/0")), via: Self.address(254, lan: lan), link: link.index))
        }
    }

    static func address(_ number: Int, lan: Int) -> IPAddress {
        lan == 0 ? IPAddress(v4: 192, 0, 2, UInt8(number)) : IPAddress(v4: 198, 51, 100, UInt8(number))
    }

    /// The peer that others see in a machine on a local network.
    static func peer(_ number: Int, lan: Int = 0) throws -> NetworkPeer {
        NetworkPeer(
            subnet: try #require(IPNetwork("10.1.\(number).0/24")), addresses: [address(number, lan: lan)])
    }

    /// The peer that others see in a dual stack machine.
    static func dualPeer(_ number: Int, lan: Int = 0, hasV6: Bool = false) throws -> NetworkPeer {
        var peer = try peer(number, lan: lan)
        peer.subnetV6 = IPNetwork("fd42:0:0:\(number)::/64")
        if hasV6 { peer.addresses.append(try #require(IPAddress("fd00:99::\(number)"))) }
        return peer
    }
}
