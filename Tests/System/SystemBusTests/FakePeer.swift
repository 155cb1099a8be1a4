// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc
import LinuxSystem
import Synchronization

@testable import SystemBus

/// The other end of a connection: takes one call and answers with the bytes of a test.
final class FakePeer: Sendable {
    private let socket: FileDescriptor
    private let received = Mutex<[UInt8]>([])
    private let isDone = DispatchSemaphore(value: 0)

    /// The call's bytes.
    var call: [UInt8] { received.withLock { $0 } }

    private init(_ socket: consuming FileDescriptor) { self.socket = socket }

    /// Makes a call to a peer that answers with what `answer` makes of the call's serial number, and then hangs up.
    static func exchange(
        _ body: (BusConnection) throws -> Void, descriptors: [CInt] = [], answer: @escaping @Sendable (UInt8) -> [UInt8]
    ) throws -> FakePeer {
        try Signals.ignore(Signals.pipe)
        let pair = try Sockets.pair()
        let peer = FakePeer(try pair.second.duplicated())
        let connection = try BusConnection.peer(pair.takeFirst())
        DispatchQueue.global().async {
            // What goes wrong here, the caller sees.
            try? peer.serve(descriptors, answer)
            peer.isDone.signal()
        }
        defer { peer.isDone.wait() }
        // Ends the connection before the peer is waited for.
        try withExtendedLifetime(connection) { try body(connection) }
        return peer
    }

    private func serve(_ descriptors: [CInt], _ answer: (UInt8) -> [UInt8]) throws {
        defer { hangUp() }
        var greeting: [UInt8] = []
        let end = Array("BEGIN\r\n".utf8)
        while !greeting.ends(with: end) {
            let more = try Self.read(socket)
            if more.isEmpty { return }
            greeting += more
        }
        // libsystemd answers the empty challenge of EXTERNAL at once (D-Bus specification, "Authentication Protocol").
        let hasData = String(decoding: greeting, as: UTF8.self).contains("DATA\r\n")
        try socket.writeAll(
            (hasData ? "DATA\r\n" : "") + "OK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n")
        let call = try Self.read(socket)
        received.withLock { $0 = call }
        guard call.count > 8 else { return }
        try Sockets.send(answer(call[8]), descriptors: descriptors, on: socket.rawValue)
    }

    private static func read(_ socket: borrowing FileDescriptor) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = try buffer.withUnsafeMutableBytes { try socket.read(into: $0, "the test's socket") }
        return Array(buffer.prefix(count))
    }

    private func hangUp() {
        // The caller sees the end of the stream, whoever else holds the descriptor.
        Glibc.shutdown(socket.rawValue, Int32(SHUT_RDWR))
    }
}

extension [UInt8] {
    fileprivate func ends(with end: [UInt8]) -> Bool { count >= end.count && Array(suffix(end.count)) == end }
}

/// D-Bus messages by hand (D-Bus specification, "Message Format"), little-endian.
enum Wire {
    static func number(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }

    static func text(_ text: String) -> [UInt8] { number(text.utf8.count) + Array(text.utf8) + [0] }

    static func padded(_ bytes: [UInt8], to alignment: Int = 8) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: (alignment - bytes.count % alignment) % alignment)
    }

    /// A header field: its code, its type as a variant's signature, its value.
    static func field(_ code: UInt8, _ type: Character, _ value: [UInt8]) -> [UInt8] {
        [code, 1, type.asciiValue ?? 0, 0] + value
    }

    static func signature(_ text: String) -> [UInt8] {
        field(8, "g", [UInt8(text.utf8.count)] + Array(text.utf8) + [0])
    }

    static func replySerial(_ serial: UInt8) -> [UInt8] { field(5, "u", [serial, 0, 0, 0]) }

    static func message(_ type: UInt8, fields: [[UInt8]], body: [UInt8] = []) -> [UInt8] {
        // Each begins at a multiple of 8.
        let fields = fields.reduce([]) { padded($0) + $1 }
        return [UInt8(ascii: "l"), type, 1, 1]  // little-endian, its type, no reply is expected, version 1
            + number(body.count) + number(7)  // the body's length, the serial number
            + number(fields.count) + padded(fields) + body
    }
}
