// SPDX-License-Identifier: Apache-2.0

/// Reads the generated table of built-in types where it lies, in the program's read-only data.
///
/// The text has four sections. Numbers are in base 64, most significant digit first, with the digits `0` (0x30) to `o`
/// (0x6F); a string is referred to by its place in the string section, where two digits of length precede it.
///
/// - nodes, 18 characters each: shape 1, flags 1, list type 1, format 1, target 2 (an element's node, or an object's
///   definition), and strings: list-map keys 3, merge key 3, enum values 3, name of the Go type 3;
/// - definitions, 9 each, in the order of their names: name 3, first field 3, number of fields 2, flags 1;
/// - fields, 13 each, sorted by name within a definition: name 3, node 2, protobuf number 2, numbers of the protobuf
///   messages that enclose it though JSON inlines them 1 + 1, flags 1, default 3;
/// - strings.
enum SchemaTable {
    static let nodeWidth = 18
    static let definitionWidth = 9
    static let fieldWidth = 13

    @inline(__always)
    private static func byte(_ offset: Int) -> Int { Int(BuiltInSchema.text.utf8Start[offset]) - 0x30 }

    /// The number of `width` digits at an offset of the text.
    @inline(__always)
    static func number(_ offset: Int, _ width: Int) -> Int {
        var value = 0
        for index in 0..<width { value = value << 6 | byte(offset + index) }
        return value
    }

    /// The bytes of the string to which the three digits at `offset` refer.
    static func bytes(at offset: Int) -> UnsafeBufferPointer<UInt8> {
        let place = BuiltInSchema.strings + number(offset, 3)
        return UnsafeBufferPointer(start: BuiltInSchema.text.utf8Start + place + 2, count: number(place, 2))
    }

    /// The string to which the three digits at `offset` refer.
    static func string(at offset: Int) -> String { String(decoding: bytes(at: offset), as: UTF8.self) }

    static func nodeOffset(_ node: Int) -> Int { BuiltInSchema.nodes + node * nodeWidth }
    static func definitionOffset(_ definition: Int) -> Int { BuiltInSchema.definitions + definition * definitionWidth }
    static func fieldOffset(_ field: Int) -> Int { BuiltInSchema.fields + field * fieldWidth }

    /// The index of a definition, found by binary search.
    static func definition(named name: String) -> Int? {
        search(name, count: BuiltInSchema.definitionCount) { definitionOffset($0) }
    }

    /// The index of a definition's field, found by binary search.
    static func field(_ name: String, ofDefinition definition: Int) -> Int? {
        let offset = definitionOffset(definition)
        let first = number(offset + 3, 3)
        return search(name, count: number(offset + 6, 2)) { fieldOffset(first + $0) }.map { first + $0 }
    }

    /// The indices of a definition's fields.
    static func fields(ofDefinition definition: Int) -> Range<Int> {
        let offset = definitionOffset(definition)
        let first = number(offset + 3, 3)
        return first..<first + number(offset + 6, 2)
    }

    private static func search(_ name: String, count: Int, offset: (Int) -> Int) -> Int? {
        var name = name
        return name.withUTF8 { wanted in
            var low = 0
            var high = count
            while low < high {
                let middle = (low + high) / 2
                let order = compare(bytes(at: offset(middle)), wanted)
                if order == 0 { return middle }
                if order < 0 { low = middle + 1 } else { high = middle }
            }
            return nil
        }
    }

    private static func compare(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Int {
        for index in 0..<min(left.count, right.count) where left[index] != right[index] {
            return Int(left[index]) - Int(right[index])
        }
        return left.count - right.count
    }
}
