// SPDX-License-Identifier: Apache-2.0

package import JSON

/// Reads resource quantities as the node counts them: CPU in thousandths, everything else in whole units.
package enum ResourceAmount {
    /// A quantity in thousandths, rounded up; nil if it is missing or malformed.
    package static func milli(_ json: JSON?) -> Int64? {
        switch json {
        case .string(let text): scaled(text, 1000)
        case .int(let number): number.multipliedReportingOverflow(by: 1000).overflow ? nil : number * 1000
        case .double(let number): Int64(exactly: (number * 1000).rounded(.up))
        default: nil
        }
    }

    /// A quantity in whole units (bytes, say), rounded up; nil if it is missing or malformed.
    package static func units(_ json: JSON?) -> Int64? {
        switch json {
        case .string(let text): scaled(text, 1)
        case .int(let number): number
        case .double(let number): Int64(exactly: number.rounded(.up))
        default: nil
        }
    }

    /// The quantity times `scale`, rounded up (apimachinery: Quantity.ScaledValue).
    private static func scaled(_ text: String, _ scale: Double) -> Int64? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == "." || $0 == "-" || $0 == "+") }
        guard !digits.isEmpty else { return nil }
        let suffix = String(text.dropFirst(digits.count))
        guard let factor = factor(suffix) else { return nil }
        // Whole numbers stay exact however large; a fraction cannot be larger than what a double holds.
        if let whole = Int64(digits), factor >= 1 || scale >= 1 / factor {
            let product = whole.multipliedReportingOverflow(by: Int64((factor * scale).rounded()))
            return product.overflow ? Int64.max : product.partialValue
        }
        guard let number = Double(digits) else { return nil }
        let value = number * factor * scale
        // Decimal fractions have no exact double; what is a hair above a whole number is that number.
        let rounded = abs(value - value.rounded()) < 1e-6 ? value.rounded() : value.rounded(.up)
        return rounded < 9.2e18 ? Int64(rounded) : Int64.max
    }

    private static func factor(_ suffix: String) -> Double? {
        switch suffix {
        case "": return 1
        case "n": return 1e-9
        case "u": return 1e-6
        case "m": return 1e-3
        case "k": return 1e3
        case "M": return 1e6
        case "G": return 1e9
        case "T": return 1e12
        case "P": return 1e15
        case "E": return 1e18
        case "Ki": return 1024
        case "Mi": return 1_048_576
        case "Gi": return 1_073_741_824
        case "Ti": return 1_099_511_627_776
        case "Pi": return 1_125_899_906_842_624
        case "Ei": return 1_152_921_504_606_846_976
        default:
            guard let mark = suffix.first, mark == "e" || mark == "E", let power = Int(suffix.dropFirst()),
                abs(power) <= 18
            else { return nil }
            var value = 1.0
            for _ in 0..<abs(power) { value *= power < 0 ? 0.1 : 10 }
            return value
        }
    }
}
