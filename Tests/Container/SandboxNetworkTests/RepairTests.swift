// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import SandboxNetwork

/// What somebody does by hand to the network of a node that is in use, and how it is mended.
@Suite struct RepairTests {
    /// The commands each leave a node whose sandboxes nobody reaches.
    @Test(arguments: [
        ("ip link delete swl0a010702", ["swl0a010702"]), ("ip link set swl0a010702 nomaster", ["swl0a010702"]),
        ("ip link set swl0a010702 down", ["swl0a010702"]), ("ip link delete swbr0", ["swbr0", "swl0a010702"]),
        ("ip link set swbr0 down", ["swbr0"]), ("ip address flush dev swbr0", ["swbr0"]),
    ])
    func linksAreMendedAroundSandboxes(command: String, links: [String]) throws {
        try TestNode.run(subnetV6: "fd42:0:0:7::/64") { node in
            let sandbox = try node.network.create(
                sandboxID: "a", hostname: "h", parameters: ["net.ipv4.conf.eth0.forwarding": "1"])
            let inside = sandbox.namespaces.networkPath
            func isReached() throws -> Bool {
                try node.shell("busybox ping -c 1 -W 1 10.1.7.2").contains(" 0% packet loss")
                    && node.shell("busybox ping -c 1 -W 1 fd42:0:0:7::2")
                        .contains(" 0% packet loss")
                    && node.shell("busybox ping -c 1 -W 1 192.0.2.2", in: inside).contains(" 0% packet loss")
            }
            #expect(try isReached())
            #expect(try node.network.repairLinks() == [])
            try node.shell(command)
            #expect(try !isReached())
            #expect(try node.network.repairLinks() == links)
            #expect(try isReached())
            #expect(try node.shell("cat /proc/sys/net/ipv4/conf/eth0/forwarding", in: inside) == "1\n")
            // Nothing is left to do, also after a restart.
            #expect(try node.network.repairLinks() == [])
            let restarted = try node.restarted()
            try restarted.prepareNode()
            #expect(try restarted.repairLinks() == [])
        }
    }

    @Test func whatHasGoneStaysGone() throws {
        try TestNode.run { node in
            let gone = try node.network.create(sandboxID: "gone", hostname: "h")
            let kept = try node.network.create(sandboxID: "kept", hostname: "h")
            try node.network.remove(sandboxID: "gone")
            // One whose namespaces have gone is replaced by its user.
            try kept.namespaces.remove()
            #expect(try node.network.repairLinks() == [])
            #expect(!gone.namespaces.exist && !kept.namespaces.exist)
        }
    }

    @Test(arguments: [
        "nft flush ruleset", "nft delete table inet swiftlet-network",
        "nft flush chain inet swiftlet-network hostports",
        "nft delete element inet swiftlet-network hostport-port { tcp . 8080 }",
        "nft add rule inet swiftlet-network prerouting drop",
    ])
    func rulesAreSetAgain(command: String) throws {
        try TestNode.run { node in
            for (number, name) in ["a", "b"].enumerated() {
                _ = try node.network.create(
                    sandboxID: name, hostname: "h",
                    portMappings: [
                        PortMapping(.tcp, hostPort: UInt16(8080 + number), sandboxPort: 80),
                        PortMapping(.udp, hostPort: UInt16(8080 + number), sandboxPort: 80),
                    ])
            }
            let before = Nftables.listing(table: "swiftlet-network")
            #expect(try !node.network.repairTable())
            #expect(try node.shell(command) == "")
            #expect(try node.network.repairTable())
            #expect(try !node.network.repairTable())
            #expect(Nftables.listing(table: "swiftlet-network").count == before.count)
        }
    }
}
