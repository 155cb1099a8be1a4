// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// The 512 bytes of a tar header (POSIX.1-2001 pax, "ustar Interchange Format").
struct TarHeaderBlock {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The type flag.
    var type: UInt8 { bytes[156] }

    /// Compares the sum of all bytes, with the checksum's own counted as blanks, to the checksum field.
    ///
    /// Some old programs summed signed bytes; that is accepted too.
    func verifyChecksum(at position: UInt64) throws {
        var unsigned: Int64 = 0
        var signed: Int64 = 0
        for (index, byte) in bytes.enumerated() {
            let value = (148..<156).contains(index) ? 0x20 : byte
            unsigned += Int64(value)
            signed += Int64(Int8(bitPattern: value))
        }
        let stored = try number(148..<156, "checksum")
        guard stored == unsigned || stored == signed else {
            throw TarParser.broken("a tar header has a wrong checksum (near byte \(position))")
        }
    }

    func size() throws -> UInt64 {
        let value = try number(124..<136, "size")
        guard value >= 0 else { throw TarParser.broken("a tar header has a negative size") }
        return UInt64(value)
    }

    /// The member as this header alone describes it.
    func entry() throws -> TarEntry {
        var entry = TarEntry(path: path, kind: kind)
        entry.linkTarget = text(157..<257)
        entry.permissions = UInt32(try number(100..<108, "mode") & 0o7777)
        entry.owner = try identifier(108..<116, "uid")
        entry.group = try identifier(116..<124, "gid")
        entry.size = try size()
        entry.modified = FileTime(seconds: try number(136..<148, "mtime"))
        if entry.kind == .characterDevice || entry.kind == .blockDevice {
            entry.major = try identifier(329..<337, "devmajor")
            entry.minor = try identifier(337..<345, "devminor")
        }
        return entry
    }

    /// Whether the header has the fields of ustar; GNU's header uses the prefix field for other things.
    private var isPosix: Bool { bytes[257..<263].elementsEqual(Array("ustar\0".utf8)) }

    private var path: String {
        let name = text(0..<100)
        let prefix = isPosix ? text(345..<500) : ""
        return prefix.isEmpty ? name : "\(prefix)/\(name)"
    }

    private var kind: TarEntry.Kind {
        switch type {
        // '7' is a contiguous file; in V7 archives a name with a slash at its end was a directory.
        case UInt8(ascii: "0"), 0, UInt8(ascii: "7"): path.hasSuffix("/") ? .directory : .regular
        case UInt8(ascii: "1"): .hardLink
        case UInt8(ascii: "2"): .symbolicLink
        case UInt8(ascii: "3"): .characterDevice
        case UInt8(ascii: "4"): .blockDevice
        case UInt8(ascii: "5"): .directory
        case UInt8(ascii: "6"): .fifo
        default: .unknown(type)
        }
    }

    private func text(_ range: Range<Int>) -> String {
        String(decoding: bytes[range].prefix { $0 != 0 }, as: UTF8.self)
    }

    private func identifier(_ range: Range<Int>, _ name: String) throws -> UInt32 {
        let value = try number(range, name)
        guard let result = UInt32(exactly: value) else {
            throw TarParser.broken("a tar header has an impossible \(name), \(value)")
        }
        return result
    }

    /// An octal number between blanks, or GNU's big-endian two's complement where the first bit is set.
    private func number(_ range: Range<Int>, _ name: String) throws -> Int64 {
        let field = bytes[range]
        if field[range.lowerBound] & 0x80 != 0 { return try binaryNumber(field, name) }
        let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0 }
        let digits = field.drop(while: isBlank).prefix { !isBlank($0) }
        var value: Int64 = 0
        for digit in digits {
            guard (0x30...0x37).contains(digit) else { throw TarParser.broken("a tar header has a broken \(name)") }
            let (shifted, isOverflow) = value.multipliedReportingOverflow(by: 8)
            guard !isOverflow else { throw TarParser.broken("a tar header has a broken \(name)") }
            value = shifted + Int64(digit - 0x30)
        }
        return value
    }

    private func binaryNumber(_ field: ArraySlice<UInt8>, _ name: String) throws -> Int64 {
        let isNegative = field[field.startIndex] & 0x40 != 0
        var value: Int64 = isNegative ? -1 : 0
        for (index, byte) in field.enumerated() {
            var byte = byte
            if index == 0 { byte = isNegative ? byte | 0x80 : byte & 0x7F }
            let top = value >> 55
            guard top == 0 || top == -1 else { throw TarParser.broken("a tar header has a broken \(name)") }
            value = value << 8 | Int64(byte)
        }
        return value
    }
}
