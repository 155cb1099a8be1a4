// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc
import LinuxSystem
import Netlink
import Testing

/// Requests against the real kernel, each in a network namespace of its own.
@Suite struct RouteSessionTests {
    /// What iproute2, an independent reader, says; in the calling thread's namespace.
    static func ip(_ arguments: String...) throws -> String {
        // popen(3) runs the program in the calling thread's namespace.
        let stream = try #require(popen("ip " + arguments.joined(separator: " ") + " 2>&1", "r"))
        defer { pclose(stream) }
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = fread(&buffer, 1, buffer.count, stream)
            if count == 0 { return String(decoding: output, as: UTF8.self) }
            output += buffer[..<count]
        }
    }

    static func network(_ text: String) throws -> IPNetwork { try #require(IPNetwork(text)) }
    static func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test func aNewNamespaceHasALoopbackThatIsDown() throws {
        try NetworkNamespace.runInNew {
            let session = try RouteSession()
            let loopback = try #require(try session.link(named: "lo"))
            #expect(loopback.isLoopback && !loopback.isUp && loopback.index == 1)
            try session.change(link: loopback.index, LinkSettings(isUp: true))
            #expect(try session.link(index: 1)?.isUp == true)
            #expect(try session.addresses(link: 1).map(\.network.description).sorted() == ["127.0.0.1/8", "::1/128"])
            #expect(try session.link(named: "nothing") == nil)
            #expect(try session.link(index: 4711) == nil)
            #expect(try session.links().map(\.name).contains("lo"))
        }
    }

    @Test func bridgesAndVethPairsAreMadeAndDeleted() throws {
        try NetworkNamespace.runInNew {
            let session = try RouteSession()
            let hardware = HardwareAddress(local: 0, 10, 1, 0, 1)
            try session.createBridge(LinkSettings(mtu: 1400, hardwareAddress: hardware, isUp: true, name: "br0"))
            let bridge = try #require(try session.link(named: "br0"))
            #expect(bridge.kind == "bridge" && bridge.isUp && bridge.mtu == 1400)
            #expect(bridge.hardwareAddress == hardware)
            let taken = #expect(throws: NetlinkError.self) { try session.createBridge(LinkSettings(name: "br0")) }
            #expect(taken?.errno == NetlinkError.exists)

            try session.createVirtualEthernet(
                LinkSettings(master: bridge.index, isUp: true, name: "left"), peer: LinkSettings(name: "right"))
            let left = try #require(try session.link(named: "left"))
            let right = try #require(try session.link(named: "right"))
            #expect(left.kind == "veth" && left.master == bridge.index && left.isUp && !right.isUp)
            #expect(left.peer == right.index && right.peer == left.index)
            try session.change(port: left.index, hairpin: true, isolated: true)
            #expect(try Self.ip("-d", "link", "show", "left").contains("hairpin on"))
            #expect(try Self.ip("-d", "link", "show", "left").contains("isolated on"))
            try session.change(link: right.index, LinkSettings(mtu: 1300, isUp: true, name: "renamed"))
            let renamed = try #require(try session.link(index: right.index))
            #expect(renamed.name == "renamed" && renamed.mtu == 1300 && renamed.isUp)

            #expect(try session.deleteLink(named: "left"))
            #expect(try session.link(named: "renamed") == nil)
            #expect(try !session.deleteLink(named: "left"))
            #expect(try session.deleteLink(index: bridge.index))
            #expect(try !session.deleteLink(index: bridge.index))
        }
    }

    @Test func aPeerIsBornInAnotherNamespace() throws {
        try NetworkNamespace.runInNew {
            let outer = try RouteSession()
            // The inner namespace lives as long as the descriptor.
            let (inner, descriptor) = try NetworkNamespace.runInNew {
                (try RouteSession(), try FileDescriptor.open(reading: "/proc/thread-self/ns/net").release())
            }
            let namespace = FileDescriptor(owning: descriptor)
            try outer.createVirtualEthernet(
                LinkSettings(isUp: true, name: "outer"),
                peer: LinkSettings(
                    mtu: 1280, name: "eth0", namespaceDescriptor: namespace.rawValue))
            let eth0 = try #require(try inner.link(named: "eth0"))
            #expect(eth0.mtu == 1280)
            #expect(try outer.link(named: "eth0") == nil)
            #expect(try outer.link(named: "outer")?.peerNamespace != nil)
            try inner.change(link: eth0.index, LinkSettings(isUp: true))
            #expect(try outer.link(named: "outer")?.hasCarrier == true)
        }
    }

    @Test func addressesAndRoutesAreSetListedAndDeleted() throws {
        try NetworkNamespace.runInNew {
            let session = try RouteSession()
            try session.createBridge(LinkSettings(isUp: true, name: "br0"))
            let link = try #require(try session.link(named: "br0")).index
            for text in ["10.1.0.1/24", "fd00:1::1/64"] {
                let network = try Self.network(text)
                try session.addAddress(network, link: link)
                try session.setAddress(network, link: link)
                let taken = #expect(throws: NetlinkError.self) { try session.addAddress(network, link: link) }
                #expect(taken?.errno == NetlinkError.exists)
                #expect(try session.addresses(link: link).map(\.network).contains(network))
                #expect(try Self.ip("address", "show", "br0").contains("\(text) "))
            }
            let default4 = Route(
                to: try Self.network("0.0.0.0/0"), via: try Self.address("169.254.1.1"), link: link, isOnLink: true)
            let default6 = Route(to: try Self.network("::/0"), via: try Self.address("fd00:1::2"), link: link)
            let subnet = Route(to: try Self.network("10.1.7.0/24"), via: try Self.address("10.1.0.9"), priority: 50)
            let other = Route(to: try Self.network("10.9.0.0/16"), link: link, table: 1000)
            for route in [default4, default6, subnet, other] {
                try session.setRoute(route)
                try session.setRoute(route)
            }
            #expect(try Self.ip("route").contains("default via 169.254.1.1 dev br0 proto static"))
            #expect(try Self.ip("route").contains("10.1.7.0/24 via 10.1.0.9 dev br0 proto static metric 50"))
            #expect(try Self.ip("-6", "route").contains("default via fd00:1::2 dev br0"))
            #expect(
                try Self.ip("route", "show", "table", "1000").contains("10.9.0.0/16 dev br0 proto static scope link"))
            let listed = try session.routes().first { $0.destination.prefixLength == 0 }
            #expect(listed?.gateway == default4.gateway && listed?.isOnLink == true && listed?.link == link)
            #expect(try session.routes(table: 1000).map(\.destination) == [other.destination])
            #expect(try session.routes(v6: true).contains { $0.gateway == default6.gateway })
            for route in [default4, default6, subnet, other] {
                #expect(try session.deleteRoute(route))
                #expect(try !session.deleteRoute(route))
            }
            #expect(try session.deleteAddress(Self.network("10.1.0.1/24"), link: link))
            #expect(try !session.deleteAddress(Self.network("10.1.0.1/24"), link: link))
        }
    }

    @Test func vxlanForwardingAndNeighboursAreSet() throws {
        try NetworkNamespace.runInNew {
            let session = try RouteSession()
            let local = try Self.address("192.0.2.1")
            try session.createVXLAN(LinkSettings(isUp: true, name: "vx0"), identifier: 42, local: local, port: 8472)
            let link = try #require(try session.link(named: "vx0"))
            #expect(link.kind == "vxlan")
            let details = try Self.ip("-d", "link", "show", "vx0")
            #expect(details.contains("vxlan id 42 local 192.0.2.1") && details.contains("dstport 8472 nolearning"))
            let hardware = HardwareAddress(local: 1, 2, 3, 4, 5)
            let entry = Forwarding(link: link.index, hardwareAddress: hardware, remote: try Self.address("192.0.2.2"))
            try session.setForwarding(entry)
            try session.setForwarding(entry)
            #expect(try session.forwardings(link: link.index) == [entry])
            let neighbour = Neighbour(
                link: link.index, address: try Self.address("10.1.2.0"), hardwareAddress: hardware)
            try session.setNeighbour(neighbour)
            #expect(try session.neighbours(link: link.index) == [neighbour])
            #expect(try session.deleteNeighbour(neighbour))
            #expect(try session.neighbours(link: link.index).isEmpty)
            #expect(try session.deleteForwarding(entry))
            #expect(try session.forwardings(link: link.index).isEmpty)
        }
    }

    @Test func theKernelExplainsRefusals() throws {
        try NetworkNamespace.runInNew {
            let session = try RouteSession()
            let route = Route(to: try Self.network("10.0.0.0/8"), via: try Self.address("192.0.2.9"))
            let error = #expect(throws: NetlinkError.self) { try session.addRoute(route) }
            #expect(error?.explanation == "Nexthop has invalid gateway")
            #expect(error?.description.contains("set the route") == false)
            #expect(error?.description.contains("10.0.0.0/8") == true)
        }
    }

    @Test func longListsArriveWhole() throws {
        try NetworkNamespace.runInNew {
            let session = try RouteSession()
            try session.createBridge(LinkSettings(isUp: true, name: "br0"))
            let link = try #require(try session.link(named: "br0")).index
            for index in 0..<2000 {
                let network = try #require(
                    IPNetwork(IPAddress(v4: 10, 20, UInt8(index / 250), UInt8(index % 250)), prefixLength: 32))
                try session.addRoute(Route(to: network, link: link))
            }
            #expect(try session.routes().count == 2000)
        }
    }

    @Test func severalThreadsShareASession() throws {
        try NetworkNamespace.runInNew {
            let session = try RouteSession()
            DispatchQueue.concurrentPerform(iterations: 4) { worker in
                for index in 0..<10 {
                    let name = "b\(worker)x\(index)"
                    #expect(throws: Never.self) {
                        try session.createBridge(LinkSettings(name: name))
                        let found = try session.link(named: name)
                        #expect(found?.name == name)
                        try session.deleteLink(named: name)
                    }
                }
            }
            #expect(try session.links().allSatisfy { $0.kind != "bridge" })
        }
    }
}
