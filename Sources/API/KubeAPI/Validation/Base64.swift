// SPDX-License-Identifier: Apache-2.0

/// The standard base64 alphabet with padding (RFC 4648 section 4), as Go reads it: line breaks are skipped.
enum Base64 {
    /// The offset of the first byte that does not fit; nil for valid text.
    static func firstInvalidByte(in text: String) -> Int? {
        var count = 0
        var padding = 0
        for (offset, byte) in text.utf8.enumerated() where byte != 0x0A && byte != 0x0D {
            switch byte {
            case 0x41...0x5A, 0x61...0x7A, 0x30...0x39, 0x2B, 0x2F:
                if padding > 0 { return offset }
            case 0x3D:
                padding += 1
                if padding > 2 || (count + padding) % 4 == 1 || count % 4 < 2 { return offset }
            default: return offset
            }
            if byte != 0x3D { count += 1 }
        }
        return (count + padding) % 4 == 0 ? nil : text.utf8.count - (text.utf8.count % 4)
    }

    /// The number of bytes that valid text stands for.
    static func decodedCount(of text: String) -> Int {
        let digits = text.utf8.count { $0 != 0x3D && $0 != 0x0A && $0 != 0x0D }
        return digits * 3 / 4
    }
}

extension Base64 {
    static func encode(_ text: String) -> String { encode(Array(text.utf8)[...]) }

    static func encode(_ bytes: ArraySlice<UInt8>) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        let bytes = Array(bytes)
        var result: [UInt8] = []
        result.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group = 0
            for offset in 0..<3 { group = group << 8 | (offset < count ? Int(bytes[start + offset]) : 0) }
            for digit in 0..<4 {
                result.append(digit <= count ? alphabet[group >> (18 - 6 * digit) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// The bytes that a text stands for; nil where it is not base64.
    static func decode(_ text: String) -> [UInt8]? {
        guard firstInvalidByte(in: text) == nil else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.utf8.count / 4 * 3)
        var group = 0
        var bits = 0
        for byte in text.utf8 {
            guard let digit = value(ofDigit: byte) else { continue }
            group = (group << 6 | digit) & 0xFFF
            bits += 6
            if bits >= 8 {
                bits -= 8
                result.append(UInt8(truncatingIfNeeded: group >> bits))
            }
        }
        return result
    }

    /// What a digit is worth; nil for padding and line breaks.
    private static func value(ofDigit byte: UInt8) -> Int? {
        switch byte {
        case 0x41...0x5A: Int(byte) - 0x41
        case 0x61...0x7A: Int(byte) - 0x61 + 26
        case 0x30...0x39: Int(byte) - 0x30 + 52
        case 0x2B: 62
        case 0x2F: 63
        default: nil
        }
    }
}
