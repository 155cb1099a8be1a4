// SPDX-License-Identifier: Apache-2.0

/// Writes the fields of protobuf messages (protobuf.dev, "Encoding"), one after the other.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ raw: some Sequence<UInt8>) { bytes.append(contentsOf: raw) }

    mutating func tag(_ number: Int, _ type: ProtobufReader.WireType) {
        varint(UInt64(number << 3 | type.rawValue))
    }

    mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }

    /// An `int64`, `int32` or `bool` field.
    mutating func number(_ number: Int, _ value: Int64) {
        tag(number, .varint)
        varint(UInt64(bitPattern: value))
    }

    mutating func double(_ number: Int, _ value: Double) {
        tag(number, .fixed64)
        for index in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value.bitPattern >> UInt64(8 * index))) }
    }

    mutating func text(_ number: Int, _ value: String) {
        tag(number, .delimited)
        varint(UInt64(value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }

    mutating func data(_ number: Int, _ value: some Collection<UInt8>) {
        tag(number, .delimited)
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    /// Begins a message field, whose length is known only when its fields are written.
    ///
    /// - Returns: what ``endMessage(_:)`` must be told.
    mutating func beginMessage(_ number: Int) -> Int {
        tag(number, .delimited)
        bytes.append(0)
        return bytes.count
    }

    mutating func endMessage(_ start: Int) {
        let length = bytes.count - start
        guard length >= 0x80 else {
            bytes[start - 1] = UInt8(length)
            return
        }
        // Most messages are short; a long one moves to make room for the rest of its length.
        var prefix = ProtobufWriter()
        prefix.varint(UInt64(length))
        bytes.replaceSubrange(start - 1..<start, with: prefix.bytes)
    }
}
