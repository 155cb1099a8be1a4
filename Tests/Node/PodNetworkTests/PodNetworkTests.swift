// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem
import SandboxNetwork
import Testing

@testable import PodNetwork

@Suite struct PeerDirectoryTests {
    private func node(_ name: String, _ ranges: [String], _ addresses: [(String, String)]) -> KubeObject {
        var node = KubeObject(.init("", "v1", "Node"), name: name)
        node.spec = ["podCIDR": ranges.first.map { .string($0) } ?? .null, "podCIDRs": JSON(ranges)]
        node.status = [
            "addresses": .array(addresses.map { ["type": .string($0.0), "address": .string($0.1)] }),
            "phase": "x",
        ]
        return node
    }

    @Test func othersWithRangeAndAddressArePeers() {
        let nodes = [
            node("c", ["10.1.2.0/24"], [("Hostname", "c"), ("InternalIP", "192.0.2.3"), ("InternalIP", "fd00::3")]),
            node("a", ["10.1.0.0/24"], [("InternalIP", "192.0.2.1")]),
            node("b", ["10.1.1.0/24", "fd00:1::/64"], [("ExternalIP", "203.0.113.1"), ("InternalIP", "192.0.2.2")]),
            node("no-range", [], [("InternalIP", "192.0.2.4")]),
            node("no-address", ["10.1.4.0/24"], [("Hostname", "192.0.2.5")]),
            node("nonsense", ["10.1.5.0"], [("InternalIP", "192.0.2.x")]),
        ]
        let peers = PeerDirectory.peers(of: "a", among: nodes)
        #expect(
            peers.map { "\($0.subnet) \($0.subnetV6.map { "\($0)" } ?? "-") \($0.addresses)" } == [
                "10.1.1.0/24 fd00:1::/64 [192.0.2.2]", "10.1.2.0/24 - [192.0.2.3, fd00::3]",
            ])
        #expect(PeerDirectory.peers(of: "a", among: nodes.map(PeerDirectory.essence)) == peers)
        #expect(PeerDirectory.peers(of: "a", among: [nodes[1]]).isEmpty)
        // Written by an older version: one range only.
        var old = nodes[0]
        old.spec["podCIDRs"] = nil
        #expect(PeerDirectory.peer(old)?.subnet.description == "10.1.2.0/24")
    }
}

@Suite struct PeerStoreTests {
    @Test func peersAreReadBack() throws {
        let directory = "/tmp/peer-store-\(UInt64.random(in: 0...UInt64.max))"
        // A directory that stays behind is no failure of the test's.
        defer { try? DirectoryHandle(path: "/tmp").removeTree(String(directory.dropFirst(5))) }
        let store = PeerStore(directory: directory)
        #expect(try store.load().isEmpty)
        let peers = [
            NetworkPeer(
                subnet: try #require(IPNetwork("10.1.2.0/24")),
                addresses: [IPAddress(v4: 192, 0, 2, 3), try #require(IPAddress("fd00::3"))]),
            NetworkPeer(
                subnet: try #require(IPNetwork("10.1.3.0/24")), subnetV6: IPNetwork("fd42:0:0:3::/64"),
                addresses: [IPAddress(v4: 192, 0, 2, 4)]),
        ]
        try store.save(peers)
        #expect(try store.load() == peers)
        try DirectoryHandle(path: directory).replaceFile("peers.json", with: Array("{\"peers\":[{".utf8))
        #expect(try store.load().isEmpty)
    }
}
