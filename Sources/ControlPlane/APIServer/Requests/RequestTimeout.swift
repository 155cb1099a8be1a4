// SPDX-License-Identifier: Apache-2.0

import KubeAPI

extension QueryParameters {
    /// Refuses a `timeout` that is no duration. One that is says how long the client waits: the server's own limit is
    /// what ends requests here.
    ///
    /// - Throws: `BadRequest`, in the words of Go's `time.ParseDuration`.
    func checkTimeout() throws(StatusError) {
        guard let text = self["timeout"], !text.isEmpty, let problem = GoDurationSyntax.problem(in: text) else {
            return
        }
        throw .badRequest("invalid timeout specified in the request URL - \(problem)")
    }
}

/// The syntax of Go's durations: `1h15m30.5s`.
enum GoDurationSyntax {
    private static let units: Set<String> = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"]

    /// What is wrong with a duration; nil if nothing is.
    static func problem(in text: String) -> String? {
        let invalid = "time: invalid duration \"\(text)\""
        var rest = text[...]
        if let sign = rest.first, sign == "-" || sign == "+" { rest.removeFirst() }
        if rest == "0" { return nil }
        if rest.isEmpty { return invalid }
        while !rest.isEmpty {
            let number = rest.prefix { isDigit($0) || $0 == "." }
            guard number.contains(where: isDigit), number.filter({ $0 == "." }).count < 2 else { return invalid }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { !isDigit($0) && $0 != "." }
            if unit.isEmpty { return "time: missing unit in duration \"\(text)\"" }
            guard units.contains(String(unit)) else {
                return "time: unknown unit \"\(unit)\" in duration \"\(text)\""
            }
            rest = rest.dropFirst(unit.count)
        }
        return nil
    }

    private static func isDigit(_ character: Character) -> Bool { ("0"..."9").contains(character) }
}
