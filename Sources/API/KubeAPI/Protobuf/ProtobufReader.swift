// SPDX-License-Identifier: Apache-2.0

/// Reads the fields of one protobuf message (protobuf.dev, "Encoding").
struct ProtobufReader {
    /// How a field's value is laid out; the number is the tag's low three bits.
    enum WireType: Int {
        case varint = 0
        case fixed64 = 1
        case delimited = 2
        case startGroup = 3
        case endGroup = 4
        case fixed32 = 5
    }

    private let bytes: [UInt8]
    private(set) var position: Int
    private let end: Int

    /// Groups are obsolete and only skipped; deeper ones are refused.
    private static let maximumGroupDepth = 16

    init(_ bytes: [UInt8]) { self.init(bytes, 0, bytes.count) }

    private init(_ bytes: [UInt8], _ position: Int, _ end: Int) {
        self.bytes = bytes
        self.position = position
        self.end = end
    }

    var isAtEnd: Bool { position == end }
    var rest: ArraySlice<UInt8> { bytes[position..<end] }

    /// The message behind a prefix of so many bytes.
    func dropping(_ count: Int) -> ProtobufReader { ProtobufReader(bytes, min(position + count, end), end) }

    func failure(_ reason: String) -> ProtobufError { ProtobufError(reason, at: position) }

    /// The number and layout of the next field; nil at the end of the message.
    mutating func tag() throws(ProtobufError) -> (number: Int, type: WireType)? {
        if isAtEnd { return nil }
        let value = try varint()
        guard let type = WireType(rawValue: Int(value & 7)) else {
            throw failure("proto: illegal wireType \(value & 7)")
        }
        guard value >> 3 > 0, value >> 3 < 1 << 29 else { throw failure("proto: illegal tag \(value >> 3)") }
        return (Int(value >> 3), type)
    }

    /// A number of up to 64 bits, seven to the byte, least significant first.
    mutating func varint() throws(ProtobufError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < end {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
            if shift >= 64 { throw failure("proto: integer overflow") }
        }
        throw failure("unexpected EOF")
    }

    /// The value of a field that tells its length first: text, bytes or a message.
    mutating func delimited() throws(ProtobufError) -> ProtobufReader {
        let length = try varint()
        guard length <= UInt64(end - position) else { throw failure("unexpected EOF") }
        let start = position
        position += Int(length)
        return ProtobufReader(bytes, start, position)
    }

    /// Eight bytes, least significant first.
    mutating func fixed64() throws(ProtobufError) -> UInt64 {
        guard end - position >= 8 else { throw failure("unexpected EOF") }
        var value: UInt64 = 0
        for index in 0..<8 { value |= UInt64(bytes[position + index]) << UInt64(8 * index) }
        position += 8
        return value
    }

    /// Passes over the value of a field that nobody knows.
    mutating func skip(_ type: WireType) throws(ProtobufError) {
        var groups = 0
        var type = type
        while true {
            switch type {
            case .varint: _ = try varint()
            case .fixed64: _ = try fixed64()
            case .delimited: _ = try delimited()
            case .fixed32:
                guard end - position >= 4 else { throw failure("unexpected EOF") }
                position += 4
            case .startGroup:
                groups += 1
                if groups > Self.maximumGroupDepth { throw failure("proto: groups are nested too deeply") }
            case .endGroup:
                groups -= 1
                if groups < 0 { throw failure("proto: wiretype end group for non-group") }
            }
            if groups == 0 { return }
            guard let next = try tag() else { throw failure("unexpected EOF") }
            type = next.type
        }
    }

    /// The value as the text of a `string` field; what is not UTF-8 is replaced, as Go's JSON encoder does.
    mutating func text(_ type: WireType) throws(ProtobufError) -> String {
        String(decoding: try message(type).rest, as: UTF8.self)
    }

    /// The value of a message field.
    mutating func message(_ type: WireType) throws(ProtobufError) -> ProtobufReader {
        try expect(.delimited, type)
        return try delimited()
    }

    /// The value of an `int64`, `int32` or `bool` field.
    mutating func number(_ type: WireType) throws(ProtobufError) -> Int64 {
        try expect(.varint, type)
        return Int64(bitPattern: try varint())
    }

    func expect(_ wanted: WireType, _ type: WireType) throws(ProtobufError) {
        if type != wanted { throw failure("proto: wrong wireType = \(type.rawValue)") }
    }
}
