// SPDX-License-Identifier: Apache-2.0

import KubeAPI

/// Makes the names and identifiers that the server gives to objects.
enum ObjectNames {
    /// The characters of generated suffixes: no vowels and no look-alikes (`apimachinery/pkg/util/rand`).
    private static let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")
    private static let suffixLength = 5
    private static let maximumBaseLength = 63 - suffixLength

    static func generate(from base: String) -> String { String(base.prefix(maximumBaseLength)) + suffix(suffixLength) }

    static func suffix(_ length: Int) -> String {
        String((0..<length).map { _ in alphabet.randomElement() ?? "x" })
    }

    /// A random UUID (RFC 9562, version 4) in text form.
    static func uid() -> String {
        var generator = SystemRandomNumberGenerator()
        let high = (generator.next() as UInt64) & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = (generator.next() as UInt64) & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        let digits = hexadecimal(high) + hexadecimal(low)
        var text = ""
        text.reserveCapacity(36)
        for (index, digit) in digits.enumerated() {
            if index == 8 || index == 12 || index == 16 || index == 20 { text.append("-") }
            text.append(digit)
        }
        return text
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}
