// SPDX-License-Identifier: Apache-2.0

extension JSON {
    /// The value as a compact JSON text in UTF-8.
    package func serialized() -> [UInt8] {
        var bytes: [UInt8] = []
        serialize(into: &bytes)
        return bytes
    }

    /// The value as JSON text: compact, or indented by two spaces for people.
    package func text(indented: Bool = false) -> String {
        guard indented else { return String(decoding: serialized(), as: UTF8.self) }
        var bytes: [UInt8] = []
        serializeIndented(into: &bytes, level: 0)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the compact JSON text of the value.
    package func serialize(into bytes: inout [UInt8]) {
        switch self {
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            var isFirst = true
            for element in elements {
                if !isFirst { bytes.append(UInt8(ascii: ",")) }
                isFirst = false
                element.serialize(into: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let object):
            bytes.append(UInt8(ascii: "{"))
            var isFirst = true
            for (key, value) in object {
                if !isFirst { bytes.append(UInt8(ascii: ",")) }
                isFirst = false
                Self.serialize(key, into: &bytes)
                bytes.append(UInt8(ascii: ":"))
                value.serialize(into: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        default: serializeScalar(into: &bytes)
        }
    }

    /// Appends a string as a JSON string literal.
    package static func serialize(_ string: String, into bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        var string = string
        string.withUTF8 { utf8 in
            var plain = 0
            for index in 0..<utf8.count where utf8[index] < 0x20 || utf8[index] == 0x22 || utf8[index] == 0x5C {
                bytes.append(contentsOf: utf8[plain..<index])
                appendEscape(of: utf8[index], to: &bytes)
                plain = index + 1
            }
            bytes.append(contentsOf: utf8[plain...])
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func appendEscape(of byte: UInt8, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x22, 0x5C: bytes.append(byte)
        case 0x08: bytes.append(UInt8(ascii: "b"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case 0x0A: bytes.append(UInt8(ascii: "n"))
        case 0x0C: bytes.append(UInt8(ascii: "f"))
        case 0x0D: bytes.append(UInt8(ascii: "r"))
        default:
            let digits = Array("0123456789abcdef".utf8)
            bytes.append(contentsOf: Array("u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]])
        }
    }

    private func serializeScalar(into bytes: inout [UInt8]) {
        switch self {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let value): bytes.append(contentsOf: value ? "true".utf8 : "false".utf8)
        case .int(let value): bytes.append(contentsOf: String(value).utf8)
        case .double(let value): bytes.append(contentsOf: Self.text(of: value).utf8)
        case .string(let value): Self.serialize(value, into: &bytes)
        case .array, .object: serialize(into: &bytes)
        }
    }

    /// The shortest text that reads back as the same number; whole numbers carry no fraction, as in Go.
    private static func text(of value: Double) -> String {
        guard value.isFinite else { return "null" }
        if let integer = Int64(exactly: value), abs(value) < 1e15 { return String(integer) }
        return value.description
    }

    private func serializeIndented(into bytes: inout [UInt8], level: Int) {
        func newLine(_ level: Int) {
            bytes.append(0x0A)
            bytes.append(contentsOf: repeatElement(0x20, count: level * 2))
        }
        switch self {
        case .array(let elements) where !elements.isEmpty:
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                newLine(level + 1)
                element.serializeIndented(into: &bytes, level: level + 1)
            }
            newLine(level)
            bytes.append(UInt8(ascii: "]"))
        case .object(let object) where !object.isEmpty:
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in object.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                newLine(level + 1)
                Self.serialize(member.key, into: &bytes)
                bytes.append(contentsOf: ": ".utf8)
                member.value.serializeIndented(into: &bytes, level: level + 1)
            }
            newLine(level)
            bytes.append(UInt8(ascii: "}"))
        default: serialize(into: &bytes)
        }
    }
}

extension JSON: CustomStringConvertible {
    package var description: String { text() }
}
