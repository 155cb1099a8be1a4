// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import SystemBus

@Suite struct BusMessageTests {
    static let target = BusConnection.Target("org.example", "/org/example", "org.example.I")

    /// A reply with the signature `sub`.
    static func reply(_ serial: UInt8) -> [UInt8] {
        [
            0x6C, 2, 1, 1,  // little-endian, METHOD_RETURN, no reply expected, version 1
            16, 0, 0, 0,  // the body's length
            9, 0, 0, 0,  // its serial number
            17, 0, 0, 0,  // the length of the header's fields
            5, 1, 0x75, 0, serial, 0, 0, 0,  // REPLY_SERIAL, u
            8, 1, 0x67, 0, 3, 0x73, 0x75, 0x62, 0,  // SIGNATURE, g: "sub"
            0, 0, 0, 0, 0, 0, 0,  // up to a multiple of 8
            2, 0, 0, 0, 0x68, 0x69, 0,  // "hi"
            0,  // up to a multiple of 4
            7, 0, 0, 0,  // 7
            1, 0, 0, 0,  // true
        ]
    }

    @Test func aReplyIsReadByteForByte() throws {
        var values: [BusValue] = []
        _ = try FakePeer.exchange {
            values = try $0.call(Self.target, "M").values()
        } answer: {
            Self.reply($0)
        }
        #expect(values == [.string("hi"), .uint32(7), .boolean(true)])
    }

    @Test func aCallIsWrittenByteForByte() throws {
        let peer = try FakePeer.exchange {
            _ = try $0.call(
                Self.target, "M",
                [.string("hi"), .array(of: "(sv)", [.property("A", .array(of: "u", [.uint32(5)]))])])
        } answer: {
            Self.reply($0)
        }
        let body: [UInt8] =
            [2, 0, 0, 0, 0x68, 0x69, 0, 0]  // "hi", up to a multiple of 4
            + [20, 0, 0, 0]  // the array's length, without what comes up to its first element
            + [0, 0, 0, 0]  // structures begin at multiples of 8
            + [1, 0, 0, 0, 0x41, 0]  // "A"
            + [2, 0x61, 0x75, 0]  // the variant's signature: "au"
            + [0, 0, 4, 0, 0, 0, 5, 0, 0, 0]  // up to a multiple of 4, the length, 5
        #expect(peer.call.prefix(4) == [0x6C, 1, 0, 1])  // little-endian, METHOD_CALL, version 1
        #expect(peer.call[4] == UInt8(body.count))
        #expect(Array(peer.call[Self.bodyStart(peer.call)...]) == body)
    }

    private static func bodyStart(_ message: [UInt8]) -> Int { (16 + Int(message[12]) + 7) / 8 * 8 }

    @Test func anErrorHasItsNameAndText() throws {
        var failure: BusError?
        _ = try FakePeer.exchange {
            do throws(BusError) { try $0.call(Self.target, "Frobnicate") } catch { failure = error }
        } answer: { serial in
            Wire.message(
                3,  // ERROR
                fields: [
                    Wire.replySerial(serial), Wire.field(4, "s", Wire.text("org.example.No")), Wire.signature("s"),
                ],
                body: Wire.text("not today"))
        }
        #expect(failure == BusError("Frobnicate", name: "org.example.No", message: "not today"))
        #expect(failure.map { "\($0)" } == "Frobnicate: not today (org.example.No)")
    }

    @Test func aDescriptorIsTheCallersOwn() throws {
        let pipe = try Sockets.pipe()
        let writer = try pipe.second.duplicated()
        _ = try FakePeer.exchange(
            {
                let message = try $0.call(Self.target, "Inhibit")
                #expect(try message.values() == [.descriptor])
                let descriptor = try message.takeDescriptor()
                try descriptor.writeAll("through it")
            }, descriptors: [writer.rawValue],
            answer: { serial in
                Wire.message(
                    2,
                    // UNIX_FDS: one.
                    fields: [Wire.replySerial(serial), Wire.signature("h"), Wire.field(9, "u", [1, 0, 0, 0])],
                    body: [0, 0, 0, 0])  // the first of them
            })
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = try buffer.withUnsafeMutableBytes { try pipe.first.read(into: $0, "pipe") }
        #expect(String(decoding: buffer.prefix(count), as: UTF8.self) == "through it")
    }

    @Test func aReplyWithoutADescriptorIsAnError() throws {
        #expect(throws: BusError.self) {
            _ = try FakePeer.exchange {
                _ = try $0.call(Self.target, "Inhibit").takeDescriptor()
            } answer: {
                Self.reply($0)
            }
        }
    }

    /// What logind sends before a shutdown, after the reply to a call.
    @Test func aSignalArrivesAfterTheReply() throws {
        var input: ShutdownDelayMachine.Input?
        _ = try FakePeer.exchange {
            _ = try $0.call(Self.target, "M")
            guard case .signal(let signal) = try $0.nextSignal(timeout: .seconds(10)) else { return }
            input = try ShutdownDelay.input(of: signal)
        } answer: { serial in
            Self.reply(serial)
                + Wire.message(
                    4,  // SIGNAL
                    fields: [
                        Wire.field(1, "o", Wire.text("/org/freedesktop/login1")),
                        Wire.field(2, "s", Wire.text("org.freedesktop.login1.Manager")),
                        Wire.field(3, "s", Wire.text("PrepareForShutdown")), Wire.signature("b"),
                    ],
                    body: [1, 0, 0, 0])
        }
        #expect(input == .preparing(true))
    }

    @Test func whatHoldsTooMuchIsRefused() throws {
        var failure: BusError?
        _ = try FakePeer.exchange {
            do throws(BusError) { _ = try $0.call(Self.target, "M").values() } catch { failure = error }
        } answer: { serial in
            let bytes = BusMessage.Limits.values + 1
            return Wire.message(
                2, fields: [Wire.replySerial(serial), Wire.signature("ay")],
                body: Wire.number(bytes) + [UInt8](repeating: 1, count: bytes))
        }
        #expect(failure?.name == "System.Error.E2BIG")
    }

    /// Whatever one byte says: an answer, an error or an end, and never more than that.
    @Test func noChangedByteCrashesIt() throws {
        let whole = Self.reply(1) + Self.nested(1)
        for position in whole.indices {
            for change: UInt8 in [0x01, 0x80, 0xFF] {
                _ = try FakePeer.exchange { connection in
                    // Errors are as good as answers here.
                    _ = try? connection.call(Self.target, "M", timeout: .seconds(5)).values()
                    _ = try? connection.nextSignal(timeout: .seconds(5))
                } answer: { _ in
                    var bytes = whole
                    bytes[position] ^= change
                    return bytes
                }
            }
        }
    }

    /// A signal with everything nested: `a(sv)`, a dictionary in a variant.
    private static func nested(_ serial: UInt8) -> [UInt8] {
        let entry: [UInt8] =
            Wire.text("k") + [0, 0]  // up to a multiple of 4
            + Wire.number(1)
        let body: [UInt8] =
            [5] + Array("a{su}".utf8) + [0]  // the variant's signature
            + [0]  // up to a multiple of 4
            + Wire.number(entry.count) + [0, 0, 0, 0] + entry
        return Wire.message(
            4,
            fields: [
                Wire.field(1, "o", Wire.text("/a")), Wire.field(2, "s", Wire.text("a.b")),
                Wire.field(3, "s", Wire.text("C")), Wire.signature("v"),
            ], body: body)
    }

    @Test func aDictionaryInAVariantIsRead() throws {
        var values: [BusValue] = []
        _ = try FakePeer.exchange {
            _ = try $0.call(Self.target, "M")
            guard case .signal(let signal) = try $0.nextSignal(timeout: .seconds(10)) else { return }
            values = try signal.values()
        } answer: {
            Self.reply($0) + Self.nested($0)
        }
        #expect(
            values == [.variant(.array(of: "{su}", [.entry(key: .string("k"), value: .uint32(1))]))])
    }
}
