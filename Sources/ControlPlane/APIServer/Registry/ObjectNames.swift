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
        return String(unsafeUninitializedCapacity: 36) { text in
            var index = 0
            for position in 0..<32 {
                if index == 8 || index == 13 || index == 18 || index == 23 {
                    text[index] = UInt8(ascii: "-")
                    index += 1
                }
                let half = position < 16 ? high : low
                let digit = UInt8(truncatingIfNeeded: half >> UInt64(60 - position % 16 * 4)) & 0xF
                text[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
                index += 1
            }
            return index
        }
    }
}
