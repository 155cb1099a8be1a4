// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// Writes HTTP/1.1 responses (RFC 9112), head and body in one buffer wherever that is cheap.
enum HTTP1Encoder {
    /// What delimits the body.
    enum Framing {
        case length(Int)
        case chunked
        /// The end of the connection: HTTP/1.0.
        case close
        /// There is no body, whatever the headers say (1xx, 204, 304).
        case none
    }

    /// Header fields that the transport alone decides.
    private static func isOwned(_ name: String, isUpgrade: Bool) -> Bool {
        switch name.utf8.count {
        case 4: name.lowercased() == "date"
        case 10: !isUpgrade && name.lowercased() == "connection"
        case 14: name.lowercased() == "content-length"
        case 17: name.lowercased() == "transfer-encoding"
        default: false
        }
    }

    static func writeHead(
        _ status: HTTPResponseStatus, _ headers: HTTPHeaders, framing: Framing, date: String, closes: Bool,
        version: HTTPVersion, isUpgrade: Bool = false, to buffer: inout ByteBuffer
    ) {
        buffer.writeString(version.minor == 0 ? "HTTP/1.0 " : "HTTP/1.1 ")
        buffer.writeString(String(status.code))
        buffer.writeStaticString(" ")
        buffer.writeString(status.reasonPhrase)
        buffer.writeStaticString("\r\nDate: ")
        buffer.writeString(date)
        buffer.writeStaticString("\r\n")
        for (name, value) in headers where !isOwned(name, isUpgrade: isUpgrade) {
            buffer.writeString(name)
            buffer.writeStaticString(": ")
            writeValue(value, to: &buffer)
            buffer.writeStaticString("\r\n")
        }
        switch framing {
        case .length(let length):
            buffer.writeStaticString("Content-Length: ")
            buffer.writeString(String(length))
            buffer.writeStaticString("\r\n")
        case .chunked: buffer.writeStaticString("Transfer-Encoding: chunked\r\n")
        case .close, .none: break
        }
        if closes { buffer.writeStaticString("Connection: close\r\n") }
        buffer.writeStaticString("\r\n")
    }

    /// A line break in a value becomes a space, as in Go's server, so that no handler can be tricked into a new header.
    private static func writeValue(_ value: String, to buffer: inout ByteBuffer) {
        if value.utf8.contains(where: { $0 == 13 || $0 == 10 || $0 == 0 }) {
            buffer.writeBytes(value.utf8.map { $0 == 13 || $0 == 10 || $0 == 0 ? 32 : $0 })
        } else {
            buffer.writeString(value)
        }
    }

    /// The line before a chunk's bytes.
    static func writeChunkHead(length: Int, to buffer: inout ByteBuffer) {
        buffer.writeString(String(length, radix: 16))
        buffer.writeStaticString("\r\n")
    }
}
