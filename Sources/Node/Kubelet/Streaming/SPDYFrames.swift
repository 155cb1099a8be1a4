// SPDX-License-Identifier: Apache-2.0

/// What is wrong with a peer's SPDY bytes: the session cannot go on.
package struct SPDYError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// One SPDY/3.1 frame with its header block still compressed (SPDY Protocol Draft 3.1, section 2.6).
package enum SPDYFrame: Hashable, Sendable {
    case synStream(id: UInt32, headers: [UInt8], isFinal: Bool)
    case synReply(id: UInt32, headers: [UInt8], isFinal: Bool)
    case reset(id: UInt32, status: UInt32)
    case settings
    case ping(UInt32)
    case goAway(lastStream: UInt32, status: UInt32)
    case headers(id: UInt32, headers: [UInt8], isFinal: Bool)
    case windowUpdate(id: UInt32, delta: UInt32)
    case data(id: UInt32, [UInt8], isFinal: Bool)
    /// A control frame of another type: to be ignored.
    case unknown(type: UInt16)
}

/// Cuts a peer's bytes into frames, without I/O.
package struct SPDYDecoder: Sendable {
    /// The largest frame that is accepted, in bytes.
    package static let frameLimit = 1 << 20

    private var buffer: [UInt8] = []
    private var position = 0

    package init() {}

    /// Takes in bytes as they arrived and gives the frames that became complete.
    package mutating func feed(_ bytes: some Sequence<UInt8>) throws(SPDYError) -> [SPDYFrame] {
        buffer.append(contentsOf: bytes)
        var frames: [SPDYFrame] = []
        while let frame = try next() { frames.append(frame) }
        if position > 0 {
            buffer.removeFirst(position)
            position = 0
        }
        return frames
    }

    private mutating func next() throws(SPDYError) -> SPDYFrame? {
        guard buffer.count - position >= 8 else { return nil }
        let first = number(position)
        let second = number(position + 4)
        let length = Int(second & 0xff_ffff)
        guard length <= Self.frameLimit else { throw SPDYError("frame of \(length) bytes is too long") }
        guard buffer.count - position >= 8 + length else { return nil }
        let body = Array(buffer[(position + 8)..<(position + 8 + length)])
        position += 8 + length
        let isFinal = second >> 24 & 1 == 1
        if first >> 31 == 0 { return .data(id: first, body, isFinal: isFinal) }
        guard first >> 16 & 0x7fff == 3 else { throw SPDYError("version \(first >> 16 & 0x7fff) is not spoken") }
        return try Self.control(UInt16(first & 0xffff), body, isFinal: isFinal)
    }

    private func number(_ index: Int) -> UInt32 {
        buffer[index..<(index + 4)].reduce(0) { $0 << 8 | UInt32($1) }
    }

    private static func control(_ type: UInt16, _ body: [UInt8], isFinal: Bool) throws(SPDYError) -> SPDYFrame {
        let word = { (index: Int) -> UInt32 in
            body[(index * 4)..<(index * 4 + 4)].reduce(0) { $0 << 8 | UInt32($1) }
        }
        let need = [1: 10, 2: 4, 3: 8, 4: 4, 6: 4, 7: 8, 8: 4, 9: 8][Int(type)] ?? 0
        guard body.count >= need else { throw SPDYError("control frame of type \(type) is too short") }
        switch type {
        case 1: return .synStream(id: word(0) & 0x7fff_ffff, headers: Array(body[10...]), isFinal: isFinal)
        case 2: return .synReply(id: word(0) & 0x7fff_ffff, headers: Array(body[4...]), isFinal: isFinal)
        case 3: return .reset(id: word(0) & 0x7fff_ffff, status: word(1))
        case 4: return .settings
        case 6: return .ping(word(0))
        case 7: return .goAway(lastStream: word(0) & 0x7fff_ffff, status: word(1))
        case 8: return .headers(id: word(0) & 0x7fff_ffff, headers: Array(body[4...]), isFinal: isFinal)
        case 9: return .windowUpdate(id: word(0) & 0x7fff_ffff, delta: word(1) & 0x7fff_ffff)
        default: return .unknown(type: type)
        }
    }
}

/// Writes frames.
package enum SPDYEncoder {
    package static func encode(_ frame: SPDYFrame) -> [UInt8] {
        switch frame {
        case .synStream(let id, let headers, let isFinal):
            // No associated stream, priority 0, no credential slot.
            control(1, word(id) + word(0) + [0, 0] + headers, isFinal: isFinal)
        case .synReply(let id, let headers, let isFinal): control(2, word(id) + headers, isFinal: isFinal)
        case .reset(let id, let status): control(3, word(id) + word(status))
        case .settings: control(4, word(0))
        case .ping(let id): control(6, word(id))
        case .goAway(let last, let status): control(7, word(last) + word(status))
        case .headers(let id, let headers, let isFinal): control(8, word(id) + headers, isFinal: isFinal)
        case .windowUpdate(let id, let delta): control(9, word(id) + word(delta))
        case .data(let id, let bytes, let isFinal):
            word(id) + word(UInt32(bytes.count) | (isFinal ? 1 << 24 : 0)) + bytes
        case .unknown(let type): control(type, [])
        }
    }

    private static func control(_ type: UInt16, _ body: [UInt8], isFinal: Bool = false) -> [UInt8] {
        word(0x8003_0000 | UInt32(type)) + word(UInt32(body.count) | (isFinal ? 1 << 24 : 0)) + body
    }

    private static func word(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 0xff), UInt8(value >> 8 & 0xff), UInt8(value & 0xff)]
    }
}
