// SPDX-License-Identifier: Apache-2.0

import KubeAPI

extension QueryParameters {
    /// How long the client waits, by its `timeout`; nil where it does not say, or says 0 or less.
    ///
    /// - Throws: `BadRequest` for what is no duration, in the words of Go's `time.ParseDuration`.
    func timeout() throws(StatusError) -> Duration? {
        guard let text = self["timeout"], !text.isEmpty else { return nil }
        do {
            let duration = try GoDuration.parse(text)
            return duration > .zero ? duration : nil
        } catch {
            throw .badRequest("invalid timeout specified in the request URL - \(error.message)")
        }
    }
}

/// Go's durations: `1h15m30.5s`.
enum GoDuration {
    /// What is wrong with a text.
    struct Problem: Error {
        let message: String
    }

    private static let nanoseconds: [String: Double] = [
        "ns": 1, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9,
    ]
    /// What Go's 64 bits hold.
    private static let longest = Double(Int64.max)

    static func parse(_ text: String) throws(Problem) -> Duration {
        let invalid = Problem(message: "time: invalid duration \"\(text)\"")
        var rest = text[...]
        var isNegative = false
        if let sign = rest.first, sign == "-" || sign == "+" {
            isNegative = sign == "-"
            rest.removeFirst()
        }
        if rest == "0" { return .zero }
        if rest.isEmpty { throw invalid }
        var total = 0.0
        while !rest.isEmpty {
            let number = rest.prefix { isDigit($0) || $0 == "." }
            guard number.contains(where: isDigit), number.filter({ $0 == "." }).count < 2 else { throw invalid }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { !isDigit($0) && $0 != "." }
            if unit.isEmpty { throw Problem(message: "time: missing unit in duration \"\(text)\"") }
            guard let size = nanoseconds[String(unit)] else {
                throw Problem(message: "time: unknown unit \"\(unit)\" in duration \"\(text)\"")
            }
            // Swift wants a digit on both sides of the point.
            let decimal = number.contains(".") ? "0\(number)0" : String(number)
            total += (Double(decimal) ?? 0) * size
            rest = rest.dropFirst(unit.count)
        }
        guard total < longest else { throw invalid }
        return .nanoseconds(Int64(isNegative ? -total : total))
    }

    private static func isDigit(_ character: Character) -> Bool { ("0"..."9").contains(character) }
}
