// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import SandboxNetwork

@Suite struct AddressPoolTests {
    static func subnet(_ text: String) throws -> IPNetwork { try #require(IPNetwork(text)) }

    @Test func everyHostAddressIsGivenOnce() throws {
        var pool = AddressPool(subnet: try Self.subnet("10.1.7.0/24"))
        var given: [IPAddress] = []
        while let taken = pool.take() { given.append(taken.address) }
        #expect(given.count == 253 && Set(given).count == 253)
        #expect(given.first?.description == "10.1.7.2" && given.last?.description == "10.1.7.254")
        #expect(pool.available == 0)
    }

    @Test func aReturnedAddressRests() throws {
        var pool = AddressPool(subnet: try Self.subnet("10.0.0.0/29"))
        let taken = pool.take()?.address
        let first = try #require(taken)
        pool.release(first)
        let next = (0..<4).compactMap { _ in pool.take()?.address }
        #expect(!next.contains(first))
        let again = pool.take()?.address
        #expect(again == first)
    }

    @Test func theTurnGoesOnAfterARestart() throws {
        let last = IPAddress(v4: 10, 1, 7, 254)
        var pool = AddressPool(
            subnet: try Self.subnet("10.1.7.0/24"), last: last, used: [IPAddress(v4: 10, 1, 7, 2)])
        let next = pool.take()?.address
        #expect(next?.description == "10.1.7.3")
        // The last address of another subnet, from before the node's was changed.
        var moved = AddressPool(subnet: try Self.subnet("10.9.0.0/16"), last: last)
        let afterMove = moved.take()?.address
        #expect(afterMove.map { $0.description.hasPrefix("10.9.0.") } == true)
    }

    @Test func largeAndSmallSubnetsWork() throws {
        var large = AddressPool(
            subnet: try Self.subnet("10.9.0.0/16"), last: IPAddress(v4: 10, 9, 0, 255))
        let fromLarge = large.take()?.address
        #expect(fromLarge?.description == "10.9.1.0")
        var v6 = AddressPool(subnet: try Self.subnet("fd00:1::/64"))
        let fromV6 = v6.take()?.address
        #expect(fromV6?.description == "fd00:1::2")
        var none = AddressPool(subnet: try Self.subnet("10.0.0.0/31"))
        let fromNone = none.take()?.address
        #expect(fromNone == nil)
    }
}

/// Two addresses for each sandbox.
@Suite struct CompanionTests {
    static func pool(_ used: [String] = []) throws -> AddressPool {
        AddressPool(
            subnet: try AddressPoolTests.subnet("10.1.7.0/28"),
            companions: try AddressPoolTests.subnet("fd42:0:0:7::/64"),
            used: Set(used.compactMap { IPAddress($0) }))
    }

    @Test func everyAddressHasOneOfItsOwn() throws {
        var pool = try Self.pool()
        var given: [String] = []
        while let taken = pool.take() { given += ["\(taken.address)", taken.companion.map { "\($0)" } ?? ""] }
        #expect(given.prefix(4) == ["10.1.7.2", "fd42:0:0:7::2", "10.1.7.3", "fd42:0:0:7::3"])
        #expect(given.suffix(2) == ["10.1.7.14", "fd42:0:0:7::e"])
        #expect(Set(given).count == 2 * 13)
        #expect(pool.available == 0)
    }

    @Test func whatIsInUseIsNotGiven() throws {
        // The companion of a sandbox that has an address of another subnet, from before the node's was changed.
        var pool = try Self.pool(["10.1.7.2", "fd42:0:0:7::2", "10.9.0.3", "fd42:0:0:7::3"])
        let next = pool.take()
        #expect(next?.address.description == "10.1.7.4")
        #expect(next?.companion?.description == "fd42:0:0:7::4")
    }

    @Test func bothAreGivenBack() throws {
        var pool = try Self.pool()
        let first = pool.take()
        let second = pool.take()
        for address in [first?.address, first?.companion].compactMap({ $0 }) { pool.release(address) }
        // The turn goes round before it comes to them again.
        let others = (0..<11).compactMap { _ in pool.take()?.address }
        let again = pool.take()
        #expect(second != nil && others.count == 11)
        #expect(again?.address == first?.address && again?.companion == first?.companion)
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
        let dual = SandboxRecord(
            sandboxID: "b", address: IPAddress(v4: 10, 1, 0, 2), addressV6: IPAddress("fd42::2"),
            linkName: "swl0a010002", portMappings: [])
        #expect(SandboxRecord(dual.serialized()) == dual)
        #expect(dual.addresses.map(\.description) == ["10.1.0.2", "fd42::2"])
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
        for (name, value) in [
            ("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647"),
        ] {
            #expect(SandboxParameters.defaults.contains { $0 == (name, value) })
        }
        #expect(!SandboxParameters.isOfLink("net.ipv4.ip_unprivileged_port_start"))
    }
}
