// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import SandboxNetwork

@Suite struct AddressPoolTests {
    static func subnet(_ text: String) throws -> IPNetwork { try #require(IPNetwork(text)) }

    @Test func everyHostAddressIsGivenOnce() throws {
        var pool = AddressPool(subnet: try Self.subnet("10.1.7.0/24"))
        var given: [IPAddress] = []
        while let address = pool.take() { given.append(address) }
        #expect(given.count == 253 && Set(given).count == 253)
        #expect(given.first?.description == "10.1.7.2" && given.last?.description == "10.1.7.254")
        #expect(pool.available == 0)
    }

    @Test func aReturnedAddressRests() throws {
        var pool = AddressPool(subnet: try Self.subnet("10.0.0.0/29"))
        let taken = pool.take()
        let first = try #require(taken)
        pool.release(first)
        let next = (0..<4).compactMap { _ in pool.take() }
        #expect(!next.contains(first))
        let again = pool.take()
        #expect(again == first)
    }

    @Test func theTurnGoesOnAfterARestart() throws {
        let last = IPAddress(v4: 10, 1, 7, 254)
        var pool = AddressPool(
            subnet: try Self.subnet("10.1.7.0/24"), last: last, used: [IPAddress(v4: 10, 1, 7, 2)])
        let next = pool.take()
        #expect(next?.description == "10.1.7.3")
        // The last address of another subnet, from before the node's was changed.
        var moved = AddressPool(subnet: try Self.subnet("10.9.0.0/16"), last: last)
        let afterMove = moved.take()
        #expect(afterMove.map { $0.description.hasPrefix("10.9.0.") } == true)
    }

    @Test func largeAndSmallSubnetsWork() throws {
        var large = AddressPool(
            subnet: try Self.subnet("10.9.0.0/16"), last: IPAddress(v4: 10, 9, 0, 255))
        let fromLarge = large.take()
        #expect(fromLarge?.description == "10.9.1.0")
        var v6 = AddressPool(subnet: try Self.subnet("fd00:1::/64"))
        let fromV6 = v6.take()
        #expect(fromV6?.description == "fd00:1::2")
        var none = AddressPool(subnet: try Self.subnet("10.0.0.0/31"))
        let fromNone = none.take()
        #expect(fromNone == nil)
    }
}

@Suite struct SandboxRecordTests {
    @Test func recordsAreReadBack() throws {
        var record = SandboxRecord(
            sandboxID: "a", address: IPAddress(v4: 10, 1, 0, 2), linkName: "swl0a010002",
            portMappings: [
                PortMapping(.udp, hostPort: 53, sandboxPort: 5353, hostAddress: IPAddress(v4: 192, 0, 2, 1)),
                PortMapping(.sctp, hostPort: 1, sandboxPort: 65535),
            ])
        record.isComplete = true
        #expect(SandboxRecord(record.serialized()) == record)
    }

    @Test(arguments: ["", "{", "null", "[]", #"{"sandbox":"a"}"#, #"{"sandbox":"a","address":"10.1","link":"x"}"#])
    func damagedRecordsAreNone(text: String) {
        #expect(SandboxRecord(Array(text.utf8)) == nil)
    }

    @Test func mappingsConflictOverTheSamePackets() {
        let any = PortMapping(.tcp, hostPort: 80, sandboxPort: 1)
        let one = PortMapping(.tcp, hostPort: 80, sandboxPort: 2, hostAddress: IPAddress(v4: 192, 0, 2, 1))
        let other = PortMapping(.tcp, hostPort: 80, sandboxPort: 3, hostAddress: IPAddress(v4: 192, 0, 2, 2))
        #expect(any.conflicts(with: one) && one.conflicts(with: any) && any.conflicts(with: any))
        #expect(!one.conflicts(with: other))
        #expect(!any.conflicts(with: PortMapping(.udp, hostPort: 80, sandboxPort: 1)))
        #expect(!any.conflicts(with: PortMapping(.tcp, hostPort: 81, sandboxPort: 1)))
        // 0.0.0.0 is the same as none.
        #expect(PortMapping(.tcp, hostPort: 80, sandboxPort: 1, hostAddress: IPAddress("0.0.0.0")) == any)
    }

    @Test func onlyNamespacedParametersAreAllowed() {
        for name in [
            "net.core.somaxconn", "net/ipv4/conf/eth0.1/forwarding", "kernel.shmmax", "kernel.sem", "fs.mqueue.msg_max",
        ] {
            #expect(SandboxParameters.isNamespaced(name), "\(name)")
        }
        for name in [
            "vm.swappiness", "kernel.core_pattern", "net", "net/../kernel/core_pattern", "net..x", "fs.file-max", "",
        ] {
            #expect(!SandboxParameters.isNamespaced(name), "\(name)")
        }
        #expect(SandboxParameters.isOfLink("net.ipv4.conf.eth0.forwarding"))
        #expect(!SandboxParameters.isOfLink("net.ipv4.ip_unprivileged_port_start"))
    }
}
