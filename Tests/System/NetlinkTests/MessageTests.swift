// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import Netlink

/// The requests' bytes on a little-endian machine, as all that we build for are.
@Suite struct MessageTests {
    /// Bytes from hexadecimal text; what follows `#` in a line is an explanation.
    static func bytes(_ text: String) -> [UInt8] {
        text.split(separator: "\n").flatMap { line in
            line.prefix { $0 != "#" }.split(separator: " ").compactMap { UInt8($0, radix: 16) }
        }
    }

    @Test func aVethPairIsRequestedInOneMessage() {
        let message = Message.creation(
            of: "veth", LinkSettings(master: 7, isUp: true, name: "sw0"),
            data: { data in
                data.nested(LinkAttribute.VirtualEthernet.peer) { peer in
                    peer.addLinkHeader()
                    peer.add(LinkSettings(mtu: 1450, name: "eth0", namespaceDescriptor: 9))
                }
            })
        let expected = Self.bytes(
            """
            74 00 00 00 10 00 05 06 04 03 02 01 00 00 00 00  # length, RTM_NEWLINK, REQUEST|ACK|EXCL|CREATE, sequence, port
            00 00 00 00 00 00 00 00 01 00 00 00 01 00 00 00  # ifinfomsg: any family, no index, IFF_UP and its mask
            08 00 03 00 73 77 30 00                          # IFLA_IFNAME "sw0"
            08 00 0a 00 07 00 00 00                          # IFLA_MASTER 7
            44 00 12 80                                      # IFLA_LINKINFO, nested
            09 00 01 00 76 65 74 68 00 00 00 00              #   IFLA_INFO_KIND "veth", padded
            34 00 02 80                                      #   IFLA_INFO_DATA, nested
            30 00 01 80                                      #     VETH_INFO_PEER, nested
            00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  #       ifinfomsg
            09 00 03 00 65 74 68 30 00 00 00 00              #       IFLA_IFNAME "eth0", padded
            08 00 04 00 aa 05 00 00                          #       IFLA_MTU 1450
            08 00 1c 00 09 00 00 00                          #       IFLA_NET_NS_FD 9
            """)
        #expect(message.finished(sequence: 0x0102_0304) == expected)
    }

    @Test func dumpsAskForNoAcknowledgement() {
        var message = Message(.getLink, .dump)
        message.addLinkHeader()
        let expected = Self.bytes(
            """
            20 00 00 00 12 00 01 03 01 00 00 00 00 00 00 00  # RTM_GETLINK, REQUEST|DUMP
            00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
            """)
        #expect(message.finished(sequence: 1) == expected)
    }

    @Test func linksAreRead() throws {
        let payload = Self.bytes(
            """
            00 00 01 00 05 00 00 00 43 00 01 00 00 00 00 00  # ifinfomsg: index 5, UP|BROADCAST|RUNNING|LOWER_UP
            08 00 03 00 62 72 30 00                          # IFLA_IFNAME "br0"
            08 00 04 00 dc 05 00 00                          # IFLA_MTU 1500
            0a 00 01 00 02 00 0a 01 00 01 00 00              # IFLA_ADDRESS
            10 00 12 00 0b 00 01 00 62 72 69 64 67 65 00 00  # IFLA_LINKINFO { IFLA_INFO_KIND "bridge" }
            """)
        let link = try #require(Link(Reply(type: 16, payload: payload[...])))
        #expect(link.index == 5 && link.name == "br0" && link.mtu == 1500 && link.kind == "bridge")
        #expect(link.isUp && link.hasCarrier && !link.isLoopback && link.master == nil)
        #expect(link.hardwareAddress?.description == "02:00:0a:01:00:01")
    }

    @Test func truncatedAnswersAreNoLinks() {
        let payload = Self.bytes("00 00 01 00 05 00 00 00 43 00 01 00 00 00 00 00 08 00 03 00 62 72 30 00")
        #expect(Link(Reply(type: 16, payload: payload[...])) != nil)
        for count in 0..<payload.count {
            #expect(Link(Reply(type: 16, payload: payload[..<count])) == nil, "\(count) bytes")
        }
        // An attribute that claims to be longer than the message, or shorter than its own head.
        #expect(Link(Reply(type: 16, payload: (payload[..<16] + [0xFF, 0, 3, 0, 1, 2, 3, 4])[...])) == nil)
        #expect(Link(Reply(type: 16, payload: (payload[..<16] + [3, 0, 3, 0])[...])) == nil)
    }
}

@Suite struct ReplyAssemblerTests {
    static func message(type: UInt16, flags: UInt16 = 0, sequence: UInt32 = 1, _ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        func add(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) } }
        add(UInt32(16 + payload.count))
        add(type)
        add(flags)
        add(sequence)
        add(UInt32(0))
        return bytes + payload
    }

    @Test func dumpsAreCollectedToTheirEnd() {
        var assembler = ReplyAssembler(sequence: 1)
        let first = Self.message(type: 16, flags: 2, [1, 0, 0, 0]) + Self.message(type: 16, flags: 2, [2, 0, 0, 0])
        #expect(assembler.consume(first) == .incomplete)
        #expect(assembler.consume(Self.message(type: 3, flags: 2, [0, 0, 0, 0])) == .complete)
        #expect(assembler.replies.map(\.payload.first) == [1, 2])
    }

    @Test func leftoversOfOtherRequestsAreIgnored() {
        var assembler = ReplyAssembler(sequence: 9)
        #expect(assembler.consume(Self.message(type: 2, sequence: 8, [0xFF, 0xFF, 0xFF, 0xFF])) == .incomplete)
        #expect(assembler.consume(Self.message(type: 2, sequence: 9, [0, 0, 0, 0])) == .complete)
        #expect(assembler.replies.isEmpty)
    }

    @Test func interruptedDumpsAreReported() {
        var assembler = ReplyAssembler(sequence: 1)
        #expect(assembler.consume(Self.message(type: 16, flags: 0x12, [1, 0, 0, 0])) == .incomplete)
        #expect(assembler.consume(Self.message(type: 3, flags: 2, [0, 0, 0, 0])) == .interrupted)
    }

    @Test func refusalsCarryTheKernelsExplanation() {
        let bytes = MessageTests.bytes(
            """
            30 00 00 00 02 00 00 03 01 00 00 00 00 00 00 00  # NLMSG_ERROR, CAPPED|ACK_TLVS
            ea ff ff ff                                      # -22, EINVAL
            50 00 00 00 10 00 05 06 01 00 00 00 00 00 00 00  # the request's header, whose body is left out
            0c 00 01 00 4e 6f 20 77 61 79 21 00              # NLMSGERR_ATTR_MSG "No way!"
            """)
        var assembler = ReplyAssembler(sequence: 1)
        #expect(assembler.consume(bytes) == .refused(errno: 22, explanation: "No way!"))
        let error = NetlinkError("create the bridge", "br0", errno: 22, explanation: "No way!")
        #expect(error.description == "cannot create the bridge br0: Invalid argument (No way!)")
    }

    /// Random damage gives some progress, never a crash.
    @Test func damagedDatagramsNeverCrash() {
        let good =
            Self.message(type: 16, flags: 2, [1, 2, 3, 4]) + Self.message(type: 2, flags: 0x300, [1, 0, 0, 0xFF])
        for index in good.indices {
            for value: UInt8 in [0, 1, 3, 15, 0x7F, 0xFF] {
                var damaged = good
                damaged[index] = value
                var assembler = ReplyAssembler(sequence: 1)
                _ = assembler.consume(damaged)
                _ = assembler.consume(Array(damaged[..<index]))
                #expect(assembler.replies.count <= 4)
            }
        }
    }
}
