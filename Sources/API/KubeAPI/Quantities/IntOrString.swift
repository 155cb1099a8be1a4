// SPDX-License-Identifier: Apache-2.0

package import JSON

/// A port or an amount given as a number, a name or a percentage (`apimachinery/pkg/util/intstr`).
package enum IntOrString: Sendable, Hashable, CustomStringConvertible {
    case int(Int)
    case string(String)

    /// Reads either form; nil for anything else.
    package init?(_ json: JSON?) {
        switch json {
        case .int(let value)?: self = .int(Int(value))
        case .string(let value)?: self = .string(value)
        default: return nil
        }
    }

    package var json: JSON {
        switch self {
        case .int(let value): JSON(value)
        case .string(let value): .string(value)
        }
    }

    package var description: String {
        switch self {
        case .int(let value): String(value)
        case .string(let value): value
        }
    }

    /// The percentage of `25%`; nil for other forms.
    package var percent: Int? {
        guard case .string(let text) = self, text.hasSuffix("%") else { return nil }
        let digits = text.dropLast()
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(digits)
    }

    /// The number, or the share of `total` that the percentage is; nil for other strings and on overflow.
    package func scaled(total: Int, roundUp: Bool) -> Int? {
        if case .int(let value) = self { return value }
        guard let percent else { return nil }
        let (product, overflow) = percent.multipliedReportingOverflow(by: total)
        if overflow { return nil }
        return product / 100 + (roundUp && product % 100 > 0 ? 1 : 0)
    }
}
