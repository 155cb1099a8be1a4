// SPDX-License-Identifier: Apache-2.0

package import JSON

/// A Kubernetes resource quantity (`apimachinery/pkg/api/resource`): an exact fixed-point number and how it is written.
///
/// As upstream, the finest step is one nano, finer values are rounded away from zero, and a value with a binary suffix is
/// at most 2^63 - 1. Decimal values are bounded by 10^28, where upstream's are not. Two quantities are equal when their values are, whatever their format.
package struct Quantity: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The suffixes with which a quantity is written.
    package enum Format: Sendable, Hashable {
        /// `n u m k M G T P E`
        case decimalSI
        /// `Ki Mi Gi Ti Pi Ei`
        case binarySI
        /// `e3`, `E6`
        case decimalExponent
    }

    /// The value in units of 10^-9.
    package private(set) var nanoValue: Int128
    package private(set) var format: Format
    /// The text from which this was read, where upstream writes that again instead of the canonical form.
    private var source: String?

    private static let nanosPerUnit: Int128 = 1_000_000_000
    private static let largestBinary = Int128(Int64.max) * nanosPerUnit
    private static let largest: Int128 = 10_000_000_000_000_000_000_000_000_000 * nanosPerUnit

    private init(nanoValue: Int128, format: Format) {
        self.nanoValue = min(max(nanoValue, -Self.largest), Self.largest)
        self.format = format
    }

    package static let zero = Quantity(0)

    package init(_ value: Int, format: Format = .decimalSI) {
        self.init(nanoValue: Int128(value) * Self.nanosPerUnit, format: format)
    }

    package init(milli value: Int, format: Format = .decimalSI) {
        self.init(nanoValue: Int128(value) * 1_000_000, format: format)
    }

    /// The value in whole units, rounded up (away from zero).
    package var value: Int { Int(clamping: Self.divide(nanoValue, by: Self.nanosPerUnit)) }

    /// The value in thousandths, rounded up (away from zero): CPU shares.
    package var milliValue: Int { Int(clamping: Self.divide(nanoValue, by: 1_000_000)) }

    package var double: Double { Double(nanoValue) / 1e9 }
    package var isZero: Bool { nanoValue == 0 }
    package var isNegative: Bool { nanoValue < 0 }
    /// Whether the value has no fraction.
    package var isInteger: Bool { nanoValue % Self.nanosPerUnit == 0 }
    /// Whether the value is a whole number of thousandths.
    package var isMilliInteger: Bool { nanoValue % 1_000_000 == 0 }

    private static func divide(_ value: Int128, by divisor: Int128) -> Int128 {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder == 0 ? quotient : quotient + value.signum()
    }

    package static func == (left: Quantity, right: Quantity) -> Bool { left.nanoValue == right.nanoValue }
    package func hash(into hasher: inout Hasher) { hasher.combine(nanoValue) }
    package static func < (left: Quantity, right: Quantity) -> Bool { left.nanoValue < right.nanoValue }

    /// The sum, in the format of the left side unless that is zero.
    package static func + (left: Quantity, right: Quantity) -> Quantity {
        .init(nanoValue: left.nanoValue + right.nanoValue, format: left.isZero ? right.format : left.format)
    }

    package static func - (left: Quantity, right: Quantity) -> Quantity {
        .init(nanoValue: left.nanoValue - right.nanoValue, format: left.isZero ? right.format : left.format)
    }

    package static func += (left: inout Quantity, right: Quantity) { left = left + right }
    package static func -= (left: inout Quantity, right: Quantity) { left = left - right }
}

// MARK: - Canonical form

extension Quantity {
    /// The canonical text: no fraction, no precision lost, the largest possible suffix. Texts that upstream takes for
    /// canonical when it reads them (`1E3`, `+5`) stay as they are.
    package var description: String {
        if let source { return source }
        if nanoValue == 0 { return "0" }
        if format == .binarySI, isInteger, abs(nanoValue) >= 1024 * Self.nanosPerUnit { return binaryText }
        var mantissa = nanoValue
        var exponent = -9
        while mantissa % 1000 == 0, exponent < 18 {
            mantissa /= 1000
            exponent += 3
        }
        return "\(mantissa)\(Self.suffix(exponent, format))"
    }

    private var binaryText: String {
        var mantissa = nanoValue / Self.nanosPerUnit
        var power = 0
        while mantissa % 1024 == 0, power < Self.binarySuffixes.count - 1 {
            mantissa /= 1024
            power += 1
        }
        return "\(mantissa)\(Self.binarySuffixes[power])"
    }

    private static let binarySuffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
    private static let decimalSuffixes = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]

    private static func suffix(_ exponent: Int, _ format: Format) -> String {
        if format == .decimalExponent { return exponent == 0 ? "" : "e\(exponent)" }
        return decimalSuffixes[(exponent + 9) / 3]
    }
}

// MARK: - Parsing

/// Why a text is not a quantity, in upstream's words.
package struct QuantityError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    static let format = QuantityError(
        description: "quantities must match the regular expression "
            + "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    static let suffix = QuantityError(description: "unable to parse quantity's suffix")
}

extension Quantity {
    /// Parses a quantity, `500m`, `1.5Gi`, `1e3`. A missing number is zero, as upstream has it.
    package init(_ text: String) throws(QuantityError) {
        var rest = text.utf8[...]
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        let isDigit: (UInt8) -> Bool = { (0x30...0x39).contains($0) }
        let whole = rest.prefix(while: isDigit)
        rest = rest.dropFirst(whole.count)
        var fraction = rest[rest.startIndex..<rest.startIndex]
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            fraction = rest.prefix(while: isDigit)
            rest = rest.dropFirst(fraction.count)
        }
        guard !text.isEmpty, Self.isSuffixShaped(rest) else { throw .format }
        let suffix = try Suffix(rest)
        let number = Array(whole.drop { $0 == 0x30 })
        let largest = suffix.format == .binarySI ? Self.largestBinary : Self.largest
        let magnitude = suffix.scale(whole: number, fraction: Array(fraction), largest: largest)
        self.init(nanoValue: isNegative ? -magnitude : magnitude, format: suffix.format)
        if suffix.keepsText(whole: number, fraction: Array(fraction)) { source = text }
    }

    /// Reads a quantity from a string or number; nil for anything else and for malformed text.
    package init?(_ json: JSON?) {
        let text: String
        switch json {
        case .string(let string)?: text = string
        case .int(let integer)?: text = String(integer)
        case .double(let double)?: text = double.description
        default: return nil
        }
        guard let parsed = try? Quantity(text) else { return nil }  // The caller asks only whether it is one.
        self = parsed
    }

    private static func isSuffixShaped(_ text: Substring.UTF8View) -> Bool {
        var rest = text.drop { "eEinumkKMGTP".utf8.contains($0) }
        if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        return rest.allSatisfy { (0x30...0x39).contains($0) }
    }

    /// A parsed suffix: a power of ten or of two.
    private struct Suffix {
        var decimalExponent = 0
        var binaryExponent = 0
        var format = Format.decimalSI

        /// Exponents beyond these make every number the largest, or the smallest.
        static let exponentBound = 1_000

        init(_ utf8: Substring.UTF8View) throws(QuantityError) {
            let text = String(Substring(utf8))
            if let index = Quantity.decimalSuffixes.firstIndex(of: text) {
                decimalExponent = index * 3 - 9
            } else if let index = Quantity.binarySuffixes.firstIndex(of: text) {
                binaryExponent = index * 10
                format = .binarySI
            } else if text.first == "e" || text.first == "E", let exponent = Int(text.dropFirst()) {
                decimalExponent = min(max(exponent, -Self.exponentBound), Self.exponentBound)
                format = .decimalExponent
            } else {
                throw .suffix
            }
        }

        /// `whole.fraction` times the suffix, in nanos, capped.
        func scale(whole: [UInt8], fraction: [UInt8], largest: Int128) -> Int128 {
            if format == .binarySI { return scaleBinary(whole: whole, fraction: fraction, largest: largest) }
            let digits = (whole + fraction).map { Int128($0 - 0x30) }
            let shift = decimalExponent + 9 - fraction.count
            var value: Int128 = 0
            for (index, digit) in digits.enumerated() {
                if digits.count - index <= -shift {
                    // What is finer than a nano rounds up.
                    return digits[index...].contains { $0 != 0 } ? value + 1 : value
                }
                value = value * 10 + digit
                if value > largest { return largest }
            }
            for _ in 0..<max(shift, 0) where value != 0 {
                value *= 10
                if value > largest { return largest }
            }
            return value
        }

        /// Whether upstream's fast path takes a number for canonical (`ParseQuantity`).
        func keepsText(whole: [UInt8], fraction: [UInt8]) -> Bool {
            let digits = (whole.isEmpty ? [0x30] : whole) + fraction
            if format == .binarySI {
                let precision = 15 - digits.count - Int(Float(binaryExponent) * 3 / 10) - 1
                return fraction.isEmpty && precision >= 0
                    && digits.reduce(0) { $0 * 10 + Int($1 - 0x30) } & 7 != 0
            }
            let scale = decimalExponent - fraction.count
            return digits.count <= 18 && scale >= -9 && scale % 3 == 0 && digits.first != 0x30
                && !digits.suffix(3).elementsEqual([0x30, 0x30, 0x30])
        }

        private func scaleBinary(whole: [UInt8], fraction: [UInt8], largest: Int128) -> Int128 {
            let factor = Int128(1) << binaryExponent
            var units: Int128 = 0
            for digit in whole {
                units = units * 10 + Int128(digit - 0x30)
                if units > largest { return largest }
            }
            if units * 1_000_000_000 > largest / factor { return largest }
            var nanos = units * 1_000_000_000 * factor
            let padded = fraction + Array(repeating: 0x30, count: max(0, 18 - fraction.count))
            let number = { (digits: ArraySlice<UInt8>) in digits.reduce(Int128(0)) { $0 * 10 + Int128($1 - 0x30) } }
            nanos += number(padded[0..<9]) * factor
            nanos += Quantity.divide(number(padded[9..<18]) * factor, by: 1_000_000_000)
            return min(nanos, largest)
        }
    }
}
