// SPDX-License-Identifier: Apache-2.0

/// Reads the fields of a protobuf message (https://protobuf.dev/programming-guides/encoding/).
struct ProtobufReader {
    /// One field as it stands on the wire.
    struct Field {
        let number: Int
        let value: Value
    }

    enum Value {
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        case bytes(ArraySlice<UInt8>)
    }

    /// The bytes are not a message.
    struct Malformed: Error {}

    private let bytes: ArraySlice<UInt8>
    private var position: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    /// The next field, nil at the end of the message.
    mutating func next() throws(Malformed) -> Field? {
        guard position < bytes.endIndex else { return nil }
        let tag = try varint()
        guard let number = Int(exactly: tag >> 3), number > 0 else { throw Malformed() }
        switch tag & 7 {
        case 0: return Field(number: number, value: .varint(try varint()))
        case 1: return Field(number: number, value: .fixed64(try fixed(8)))
        case 2:
            guard let length = Int(exactly: try varint()), length <= bytes.endIndex - position else {
                throw Malformed()
            }
            defer { position += length }
            return Field(number: number, value: .bytes(bytes[position..<position + length]))
        case 5: return Field(number: number, value: .fixed32(UInt32(truncatingIfNeeded: try fixed(4))))
        default: throw Malformed()
        }
    }

    /// The numbers of a packed repeated field.
    static func packed(_ bytes: ArraySlice<UInt8>) throws(Malformed) -> [UInt64] {
        var reader = ProtobufReader(bytes)
        var values: [UInt64] = []
        while reader.position < bytes.endIndex { values.append(try reader.varint()) }
        return values
    }

    private mutating func varint() throws(Malformed) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < bytes.endIndex, shift < 64 {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw Malformed()
    }

    private mutating func fixed(_ width: Int) throws(Malformed) -> UInt64 {
        guard bytes.endIndex - position >= width else { throw Malformed() }
        var value: UInt64 = 0
        for offset in 0..<width { value |= UInt64(bytes[position + offset]) << UInt64(8 * offset) }
        position += width
        return value
    }
}
