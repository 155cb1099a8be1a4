// SPDX-License-Identifier: Apache-2.0

/// A WebSocket frame's kind (RFC 6455, section 5.2).
package enum WebSocketOpcode: UInt8, Sendable {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10
}

/// What is wrong with a client's WebSocket bytes, with the close code to answer (RFC 6455, section 7.4.1).
package struct WebSocketError: Error, Hashable, Sendable, CustomStringConvertible {
    package let code: UInt16
    package let description: String

    static func protocolError(_ why: String) -> WebSocketError { .init(code: 1002, description: why) }
    static let tooBig = WebSocketError(code: 1009, description: "message is too big")
}

/// A whole message or control frame from the client.
package enum WebSocketMessage: Hashable, Sendable {
    case data([UInt8], isText: Bool)
    case ping([UInt8])
    case pong([UInt8])
    /// The close code, 1005 where the client sent none.
    case close(code: UInt16)
}

/// Cuts a client's bytes into messages: the server's half of RFC 6455's framing, without I/O.
package struct WebSocketDecoder: Sendable {
    /// The largest message that is put together, in bytes.
    package static let messageLimit = 1 << 20

    private var buffer: [UInt8] = []
    private var position = 0
    private var fragments: (isText: Bool, bytes: [UInt8])?
    private var isClosed = false

    package init() {}

    /// Takes in bytes as they arrived and gives the messages that became complete.
    package mutating func feed(_ bytes: some Sequence<UInt8>) throws(WebSocketError) -> [WebSocketMessage] {
        buffer.append(contentsOf: bytes)
        var messages: [WebSocketMessage] = []
        while !isClosed, let frame = try nextFrame() {
            if let message = try take(frame) { messages.append(message) }
        }
        if position > 0 {
            buffer.removeFirst(position)
            position = 0
        }
        return messages
    }

    private struct Frame {
        var isFinal: Bool
        var opcode: WebSocketOpcode
        var payload: [UInt8]
    }

    private mutating func nextFrame() throws(WebSocketError) -> Frame? {
        let available = buffer.count - position
        guard available >= 2 else { return nil }
        let first = buffer[position]
        let second = buffer[position + 1]
        guard first & 0x70 == 0 else { throw .protocolError("reserved bits are set") }
        guard let opcode = WebSocketOpcode(rawValue: first & 0x0f) else { throw .protocolError("unknown opcode") }
        guard second & 0x80 != 0 else { throw .protocolError("client frames must be masked") }
        var length = UInt64(second & 0x7f)
        var header = 2
        if length >= 126 {
            let size = length == 126 ? 2 : 8
            guard available >= header + size else { return nil }
            length = buffer[(position + 2)..<(position + 2 + size)].reduce(0) { $0 << 8 | UInt64($1) }
            header += size
        }
        let isControl = opcode.rawValue >= 8
        let isFinal = first & 0x80 != 0
        if isControl, length > 125 || !isFinal { throw .protocolError("control frame is too long or fragmented") }
        guard length <= UInt64(Self.messageLimit) else { throw .tooBig }
        guard available >= header + 4 + Int(length) else { return nil }
        let mask = Array(buffer[(position + header)..<(position + header + 4)])
        let start = position + header + 4
        var payload = Array(buffer[start..<(start + Int(length))])
        for index in payload.indices { payload[index] ^= mask[index & 3] }
        position = start + Int(length)
        return Frame(isFinal: isFinal, opcode: opcode, payload: payload)
    }

    private mutating func take(_ frame: Frame) throws(WebSocketError) -> WebSocketMessage? {
        switch frame.opcode {
        case .ping: return .ping(frame.payload)
        case .pong: return .pong(frame.payload)
        case .close:
            isClosed = true
            guard frame.payload.count != 1 else { throw .protocolError("close frame of one byte") }
            guard frame.payload.count >= 2 else { return .close(code: 1005) }
            return .close(code: UInt16(frame.payload[0]) << 8 | UInt16(frame.payload[1]))
        case .text, .binary:
            guard fragments == nil else { throw .protocolError("new message inside a fragmented one") }
            let isText = frame.opcode == .text
            if frame.isFinal { return .data(frame.payload, isText: isText) }
            fragments = (isText, frame.payload)
            return nil
        case .continuation:
            guard var whole = fragments else { throw .protocolError("continuation without a message") }
            whole.bytes += frame.payload
            guard whole.bytes.count <= Self.messageLimit else { throw .tooBig }
            fragments = frame.isFinal ? nil : whole
            return frame.isFinal ? .data(whole.bytes, isText: whole.isText) : nil
        }
    }
}

/// Frames of a server: never masked.
package enum WebSocketEncoder {
    /// One whole message or control frame.
    package static func frame(_ opcode: WebSocketOpcode, _ payload: some Collection<UInt8>) -> [UInt8] {
        var frame: [UInt8] = [0x80 | opcode.rawValue]
        frame.reserveCapacity(payload.count + 10)
        switch payload.count {
        case ..<126: frame.append(UInt8(payload.count))
        case ..<65536: frame += [126, UInt8(payload.count >> 8), UInt8(payload.count & 0xff)]
        default:
            frame.append(127)
            for shift in stride(from: 56, through: 0, by: -8) {
                frame.append(UInt8(truncatingIfNeeded: UInt64(payload.count) >> UInt64(shift)))
            }
        }
        frame += payload
        return frame
    }

    /// A close frame with its code.
    package static func close(_ code: UInt16) -> [UInt8] {
        frame(.close, [UInt8(code >> 8), UInt8(code & 0xff)])
    }
}
