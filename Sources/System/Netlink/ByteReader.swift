// SPDX-License-Identifier: Apache-2.0

/// Reads numbers and attributes from the kernel's bytes; nothing is read beyond the end.
struct ByteReader {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// The next number in the machine's byte order; nil at the end.
    mutating func next<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) -> Value? {
        let size = MemoryLayout<Value>.size
        guard rest.count >= size else { return nil }
        let value = rest.withUnsafeBytes { $0.loadUnaligned(as: Value.self) }
        rest = rest.dropFirst(size)
        return value
    }

    /// Leaves out bytes.
    mutating func skip(_ count: Int) { rest = rest.dropFirst(count) }

    /// All that is left as attributes by type (of several of one type the last); nil where they are malformed.
    mutating func attributes() -> [UInt16: ArraySlice<UInt8>]? {
        var found: [UInt16: ArraySlice<UInt8>] = [:]
        while !rest.isEmpty {
            guard let length: UInt16 = next(), let type: UInt16 = next(), length >= 4, rest.count >= Int(length) - 4
            else { return nil }
            // The two upper bits are flags: nested, and network byte order.
            found[type & 0x3FFF] = rest.prefix(Int(length) - 4)
            skip((Int(length) + 3) / 4 * 4 - 4)
        }
        return found
    }
}

extension ArraySlice<UInt8> {
    /// An attribute's value as a number in the machine's byte order; nil if it is shorter.
    func number<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) -> Value? {
        var reader = ByteReader(self)
        return reader.next()
    }

    /// An attribute's value as a text, up to its first zero.
    var text: String { String(decoding: prefix { $0 != 0 }, as: UTF8.self) }

    /// An attribute's value as attributes; empty where they are malformed.
    var nestedAttributes: [UInt16: ArraySlice<UInt8>] {
        var reader = ByteReader(self)
        return reader.attributes() ?? [:]
    }
}
