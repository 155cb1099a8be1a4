// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem
import Netlink
import Testing

@testable import SandboxNetwork

/// Sandboxes on the real kernel.
@Suite struct SandboxNetworkTests {
    @Test func sandboxesReachOneAnotherAndTheWorld() throws {
        try TestNode.run { node in
            let a = try node.network.create(sandboxID: "a", hostname: "web-0")
            let b = try node.network.create(sandboxID: "b", hostname: "web-1")
            #expect(a.addresses.map(\.description) == ["10.1.7.2"] && a.gateway.description == "10.1.7.1")
            #expect(b.addresses.map(\.description) == ["10.1.7.3"])
            let inside = a.namespaces.networkPath
            for target in ["10.1.7.3", "10.1.7.1", "192.0.2.2", "127.0.0.1"] {
                #expect(
                    try node.shell("busybox ping -c 1 -W 2 \(target)", in: inside).contains(" 0% packet loss"),
                    "\(target)")
            }
            #expect(
                try node.shell("cat /sys/class/net/eth0/mtu; ip -o link show eth0", in: inside).contains("mtu 1400"))
            #expect(try node.shell("nsenter --uts=\(a.namespaces.utsPath) hostname") == "web-0\n")
            try node.serving("from b", port: 80, in: b.namespaces.networkPath) { () throws in
                #expect(try node.get("10.1.7.3", from: inside) == "from b")
                #expect(try node.get("10.1.7.3") == "from b")
            }
            // The world sees the node's address: it has no route to the pod network.
            try node.serving("from outside", port: 81, in: node.outside) { () throws in
                #expect(try node.get("192.0.2.2:81", from: inside) == "from outside")
            }
            // Frames between sandboxes go by the gateway only.
            let neighbours = try node.shell("ip neighbour", in: inside)
            #expect(neighbours.contains("10.1.7.1 ") && !neighbours.contains("10.1.7.3 "))
        }
    }

    @Test func parametersAreSetInside() throws {
        try TestNode.run { node in
            let sandbox = try node.network.create(
                sandboxID: "a", hostname: "h",
                parameters: [
                    "net.ipv4.ip_unprivileged_port_start": "0", "kernel.shmmni": "17",
                    "net.ipv4.conf.eth0.forwarding": "1",
                ])
            let inside = sandbox.namespaces.networkPath
            #expect(try node.shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start", in: inside) == "0\n")
            #expect(try node.shell("cat /proc/sys/net/ipv4/conf/eth0/forwarding", in: inside) == "1\n")
            #expect(try node.shell("nsenter --ipc=\(sandbox.namespaces.ipcPath) cat /proc/sys/kernel/shmmni") == "17\n")
            #expect(try node.shell("cat /proc/sys/kernel/shmmni") != "17\n")
            for parameters in [["vm.swappiness": "1"], ["net/../vm/swappiness": "1"]] {
                let error = #expect(throws: SandboxNetworkError.self) {
                    try node.network.create(sandboxID: "b", hostname: "h", parameters: parameters)
                }
                #expect(error?.kind == .invalid)
            }
            // A parameter that the kernel refuses leaves nothing behind.
            #expect(throws: SystemError.self) {
                try node.network.create(sandboxID: "b", hostname: "h", parameters: ["net.core.nothing": "1"])
            }
            #expect(node.network.list().map(\.sandboxID) == ["a"])
            #expect(try node.shell("ls \(node.runDirectory)") == "a\n")
        }
    }

    @Test(arguments: [false, true])
    func portsOfTheMachineLeadToSandboxes(filtersBridge: Bool) throws {
        try TestNode.run(filtersBridge: filtersBridge) { node in
            let server = try node.network.create(
                sandboxID: "server", hostname: "s",
                portMappings: [
                    PortMapping(.tcp, hostPort: 8080, sandboxPort: 80),
                    PortMapping(.tcp, hostPort: 8081, sandboxPort: 80, hostAddress: IPAddress(v4: 192, 0, 2, 1)),
                    PortMapping(.udp, hostPort: 8080, sandboxPort: 5353),
                    PortMapping(.sctp, hostPort: 9, sandboxPort: 9),
                ])
            let client = try node.network.create(sandboxID: "client", hostname: "c")
            try node.serving("mapped", port: 80, in: server.namespaces.networkPath) { () throws in
                for (url, from) in [
                    ("192.0.2.1:8080", node.outside), ("192.0.2.1:8081", node.outside), ("192.0.2.1:8080", nil),
                    ("127.0.0.1:8080", nil), ("10.1.7.1:8080", nil),
                    ("192.0.2.1:8080", client.namespaces.networkPath),
                    ("192.0.2.1:8081", client.namespaces.networkPath),
                    ("192.0.2.1:8080", server.namespaces.networkPath),
                ] {
                    #expect(try node.get(url, from: from) == "mapped", "\(url) from \(from ?? "the node")")
                }
                // Mapped for one address only.
                #expect(try node.get("127.0.0.1:8081") != "mapped")
                #expect(try node.get("10.1.7.1:8081", from: client.namespaces.networkPath) != "mapped")
            }
            let rules = try node.shell("nft list table inet swiftlet-network")
            #expect(rules.contains("udp . 8080 : 10.1.7.2") && rules.contains("sctp . 9 : 10.1.7.2"))
            let conflict = #expect(throws: SandboxNetworkError.self) {
                try node.network.create(
                    sandboxID: "late", hostname: "l",
                    portMappings: [PortMapping(.tcp, hostPort: 8081, sandboxPort: 1)])
            }
            #expect(conflict?.kind == .conflict && conflict?.reason.contains("server") == true)
            try node.network.remove(sandboxID: "server")
            #expect(try !node.shell("nft list table inet swiftlet-network").contains("8080"))
            _ = try node.network.create(
                sandboxID: "late", hostname: "l", portMappings: [PortMapping(.tcp, hostPort: 8081, sandboxPort: 1)])
        }
    }

    /// Services of the machine on localhost stay out of reach although localhost's mapped ports work.
    @Test func sandboxesDoNotReachTheMachinesLoopback() throws {
        try TestNode.run { node in
            let sandbox = try node.network.create(sandboxID: "a", hostname: "h")
            let inside = sandbox.namespaces.networkPath
            try node.shell(
                "ip route add 127.0.0.5 via 10.1.7.1 dev eth0 onlink; ip address del 127.0.0.1/8 dev lo", in: inside)
            try node.shell("ip rule del table local; ip rule add table local pref 9", in: inside)
            try node.shell("sysctl -qw net.ipv4.conf.eth0.route_localnet=1", in: inside)
            try node.shell(
                "ip route add 127.0.0.5 via 10.1.7.1 dev eth0 onlink table 7; ip rule add pref 5 table 7", in: inside)
            try node.serving("secret", port: 82, in: nil) { () throws in
                #expect(try node.get("127.0.0.5:82") == "secret")
                #expect(try node.get("127.0.0.5:82", from: inside) != "secret")
            }
        }
    }

    @Test func everythingIsIdempotentAndSurvivesARestart() throws {
        try TestNode.run { node in
            let mapping = PortMapping(.tcp, hostPort: 8080, sandboxPort: 80)
            let first = try node.network.create(sandboxID: "a", hostname: "h", portMappings: [mapping])
            #expect(try node.network.create(sandboxID: "a", hostname: "h", portMappings: [mapping]) == first)
            let before = try node.shell("ip -o link; nft list ruleset; ip -o address")
            try node.network.prepareNode()
            #expect(try node.shell("ip -o link; nft list ruleset; ip -o address") == before)

            let second = try node.restarted()
            try second.prepareNode()
            #expect(try node.shell("ip -o link; nft list ruleset; ip -o address") == before)
            #expect(second.adopt(sandboxID: "a") == first)
            #expect(second.adopt(sandboxID: "b") == nil)
            #expect(second.list() == [first])
            try node.serving("still", port: 80, in: first.namespaces.networkPath) { () throws in
                #expect(try node.get("192.0.2.1:8080", from: node.outside) == "still")
            }
            // An address that was given back rests, over restarts too.
            try second.remove(sandboxID: "a")
            try second.remove(sandboxID: "a")
            #expect(try node.restarted().adopt(sandboxID: "a") == nil)
            let third = try node.restarted()
            try third.prepareNode()
            #expect(try third.create(sandboxID: "b", hostname: "h").addresses.first?.description == "10.1.7.3")
        }
    }

    @Test func halfMadeStateIsCleanedUp() throws {
        try TestNode.run { node in
            let healthy = try node.network.create(sandboxID: "healthy", hostname: "h")
            let crashed = try node.network.create(sandboxID: "crashed", hostname: "h")
            _ = try node.network.create(sandboxID: "torn", hostname: "h")
            // Killed before the end of creation; with a torn record; and with a link whose record is lost.
            var record = SandboxRecord(
                sandboxID: "crashed", address: try #require(crashed.addresses.first), linkName: "swl0a010703",
                portMappings: [])
            record.isComplete = false
            let directory = try DirectoryHandle(path: node.runDirectory)
            try directory.openDirectory("crashed").replaceFile("record.json", with: record.serialized())
            try directory.openDirectory("torn").replaceFile("record.json", with: Array("{\"sand".utf8))
            try node.shell("ip link add swl00000001 type veth peer name x; ip link set swl00000001 master swbr0")

            let restarted = try node.restarted()
            #expect(restarted.adopt(sandboxID: "crashed") == nil)
            try restarted.prepareNode()
            #expect(restarted.list() == [healthy])
            #expect(try node.shell("ls \(node.runDirectory)") == "healthy\n")
            #expect(try node.shell("ip -o link show type veth | grep -c swl") == "1\n")
            #expect(try node.shell("grep -c \(node.runDirectory) /proc/self/mounts") == "3\n")
            #expect(try restarted.reconcile(keeping: ["healthy"]) == [])
            #expect(try restarted.reconcile(keeping: []) == ["healthy"])
        }
    }

    @Test func removalOfAllLeavesNoTrace() throws {
        try TestNode.run { node in
            for index in 0..<5 {
                _ = try node.network.create(
                    sandboxID: "s\(index)", hostname: "h",
                    portMappings: [PortMapping(.tcp, hostPort: UInt16(7000 + index), sandboxPort: 80)])
            }
            #expect(try SystemControl.read("net.ipv4.ip_forward") == "1")
            try node.network.removeAll()
            #expect(try node.shell("ip -o link show type bridge; ip -o link show type veth | grep swl") == "")
            #expect(try node.shell("nft list ruleset") == "")
            #expect(try node.shell("ls -A \(node.runDirectory)") == "")
            #expect(try node.shell("grep -c \(node.runDirectory) /proc/self/mounts") == "0\n")
            #expect(try SystemControl.read("net.ipv4.ip_forward") == "0")
            try node.network.removeAll()
            // And it can start again.
            try node.network.prepareNode()
            _ = try node.network.create(sandboxID: "again", hostname: "h")
        }
    }

    @Test func limitsAreErrorsWithARemedy() throws {
        try TestNode.run(subnet: "10.1.7.0/29") { node in
            for index in 0..<5 { _ = try node.network.create(sandboxID: "s\(index)", hostname: "h") }
            let full = #expect(throws: SandboxNetworkError.self) {
                try node.network.create(sandboxID: "s5", hostname: "h")
            }
            #expect(full?.kind == .exhausted && full?.reason.contains("10.1.7.0/29") == true)
            try node.network.remove(sandboxID: "s0")
            for name in ["", ".", "..", ".hidden", "a/b", "ü", String(repeating: "x", count: 129)] {
                #expect(throws: SandboxNetworkError.self) { try node.network.create(sandboxID: name, hostname: "h") }
            }
            #expect(throws: SandboxNetworkError.self) {
                try node.network.create(sandboxID: "s5", hostname: String(repeating: "h", count: 65))
            }
            _ = try node.network.create(sandboxID: "s5", hostname: String(repeating: "h", count: 64))
        }
    }

    @Test func sandboxesAreMadeInMilliseconds() throws {
        try TestNode.run { node in
            let clock = ContinuousClock()
            var times: [Duration] = []
            for index in 0..<30 {
                times.append(
                    try clock.measure { _ = try node.network.create(sandboxID: "s\(index)", hostname: "h") })
            }
            let median = times.sorted()[15]
            print("sandbox creation: median \(median), slowest \(times.max() ?? .zero)")
            let removal = try clock.measure {
                for index in 0..<30 { try node.network.remove(sandboxID: "s\(index)") }
            }
            print("sandbox removal: \(removal / 30) on average")
            // The kernel deletes the links by itself.
            for _ in 0..<500 where try node.shell("ip -o link | grep swl") != "" { usleep(10_000) }
            #expect(try node.shell("ip -o link | grep swl") == "")
            // Far above what is usual (some milliseconds), far below what a forked program per step would take.
            #expect(median < .milliseconds(60))
        }
    }
}
