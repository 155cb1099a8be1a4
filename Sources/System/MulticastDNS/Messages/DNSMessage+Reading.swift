// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

extension DNSMessage {
    /// Reads a message, whoever wrote it.
    ///
    /// A pointer in a name must lead to before the name, and each further one to before the last: so no input makes
    /// the reader run in circles.
    package init(bytes: [UInt8]) throws(DNSMessageError) {
        guard bytes.count <= Self.limit else { throw .tooLarge }
        var reader = DNSReader(bytes)
        id = try reader.number16()
        let flags = try reader.number16()
        isResponse = flags & 0x8000 != 0
        opcode = UInt8(flags >> 11 & 0xF)
        isAuthoritative = flags & 0x0400 != 0
        responseCode = UInt8(flags & 0xF)
        var counts: [Int] = []
        for _ in 0..<4 { counts.append(Int(try reader.number16())) }
        guard counts.reduce(0, +) <= Self.entryLimit else { throw .tooLarge }
        for _ in 0..<counts[0] { questions.append(try reader.question()) }
        for _ in 0..<counts[1] { answers.append(try reader.record()) }
        for _ in 0..<counts[2] { authorities.append(try reader.record()) }
        for _ in 0..<counts[3] { additionals.append(try reader.record()) }
    }
}

/// Reads the parts of a message from its beginning on.
private struct DNSReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private func byte(at index: Int) throws(DNSMessageError) -> UInt8 {
        guard index < bytes.count else { throw .truncated }
        return bytes[index]
    }

    mutating func number16() throws(DNSMessageError) -> UInt16 {
        let high = try byte(at: position)
        let low = try byte(at: position + 1)
        position += 2
        return UInt16(high) << 8 | UInt16(low)
    }

    private mutating func number32() throws(DNSMessageError) -> UInt32 {
        let high = try number16()
        let low = try number16()
        return UInt32(high) << 16 | UInt32(low)
    }

    private mutating func bytes(_ count: Int) throws(DNSMessageError) -> [UInt8] {
        guard count <= bytes.count - position else { throw .truncated }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    private mutating func name() throws(DNSMessageError) -> DNSName {
        var labels: [[UInt8]] = []
        var length = 1
        var cursor = position
        /// Where the next pointer must lead to before.
        var limit = position
        /// Where what follows the name begins, once a pointer has been followed.
        var end: Int?
        while true {
            let first = try byte(at: cursor)
            switch first & 0xC0 {
            case 0x00:
                cursor += 1
                if first == 0 {
                    position = end ?? cursor
                    guard let name = DNSName(labels: labels) else { throw .malformed("name") }
                    return name
                }
                length += Int(first) + 1
                guard length <= DNSName.limit else { throw .malformed("name") }
                guard Int(first) <= bytes.count - cursor else { throw .truncated }
                labels.append(Array(bytes[cursor..<cursor + Int(first)]))
                cursor += Int(first)
            case 0xC0:
                let target = Int(first & 0x3F) << 8 | Int(try byte(at: cursor + 1))
                guard target < limit else { throw .malformed("pointer in a name") }
                end = end ?? cursor + 2
                limit = target
                cursor = target
            default: throw .malformed("label")
            }
        }
    }

    mutating func question() throws(DNSMessageError) -> DNSMessage.Question {
        let name = try name()
        var question = DNSMessage.Question(name, .init(rawValue: try number16()))
        let recordClass = try number16()
        question.recordClass = recordClass & 0x7FFF
        question.wantsUnicast = recordClass & 0x8000 != 0
        return question
    }

    mutating func record() throws(DNSMessageError) -> DNSMessage.Record {
        let name = try name()
        let kind = DNSMessage.Kind(rawValue: try number16())
        let recordClass = try number16()
        let timeToLive = try number32()
        let length = Int(try number16())
        let end = position + length
        guard end <= bytes.count else { throw .truncated }
        let data = try data(kind, length)
        guard position == end else { throw .malformed("record") }
        var record = DNSMessage.Record(name, timeToLive: timeToLive, data)
        record.recordClass = recordClass & 0x7FFF
        record.flushesCache = recordClass & 0x8000 != 0
        return record
    }

    private mutating func data(
        _ kind: DNSMessage.Kind, _ length: Int
    ) throws(DNSMessageError) -> DNSMessage.RecordData {
        switch kind {
        case .a, .aaaa:
            guard let address = IPAddress(bytes: try bytes(length)), address.isV4 == (kind == .a) else {
                throw .malformed("address")
            }
            return .address(address)
        case .ptr: return .pointer(try name())
        case .srv:
            let (priority, weight, port) = (try number16(), try number16(), try number16())
            return .service(priority: priority, weight: weight, port: port, target: try name())
        case .txt: return .text(try strings(length))
        default: return .other(kind, try bytes(length))
        }
    }

    private mutating func strings(_ length: Int) throws(DNSMessageError) -> [[UInt8]] {
        let end = position + length
        var strings: [[UInt8]] = []
        while position < end {
            let count = Int(try byte(at: position))
            position += 1
            guard count <= end - position else { throw .malformed("text") }
            strings.append(try bytes(count))
        }
        // A record without strings stands for one with an empty string (RFC 6763, 6.1).
        return strings.isEmpty ? [[]] : strings
    }
}
