// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

extension DNSMessage {
    /// The message's bytes. Names are not compressed: what is written here is small.
    package var bytes: [UInt8] {
        var writer = DNSWriter()
        writer.number(id)
        var flags = UInt16(opcode & 0xF) << 11 | UInt16(responseCode & 0xF)
        if isResponse { flags |= 0x8000 }
        if isAuthoritative { flags |= 0x0400 }
        writer.number(flags)
        for count in [questions.count, answers.count, authorities.count, additionals.count] {
            writer.number(UInt16(clamping: count))
        }
        for question in questions {
            writer.name(question.name)
            writer.number(question.kind.rawValue)
            writer.number(question.recordClass & 0x7FFF | (question.wantsUnicast ? 0x8000 : 0))
        }
        for record in answers + authorities + additionals { writer.record(record) }
        return writer.bytes
    }
}

private struct DNSWriter {
    var bytes: [UInt8] = []

    mutating func number(_ value: UInt16) { bytes += [UInt8(value >> 8), UInt8(value & 0xFF)] }

    mutating func name(_ name: DNSName) {
        for label in name.labels { bytes += [UInt8(clamping: label.count)] + label }
        bytes.append(0)
    }

    mutating func record(_ record: DNSMessage.Record) {
        name(record.name)
        number(record.data.kind.rawValue)
        number(record.recordClass & 0x7FFF | (record.flushesCache ? 0x8000 : 0))
        number(UInt16(record.timeToLive >> 16))
        number(UInt16(record.timeToLive & 0xFFFF))
        var body = DNSWriter()
        body.data(record.data)
        number(UInt16(clamping: body.bytes.count))
        bytes += body.bytes
    }

    private mutating func data(_ data: DNSMessage.RecordData) {
        switch data {
        case .address(let address): bytes += address.bytes
        case .pointer(let target): name(target)
        case .service(let priority, let weight, let port, let target):
            for value in [priority, weight, port] { number(value) }
            name(target)
        case .text(let strings):
            for string in strings {
                bytes.append(UInt8(clamping: string.count))
                bytes += string.prefix(255)
            }
        case .other(_, let raw): bytes += raw
        }
    }
}
