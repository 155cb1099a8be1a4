// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import MulticastDNS

@Suite struct DNSMessageTests {
    /// `_swiftlet._tcp.local`
    static let service: [UInt8] =
        [9] + Array("_swiftlet".utf8) + [4] + Array("_tcp".utf8) + [5] + Array("local".utf8) + [0]

    @Test func aQueryIsWrittenByteForByte() throws {
        var message = DNSMessage()
        message.id = 0x1234
        message.questions = [.init(try #require(DNSName("_swiftlet._tcp.local")), .ptr, wantsUnicast: true)]
        #expect(
            message.bytes == [
                0x12, 0x34,  // ID
                0x00, 0x00,  // a query
                0, 1, 0, 0, 0, 0, 0, 0,  // one question
            ] + Self.service + [
                0, 12,  // PTR
                0x80, 0x01,  // IN, unicast wanted
            ])
    }

    /// A response as avahi writes it: names are compressed.
    @Test func aCompressedResponseIsRead() throws {
        let bytes: [UInt8] =
            [
                0x00, 0x00,  // ID
                0x84, 0x00,  // a response, authoritative
                0, 0, 0, 1, 0, 0, 0, 3,  // one answer, three additional records
            ] + Self.service + [  // at 12
                0, 12, 0x00, 0x01,  // PTR, IN
                0, 0, 0x11, 0x94,  // 4500 s
                0, 5, 2, UInt8(ascii: "p"), UInt8(ascii: "i"), 0xC0, 12,  // "pi" + the service; its data is at 44
                0xC0, 44,  // the instance
                0, 33, 0x80, 0x01,  // SRV, IN, flush
                0, 0, 0, 120,  // 120 s
                0, 11, 0, 0, 0, 0, 0x40, 0x3B,  // priority 0, weight 0, port 16443
                2, UInt8(ascii: "p"), UInt8(ascii: "i"), 0xC0, 27,  // "pi" + "local"; it begins at 67
                0xC0, 44, 0, 16, 0x80, 0x01, 0, 0, 0x11, 0x94,  // TXT
                0, 5, 4, UInt8(ascii: "c"), UInt8(ascii: "a"), UInt8(ascii: "="), UInt8(ascii: "7"),
                0xC0, 67, 0, 1, 0x80, 0x01, 0, 0, 0, 120,  // A
                0, 4, 192, 168, 1, 20,
            ]
        let message = try DNSMessage(bytes: bytes)
        #expect(message.isResponse && message.isAuthoritative && message.responseCode == 0)
        let service = try #require(DNSName("_swiftlet._tcp.local"))
        let instance = try #require(service.child("pi"))
        let host = try #require(DNSName("pi.local"))
        #expect(message.answers == [.init(service, timeToLive: 4500, .pointer(instance))])
        #expect(message.additionals.map(\.name) == [instance, instance, host])
        #expect(message.additionals.map(\.flushesCache) == [true, true, true])
        #expect(
            message.additionals.map(\.data) == [
                .service(priority: 0, weight: 0, port: 16443, target: host), .text([Array("ca=7".utf8)]),
                .address(IPAddress(v4: 192, 168, 1, 20)),
            ])
    }

    @Test func whatIsWrittenIsReadAgain() throws {
        var message = DNSMessage()
        message.id = 7
        message.isResponse = true
        message.isAuthoritative = true
        let name = try #require(DNSName("a.b.local"))
        message.questions = [.init(name, .any)]
        message.answers = [
            .init(name, timeToLive: 0xFFFF_FFFF, .address(.loopbackV6)),
            .init(name, timeToLive: 1, .service(priority: 1, weight: 2, port: 3, target: name)),
        ]
        message.authorities = [.init(name, timeToLive: 2, .text([[1, 2], []]))]
        message.additionals = [.init(name, timeToLive: 3, .other(.init(rawValue: 47), [9, 9]))]
        message.additionals[0].flushesCache = true
        #expect(try DNSMessage(bytes: message.bytes) == message)
    }

    @Test func namesAreComparedWithoutCase() throws {
        let name = try #require(DNSName("Pi.LOCAL."))
        #expect(name == DNSName("pi.local"))
        #expect(Set([name]).contains(try #require(DNSName("pI.loCal"))))
        #expect(name != DNSName("pi.locam"))
        // Only letters have a case: '[' and '{' differ by the same bit.
        #expect(DNSName("[.local") != DNSName("{.local"))
        #expect(DNSName("") == nil && DNSName("a..b") == nil)
        #expect(DNSName(String(repeating: "x", count: 64) + ".local") == nil)
        #expect(DNSName(labels: Array(repeating: Array(repeating: 0x61, count: 63), count: 4)) == nil)
    }

    // MARK: Hostile input

    private static let head: [UInt8] = [0, 0, 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0]

    @Test(
        arguments: [
            ("a pointer to itself", [0xC0, 12], "pointer"),
            ("a pointer forward", [0xC0, 14, 1, 0x61, 0], "pointer"),
            ("two pointers to each other", [0xC0, 14, 0xC0, 12], "pointer"),
            ("a label and a pointer to it", [1, 0x61, 0xC0, 12], "pointer"),
            ("a label type of no meaning", [0x80, 1, 0], "label"),
            ("a label that ends outside", [9, 0x61], "early"),
            ("half a pointer", [0xC0], "early"),
            ("no name at all", [], "early"),
            ("a name without its type", [1, 0x61, 0], "early"),
        ] as [(String, [UInt8], String)])
    func aBadNameIsRefused(what: String, name: [UInt8], words: String) {
        #expect { try DNSMessage(bytes: Self.head + name) } throws: { "\($0)".contains(words) }
    }

    /// 126 labels of one byte fit into 255 bytes; a chain of pointers that adds up to more does not.
    @Test func aNameThatUnfoldsToMoreThanANameIsRefused() {
        var bytes: [UInt8] = [0, 0, 0x84, 0, 0, 60, 0, 0, 0, 0, 0, 0]
        var before: Int?
        for _ in 0..<60 {
            let place = bytes.count
            bytes += [4, 0x61, 0x61, 0x61, 0x61]
            if let before { bytes += [0xC0 | UInt8(before >> 8), UInt8(before & 0xFF)] } else { bytes.append(0) }
            bytes += [0, 12, 0, 1]
            before = place
        }
        #expect { try DNSMessage(bytes: bytes) } throws: { "\($0)".contains("name") }
    }

    @Test func countsWithoutEntriesAndLargeMessagesAreRefused() {
        #expect(throws: DNSMessageError.tooLarge) {
            try DNSMessage(bytes: [0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])
        }
        #expect(throws: DNSMessageError.truncated) { try DNSMessage(bytes: [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]) }
        #expect(throws: DNSMessageError.truncated) { try DNSMessage(bytes: []) }
        #expect(throws: DNSMessageError.tooLarge) { try DNSMessage(bytes: [UInt8](repeating: 0, count: 9001)) }
    }

    @Test(
        arguments: [
            ("an address of three bytes", [0, 1, 0, 1, 0, 0, 0, 0, 0, 3, 1, 2, 3]),
            ("an IPv6 address of four", [0, 28, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4]),
            ("a string longer than its record", [0, 16, 0, 1, 0, 0, 0, 0, 0, 2, 5, 1, 1, 1, 1, 1]),
            ("a name longer than its record", [0, 12, 0, 1, 0, 0, 0, 0, 0, 2, 5, 1, 1, 1, 1, 1, 0]),
            ("a record longer than the message", [0, 99, 0, 1, 0, 0, 0, 0, 0xFF, 0xFF, 1]),
        ] as [(String, [UInt8])])
    func aBadRecordIsRefused(what: String, record: [UInt8]) {
        let bytes: [UInt8] = [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0x61, 0] + record
        #expect(throws: DNSMessageError.self) { try DNSMessage(bytes: bytes) }
    }

    /// No input crashes it or keeps it busy: what is read can be written, and says the same.
    @Test func changedMessagesDoNoHarm() throws {
        let service = try #require(DNSName("_swiftlet._tcp.local"))
        let instance = try #require(service.child("pi"))
        let host = try #require(DNSName("pi.local"))
        var message = DNSMessage()
        message.isResponse = true
        message.questions = [.init(service, .ptr)]
        message.answers = [.init(service, timeToLive: 4500, .pointer(instance))]
        message.additionals = [
            .init(instance, timeToLive: 1, .service(priority: 0, weight: 0, port: 16443, target: host)),
            .init(instance, timeToLive: 1, .text([Array("ca=1".utf8)])),
            .init(host, timeToLive: 1, .address(.loopbackV4)),
        ]
        let original = message.bytes
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let index = Int.random(in: bytes.indices, using: &generator)
                switch Int.random(in: 0...3, using: &generator) {
                case 0: bytes[index] = .random(in: 0...255, using: &generator)
                case 1: bytes[index] = [0x00, 0xC0, 0xFF, 0x3F].randomElement(using: &generator) ?? 0
                case 2: bytes.removeSubrange(index...)
                default: bytes.insert(contentsOf: [0xC0, UInt8(truncatingIfNeeded: index)], at: index)
                }
                if bytes.isEmpty { break }
            }
            guard let read = try? DNSMessage(bytes: bytes) else { continue }
            #expect(try DNSMessage(bytes: read.bytes) == read, "\(bytes)")
        }
    }
}
