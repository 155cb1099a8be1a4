// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Netlink
import Testing

@testable import SandboxNetwork

/// Sandboxes of several machines on the real kernel.
@Suite struct PeerTests {
    private func shell(_ command: String, in path: String? = nil) throws -> String {
        try TestNode.shell(command, in: path)
    }

    private func reaches(_ address: String, from path: String, bytes: Int = 56) throws -> Bool {
        try shell("busybox ping -c 1 -W 2 -s \(bytes) \(address)", in: path).contains(" 0% packet loss")
    }

    /// From now on only packets from one address get into a sandbox.
    private func admit(only source: String, in path: String) throws {
        let output = try shell(
            "nft \"add table ip t; add chain ip t c { type filter hook input priority 0; policy drop; }; "
                + "add rule ip t c ip saddr \(source) accept\"", in: path)
        #expect(output == "")
    }

    @Test func neighboursReachOneAnotherDirectly() throws {
        try TestCluster.run { cluster in
            // One of them has no default route.
            let one = try cluster.machine(1, hasDefaultRoute: false)
            let two = try cluster.machine(2)
            let (a, b) = (try one.sandbox(), try two.sandbox())
            #expect(try !reaches("10.1.2.2", from: a))
            let outcome = try one.run { try $0.setPeers([TestCluster.peer(2)]) }
            try two.run { _ = try $0.setPeers([TestCluster.peer(1)]) }
            guard case .direct = outcome.paths.first?.carrier else {
                Issue.record("\(outcome)")
                return
            }
            #expect(try reaches("10.1.2.2", from: a) && reaches("10.1.1.2", from: b))
            #expect(try reaches("10.1.2.2", from: a, bytes: 8000))
            // The machines themselves as well, and with the true source.
            #expect(try reaches("10.1.2.2", from: one.namespace))
            try admit(only: "10.1.1.2", in: b)
            #expect(try reaches("10.1.2.2", from: a) && !reaches("10.1.2.2", from: one.namespace))
            #expect(try !shell("ip -o link", in: one.namespace).contains("vxlan"))
            // Gone when the peer is.
            #expect(try one.run { try $0.setPeers([]) }.isChanged)
            #expect(try !shell("ip route", in: one.namespace).contains("10.1.2.0"))
        }
    }

    @Test func machinesBeyondARouterAreReachedByVXLAN() throws {
        try TestCluster.run { cluster in
            let one = try cluster.machine(1)
            let two = try cluster.machine(2, lan: 1)
            let (a, b) = (try one.sandbox(), try two.sandbox())
            let outcome = try one.run { try $0.setPeers([TestCluster.peer(2, lan: 1)]) }
            try two.run { _ = try $0.setPeers([TestCluster.peer(1)]) }
            #expect(outcome.paths.map(\.carrier) == [.vxlan])
            #expect(try reaches("10.1.2.2", from: a) && reaches("10.1.1.2", from: b))
            #expect(try reaches("10.1.2.2", from: a, bytes: 8000))
            #expect(try reaches("10.1.2.2", from: one.namespace))
            // Large packets that must not be divided: the sandbox learns what fits.
            try TestNode.serving(String(repeating: "x", count: 100_000), port: 80, in: b, root: cluster.directory) {
                () throws in
                #expect(try shell("timeout 5 busybox wget -q -O - http://10.1.2.2/ | wc -c", in: a) == "100000\n")
            }
            #expect(try shell("ip route get 10.1.1.2", in: b).contains("mtu 1350"))
            try admit(only: "10.1.1.2", in: b)
            #expect(try reaches("10.1.2.2", from: a) && !reaches("10.1.2.2", from: one.namespace))
            // A sandbox cannot send into the tunnel by itself.
            let rules = try shell("nft list chain inet swiftlet-network martians", in: one.namespace)
            #expect(rules.contains("udp dport 4789 drop"), "\(rules)")
        }
    }

    @Test func pathsFollowAddresses() throws {
        try TestCluster.run { cluster in
            let one = try cluster.machine(1)
            let two = try cluster.machine(2, lan: 1)
            let three = try cluster.machine(3)
            let a = try one.sandbox()
            _ = try two.sandbox()
            _ = try three.sandbox()
            let far = [try TestCluster.peer(2, lan: 1), try TestCluster.peer(3)]
            #expect(try one.run { try $0.setPeers(far) }.isChanged)
            try two.run { _ = try $0.setPeers([TestCluster.peer(1), TestCluster.peer(3)]) }
            try three.run { _ = try $0.setPeers([TestCluster.peer(1), TestCluster.peer(2, lan: 1)]) }
            #expect(try reaches("10.1.2.2", from: a) && reaches("10.1.3.2", from: a))
            #expect(try !one.run { try $0.setPeers(far) }.isChanged)

            // The far machine moves next to the others.
            try cluster.plug(2, two.namespace, lan: 0)
            #expect(try !reaches("10.1.2.2", from: a))
            let near = [try TestCluster.peer(2), try TestCluster.peer(3)]
            for machine in [one, three] { try machine.run { _ = try $0.setPeers(near + [TestCluster.peer(1)]) } }
            try two.run { _ = try $0.refreshPeers() }
            #expect(try reaches("10.1.2.2", from: a))
            #expect(try !shell("ip -o link", in: one.namespace).contains("vxlan"))

            // Our own address changes: the same peers, other paths.
            try cluster.plug(1, one.namespace, lan: 1)
            #expect(try one.run { try $0.refreshPeers() }.paths.map(\.carrier) == [.vxlan, .vxlan])
            for machine in [two, three] {
                try machine.run { _ = try $0.setPeers([TestCluster.peer(1, lan: 1)] + near) }
            }
            #expect(try reaches("10.1.2.2", from: a) && reaches("10.1.3.2", from: a))

            // A new run of the program, told of nobody, takes all of it away.
            try one.run { _ in
                let restarted = try TestNode.network("\(cluster.directory)/machine1/run", one.subnet)
                try restarted.removeAll()
            }
            #expect(try !shell("ip -o link; ip route", in: one.namespace).contains("10.1."))
            #expect(try !shell("ip -o link", in: one.namespace).contains("vxlan"))
        }
    }

    @Test func doubtfulPeersAreRejectedAndDoNoHarm() throws {
        try TestCluster.run { cluster in
            let one = try cluster.machine(1)
            _ = try cluster.machine(2)
            let before = try shell("ip route", in: one.namespace)
            func peer(_ subnet: String, _ addresses: String...) throws -> NetworkPeer {
                NetworkPeer(
                    subnet: try #require(IPNetwork(subnet)), addresses: addresses.compactMap { IPAddress($0) })
            }
            let bad = [
                try peer("0.0.0.0/0", "192.0.2.9"), try peer("192.0.2.0/24", "192.0.2.9"),
                try peer("10.1.1.0/25", "192.0.2.9"), try peer("10.1.0.0/16", "192.0.2.9"),
                try peer("fd00::/64", "192.0.2.9"), try peer("10.1.9.0/24", "192.0.2.1"),
                try peer("10.1.9.0/24", "127.0.0.1", "fd00::1", "0.0.0.0", "10.1.4.4"), try peer("10.1.9.0/24"),
            ]
            let outcome = try one.run { try $0.setPeers(bad) }
            #expect(outcome.rejected.map(\.peer) == bad && outcome.paths.isEmpty && !outcome.isChanged)
            #expect(try shell("ip route", in: one.namespace) == before)
            // The first one keeps a subnet that two claim.
            let two = try TestCluster.peer(2)
            let twice = try one.run { try $0.setPeers([two, peer("10.1.2.0/25", "192.0.2.9")]) }
            #expect(twice.paths.map(\.address.description) == ["192.0.2.2"] && twice.rejected.count == 1)
        }
    }
}
