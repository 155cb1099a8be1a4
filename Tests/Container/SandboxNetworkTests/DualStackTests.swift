// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Netlink
import Testing

@testable import SandboxNetwork

/// Sandboxes with two addresses on the real kernel.
@Suite struct DualStackTests {
    private static let subnetV6 = "fd42:0:0:7::/64"

    private func reaches(_ address: String, from path: String?) throws -> Bool {
        try TestNode.shell("busybox ping -c 1 -W 2 \(address)", in: path).contains(" 0% packet loss")
    }

    @Test func sandboxesReachOneAnotherAndTheWorldAtOnce() throws {
        try TestNode.run(subnetV6: Self.subnetV6) { node in
            let a = try node.network.create(sandboxID: "a", hostname: "web-0")
            // Nothing waits for duplicate address detection.
            #expect(try node.shell("ip -6 address show tentative", in: a.namespaces.networkPath) == "")
            #expect(try node.shell("ip -6 address show dev swbr0 tentative") == "")
            #expect(try reaches("fd00:99::2", from: a.namespaces.networkPath))
            let b = try node.network.create(sandboxID: "b", hostname: "web-1")
            #expect(a.addresses.map(\.description) == ["10.1.7.2", "fd42:0:0:7::2"])
            #expect(b.addresses.map(\.description) == ["10.1.7.3", "fd42:0:0:7::3"])
            for target in ["fd42:0:0:7::3", "fd42:0:0:7::1", "::1", "10.1.7.3", "192.0.2.2"] {
                #expect(try reaches(target, from: a.namespaces.networkPath), "\(target)")
            }
            #expect(try reaches("fd42:0:0:7::2", from: nil))
            // The world has no route to the pod network: it sees the node's address.
            #expect(try node.shell("ip -6 route", in: node.outside).contains("fd42") == false)
            // Frames between sandboxes go by the gateway only.
            let neighbours = try node.shell("ip -6 neighbour", in: a.namespaces.networkPath)
            #expect(neighbours.contains("fd42:0:0:7::1 ") && !neighbours.contains("fd42:0:0:7::3 "))
        }
    }

    @Test(arguments: [false, true])
    func portsOfTheMachineLeadToSandboxes(filtersBridge: Bool) throws {
        try TestNode.run(subnetV6: Self.subnetV6, filtersBridge: filtersBridge) { node in
            let server = try node.network.create(
                sandboxID: "server", hostname: "s",
                portMappings: [
                    PortMapping(.tcp, hostPort: 8080, sandboxPort: 80),
                    PortMapping(.tcp, hostPort: 8081, sandboxPort: 80, hostAddress: IPAddress("fd00:99::1")),
                    PortMapping(.tcp, hostPort: 8082, sandboxPort: 80, hostAddress: IPAddress(v4: 192, 0, 2, 1)),
                ])
            let client = try node.network.create(sandboxID: "client", hostname: "c")
            let (inServer, inClient) = (server.namespaces.networkPath, client.namespaces.networkPath)
            try node.serving("mapped", port: 80, in: inServer) { () throws in
                for (url, from) in [
                    ("[fd00:99::1]:8080", node.outside), ("192.0.2.1:8080", node.outside),
                    ("[fd00:99::1]:8081", node.outside), ("192.0.2.1:8082", node.outside), ("[fd00:99::1]:8080", nil),
                    ("[fd42:0:0:7::1]:8080", nil), ("127.0.0.1:8080", nil), ("[fd00:99::1]:8080", inClient),
                    ("[fd00:99::1]:8081", inClient), ("[fd00:99::1]:8080", inServer), ("192.0.2.1:8080", inServer),
                ] {
                    #expect(try node.get(url, from: from) == "mapped", "\(url) from \(from ?? "the node")")
                }
                // Mapped for one address only, and never for ::1.
                for url in ["[fd42:0:0:7::1]:8081", "192.0.2.1:8081", "[fd00:99::1]:8082", "[::1]:8080"] {
                    #expect(try node.get(url) != "mapped", "\(url)")
                }
            }
            try node.network.remove(sandboxID: "server")
            #expect(try !node.shell("nft list table inet swiftlet-network").contains("8080"))
        }
    }

    /// A router on the link goes on being listened to, routers in sandboxes are not.
    @Test func parametersAreSetAndSetBack() throws {
        try TestNode.run(subnetV6: Self.subnetV6) { node in
            let sandbox = try node.network.create(sandboxID: "a", hostname: "h")
            func value(_ name: String) throws -> String { try SystemControl.read("net/ipv6/conf/\(name)") }
            #expect(try value("all/forwarding") == "1")
            #expect(try value("uplink/accept_ra") == "2" && value("default/accept_ra") == "2")
            #expect(try value("swbr0/accept_ra") == "0")
            let inside = sandbox.namespaces.networkPath
            #expect(try node.shell("cat /proc/sys/net/ipv6/conf/eth0/accept_ra", in: inside) == "0\n")
            #expect(try node.shell("cat /proc/sys/net/ipv6/conf/eth0/accept_redirects", in: inside) == "0\n")
            // A link that is taken away in between does not keep the rest from being set back.
            try node.network.store.setChangedParameters(
                try node.network.store.changedParameters().merging(["net/ipv6/conf/gone/accept_ra": "1"]) { $1 })
            try node.network.removeAll()
            #expect(try value("all/forwarding") == "0")
            #expect(try value("uplink/accept_ra") == "1" && value("default/accept_ra") == "1")
            #expect(try node.shell("nft list ruleset; ip -6 route | grep fd42") == "")
        }
    }

    @Test func everythingIsIdempotentAndSurvivesARestart() throws {
        try TestNode.run(subnetV6: Self.subnetV6) { node in
            let mapping = PortMapping(.tcp, hostPort: 8080, sandboxPort: 80)
            let first = try node.network.create(sandboxID: "a", hostname: "h", portMappings: [mapping])
            let show = "ip -o link; nft list ruleset; ip -o address; ip -6 route"
            let before = try node.shell(show)
            try node.network.prepareNode()
            #expect(try node.shell(show) == before)
            let second = try node.restarted()
            try second.prepareNode()
            #expect(try node.shell(show) == before)
            #expect(second.adopt(sandboxID: "a") == first)
            let next = try second.create(sandboxID: "b", hostname: "h")
            #expect(next.addresses.map(\.description) == ["10.1.7.3", "fd42:0:0:7::3"])
        }
    }

    /// Nor are they in sandboxes that have link-local addresses only.
    @Test func sandboxesBelieveNoRouters() throws {
        try TestNode.run { node in
            let inside = try node.network.create(sandboxID: "a", hostname: "h").namespaces.networkPath
            for parameter in ["accept_ra", "accept_redirects"] {
                #expect(try node.shell("cat /proc/sys/net/ipv6/conf/eth0/\(parameter)", in: inside) == "0\n")
            }
            #expect(try SystemControl.read("net/ipv6/conf/swbr0/accept_ra") == "0")
            #expect(try SystemControl.read("net/ipv6/conf/all/forwarding") == "0")
            #expect(try SystemControl.read("net/ipv6/conf/uplink/accept_ra") == "1")
            #expect(try !node.shell("nft list ruleset").contains("ip6"))
        }
    }

    /// The IPv6 range comes while sandboxes run, and goes again.
    @Test func sandboxesOutliveAChangeOfTheRange() throws {
        try TestNode.run { node in
            let mapping = PortMapping(.tcp, hostPort: 8080, sandboxPort: 80)
            let old = try node.network.create(sandboxID: "old", hostname: "h", portMappings: [mapping])
            let dual = try TestNode.network(node.runDirectory, node.subnet, Self.subnetV6)
            try dual.prepareNode()
            #expect(dual.adopt(sandboxID: "old") == old)
            let new = try dual.create(
                sandboxID: "new", hostname: "h", portMappings: [PortMapping(.tcp, hostPort: 8081, sandboxPort: 80)])
            #expect(try reaches("fd42:0:0:7::3", from: nil))
            #expect(try reaches("10.1.7.2", from: new.namespaces.networkPath))
            let single = try node.restarted()
            try single.prepareNode()
            #expect(single.adopt(sandboxID: "new") == new)
            #expect(try !node.shell("ip -6 address show dev swbr0").contains("fd42"))
            #expect(try reaches("10.1.7.3", from: old.namespaces.networkPath))
        }
    }

    /// The kernel takes IPv6 from links with packets of less than 1280 bytes.
    @Test func narrowUplinksWork() throws {
        try TestNode.run { node in
            let session = try RouteSession()
            let uplink = try #require(try session.link(named: "uplink"))
            try session.change(link: uplink.index, LinkSettings(mtu: 1200))
            try node.network.prepareNode()
            #expect(try session.link(named: "swbr0")?.mtu == 1200)
            let plain = try node.network.create(sandboxID: "a", hostname: "h")
            #expect(try reaches("192.0.2.2", from: plain.namespaces.networkPath))
            let dual = try TestNode.network(node.runDirectory, node.subnet, Self.subnetV6)
            try dual.prepareNode()
            #expect(try session.link(named: "swbr0")?.mtu == 1280)
            #expect(try SystemControl.read("net/ipv6/conf/swbr0/accept_ra") == "0")
            let sandbox = try dual.create(sandboxID: "b", hostname: "h")
            #expect(try reaches("fd42:0:0:7::1", from: sandbox.namespaces.networkPath))
        }
    }

    @Test func aKernelWithoutIPv6IsAClearError() throws {
        try TestNode.run { node in
            // What such a kernel does not have.
            try node.shell("mount -t tmpfs none /proc/sys/net/ipv6")
            try node.network.prepareNode()
            _ = try node.network.create(sandboxID: "a", hostname: "h")
            let dual = try TestNode.network(node.runDirectory, node.subnet, Self.subnetV6)
            let error = #expect(throws: SandboxNetworkError.self) { try dual.prepareNode() }
            #expect(error?.reason.contains("ipv6.disable=1") == true, "\(String(describing: error))")
        }
    }

    @Test(arguments: ["10.9.0.0/24", "fd43::/64", "fd42::/121"])
    func unusableSubnetsAreErrors(subnet: String) throws {
        let error = #expect(throws: SandboxNetworkError.self) {
            try TestNode.network("/tmp/never-made", "10.1.7.0/24", subnet)
        }
        #expect(error?.kind == .invalid && error?.subject == subnet)
    }
}

/// Dual stack sandboxes of several machines.
@Suite struct DualStackPeerTests {
    private func shell(_ command: String, in path: String? = nil) throws -> String {
        try TestNode.shell(command, in: path)
    }

    private func reaches(_ address: String, from path: String, bytes: Int = 56) throws -> Bool {
        try shell("busybox ping -c 1 -W 2 -s \(bytes) \(address)", in: path).contains(" 0% packet loss")
    }

    private func carriers(_ outcome: PeerOutcome) -> [String] {
        outcome.paths.map { path in
            switch path.carrier {
            case .direct: "\(path.subnet) direct \(path.address)"
            case .vxlan: "\(path.subnet) vxlan \(path.address)"
            }
        }
    }

    @Test func neighboursReachOneAnotherDirectly() throws {
        try TestCluster.run { cluster in
            let one = try cluster.machine(1, isDualStack: true, hasV6: true)
            let two = try cluster.machine(2, isDualStack: true, hasV6: true)
            let (a, b) = (try one.sandbox(), try two.sandbox())
            let outcome = try one.run { try $0.setPeers([TestCluster.dualPeer(2, hasV6: true)]) }
            try two.run { _ = try $0.setPeers([TestCluster.dualPeer(1, hasV6: true)]) }
            #expect(
                carriers(outcome) == ["10.1.2.0/24 direct 192.0.2.2", "fd42:0:0:2::/64 direct fd00:99::2"])
            #expect(try reaches("fd42:0:0:2::2", from: a) && reaches("fd42:0:0:1::2", from: b))
            #expect(try reaches("10.1.2.2", from: a))
            #expect(try reaches("fd42:0:0:2::2", from: a, bytes: 8000))
            #expect(try reaches("fd42:0:0:2::2", from: one.namespace))
            #expect(try !shell("ip -o link", in: one.namespace).contains("vxlan"))
            // Again: nothing changes, neither for a new run of the program.
            #expect(try !one.run { try $0.setPeers([TestCluster.dualPeer(2, hasV6: true)]) }.isChanged)
            #expect(try one.run { try $0.setPeers([]) }.isChanged)
            #expect(try !shell("ip -6 route", in: one.namespace).contains("fd42:0:0:2"))
        }
    }

    /// Each family goes its own way: these machines see each other in IPv4 only.
    @Test func withoutIPv6OnTheLinkItTravelsInVXLAN() throws {
        try TestCluster.run { cluster in
            let one = try cluster.machine(1, isDualStack: true, hasV6: true)
            let two = try cluster.machine(2, isDualStack: true)
            let (a, b) = (try one.sandbox(), try two.sandbox())
            let outcome = try one.run { try $0.setPeers([TestCluster.dualPeer(2)]) }
            try two.run { _ = try $0.setPeers([TestCluster.dualPeer(1, hasV6: true)]) }
            #expect(carriers(outcome) == ["10.1.2.0/24 direct 192.0.2.2", "fd42:0:0:2::/64 vxlan 192.0.2.2"])
            #expect(try reaches("fd42:0:0:2::2", from: a) && reaches("fd42:0:0:1::2", from: b))
            #expect(try reaches("10.1.2.2", from: a))
            // The machine's own packets as well.
            #expect(try reaches("fd42:0:0:2::2", from: one.namespace))
            #expect(try !one.run { try $0.setPeers([TestCluster.dualPeer(2)]) }.isChanged)

            // It gets an address: the same peer, the short way, and back again.
            let session = try RouteSession(namespace: two.namespace)
            let uplink = try #require(try session.link(named: "uplink"))
            let address = try #require(IPNetwork("fd00:99::2/64"))
            try session.setAddress(address, link: uplink.index)
            let near = try one.run { try $0.setPeers([TestCluster.dualPeer(2, hasV6: true)]) }
            try two.run { _ = try $0.refreshPeers() }
            #expect(carriers(near).last == "fd42:0:0:2::/64 direct fd00:99::2")
            #expect(try reaches("fd42:0:0:2::2", from: a) && reaches("fd42:0:0:1::2", from: b))
            #expect(try !shell("ip -o link", in: one.namespace).contains("vxlan"))
            try session.deleteAddress(address, link: uplink.index)
            let far = try one.run { try $0.setPeers([TestCluster.dualPeer(2)]) }
            #expect(carriers(far).last == "fd42:0:0:2::/64 vxlan 192.0.2.2")
            try two.run { _ = try $0.refreshPeers() }
            #expect(try reaches("fd42:0:0:2::2", from: a) && reaches("fd42:0:0:1::2", from: b))
        }
    }

    @Test func machinesBeyondARouterAreReachedByVXLAN() throws {
        try TestCluster.run { cluster in
            let one = try cluster.machine(1, isDualStack: true)
            let two = try cluster.machine(2, lan: 1, isDualStack: true)
            let (a, b) = (try one.sandbox(), try two.sandbox())
            let outcome = try one.run { try $0.setPeers([TestCluster.dualPeer(2, lan: 1)]) }
            try two.run { _ = try $0.setPeers([TestCluster.dualPeer(1)]) }
            #expect(outcome.paths.map(\.carrier) == [.vxlan, .vxlan])
            for (target, from) in [
                ("fd42:0:0:2::2", a), ("fd42:0:0:1::2", b), ("10.1.2.2", a), ("10.1.1.2", b),
                ("fd42:0:0:2::2", one.namespace),
            ] {
                #expect(try reaches(target, from: from), "\(target)")
            }
            #expect(try reaches("fd42:0:0:2::2", from: a, bytes: 8000))
            // Routers do not divide IPv6 packets: the sandbox learns what fits.
            try TestNode.serving(String(repeating: "x", count: 100_000), port: 80, in: b, root: cluster.directory) {
                () throws in
                #expect(
                    try shell("timeout 5 busybox wget -q -O - http://[fd42:0:0:2::2]/ | wc -c", in: a) == "100000\n")
            }
            #expect(try shell("ip -6 route get fd42:0:0:1::2", in: b).contains("mtu 1350"))
            // Nothing of it stays.
            try one.run { try $0.removeAll() }
            #expect(try !shell("ip -o link; ip -6 route", in: one.namespace).contains("fd42"))
            #expect(try !shell("ip -o link", in: one.namespace).contains("vxlan"))
        }
    }

    /// Links so narrow that what remains in the tunnel is less than IPv6 must have: outer packets are divided.
    @Test func narrowLinksCarryIPv6() throws {
        try TestCluster.run { cluster in
            let one = try cluster.machine(1, isDualStack: true)
            let two = try cluster.machine(2, lan: 1, isDualStack: true)
            for machine in [one, two] {
                let session = try RouteSession(namespace: machine.namespace)
                let uplink = try #require(try session.link(named: "uplink"))
                try session.change(link: uplink.index, LinkSettings(mtu: 1300))
                try machine.run { try $0.prepareNode() }
            }
            let (a, b) = (try one.sandbox(), try two.sandbox())
            try one.run { _ = try $0.setPeers([TestCluster.dualPeer(2, lan: 1)]) }
            try two.run { _ = try $0.setPeers([TestCluster.dualPeer(1)]) }
            #expect(try shell("ip -o link show dev swiftlet-vxlan", in: one.namespace).contains("mtu 1280"))
            #expect(try reaches("fd42:0:0:2::2", from: a) && reaches("fd42:0:0:2::2", from: a, bytes: 8000))
            #expect(try reaches("10.1.2.2", from: a, bytes: 8000))
            try TestNode.serving(String(repeating: "x", count: 100_000), port: 80, in: b, root: cluster.directory) {
                () throws in
                for host in ["[fd42:0:0:2::2]", "10.1.2.2"] {
                    let said = try shell("timeout 5 busybox wget -q -O - http://\(host)/ | wc -c", in: a)
                    #expect(said == "100000\n", "\(host)")
                }
            }
            // IPv4 alone takes what fits.
            try one.run { _ = try $0.setPeers([TestCluster.peer(2, lan: 1)]) }
            #expect(try shell("ip -o link show dev swiftlet-vxlan", in: one.namespace).contains("mtu 1250"))
        }
    }

    @Test func doubtfulPeersKeepTheirIPv4PathOnly() throws {
        try TestCluster.run { cluster in
            let one = try cluster.machine(1, isDualStack: true, hasV6: true)
            var outside = try TestCluster.dualPeer(2, hasV6: true)
            outside.subnetV6 = IPNetwork("fd43::/64")
            var ours = try TestCluster.dualPeer(3, hasV6: true)
            ours.subnetV6 = IPNetwork("fd42:0:0:1::/80")
            var twin = try TestCluster.dualPeer(4, hasV6: true)
            twin.subnetV6 = IPNetwork("fd42:0:0:5::/64")
            var linkLocal = try TestCluster.dualPeer(6)
            linkLocal.addresses.append(try #require(IPAddress("fe80::6")))
            let peers = [outside, ours, try TestCluster.dualPeer(5, hasV6: true), twin, linkLocal]
            let outcome = try one.run { try $0.setPeers(peers) }
            #expect(outcome.rejected.map(\.peer) == [outside, ours, twin])
            #expect(
                carriers(outcome) == [
                    "10.1.2.0/24 direct 192.0.2.2", "10.1.3.0/24 direct 192.0.2.3", "10.1.5.0/24 direct 192.0.2.5",
                    "fd42:0:0:5::/64 direct fd00:99::5", "10.1.4.0/24 direct 192.0.2.4",
                    "10.1.6.0/24 direct 192.0.2.6", "fd42:0:0:6::/64 vxlan 192.0.2.6",
                ])
            // A node without an IPv6 range has no use for those of others.
            let plain = try cluster.machine(7)
            let there = try plain.run { try $0.setPeers([TestCluster.dualPeer(2)]) }
            #expect(carriers(there) == ["10.1.2.0/24 direct 192.0.2.2"] && there.rejected.isEmpty)
        }
    }
}
