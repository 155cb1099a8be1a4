// SPDX-License-Identifier: Apache-2.0

/// The syntax of a CronJob's schedule: five fields or a descriptor (`robfig/cron` standard parser).
enum CronSchedule {
    private static let fields: [(name: String, range: ClosedRange<Int>, names: [String])] = [
        ("minute", 0...59, []), ("hour", 0...23, []), ("day of month", 1...31, []),
        ("month", 1...12, ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
        ("day of week", 0...6, ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
    ]
    private static let descriptors: Set<String> = [
        "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly",
    ]

    /// What is wrong with a schedule; nil if nothing is.
    static func problem(in schedule: String) -> String? {
        if schedule.contains("TZ") {
            return "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        }
        if schedule.hasPrefix("@every ") { return isDuration(schedule.dropFirst(7)) ? nil : unrecognised(schedule) }
        if schedule.hasPrefix("@") { return descriptors.contains(schedule) ? nil : unrecognised(schedule) }
        let parts = schedule.split(whereSeparator: \.isWhitespace)
        guard parts.count == fields.count else {
            return "expected exactly 5 fields, found \(parts.count): [\(parts.joined(separator: " "))]"
        }
        for (part, field) in zip(parts, fields) {
            for element in part.split(separator: ",", omittingEmptySubsequences: false) {
                if let problem = problem(in: element, field.range, field.names) { return problem }
            }
        }
        return nil
    }

    private static func unrecognised(_ schedule: String) -> String { "unrecognized descriptor: \(schedule)" }

    /// An element: `*`, `5`, `1-5`, `*/10`, `mon-fri`.
    private static func problem(in element: Substring, _ range: ClosedRange<Int>, _ names: [String]) -> String? {
        let halves = element.split(separator: "/", omittingEmptySubsequences: false)
        if halves.count > 2 { return "too many slashes: \(element)" }
        if halves.count == 2 {
            guard let step = Int(halves[1]), step >= 0 else {
                return "failed to parse int from \(halves[1]): strconv.Atoi: parsing \"\(halves[1])\": invalid syntax"
            }
            if step == 0 { return "step of range should be a positive number: \(element)" }
        }
        if halves[0] == "*" || halves[0] == "?" { return nil }
        let bounds = halves[0].split(separator: "-", omittingEmptySubsequences: false)
        if bounds.count > 2 { return "too many hyphens: \(element)" }
        var values: [Int] = []
        for bound in bounds {
            let named = names.firstIndex(of: bound.lowercased()).map { $0 + range.lowerBound }
            guard let value = named ?? (bound.utf8.allSatisfy(NameSyntax.isDigit) ? Int(bound) : nil) else {
                return "failed to parse int from \(bound): strconv.Atoi: parsing \"\(bound)\": invalid syntax"
            }
            values.append(value)
        }
        let first = values[0]
        let last = values.count == 2 ? values[1] : first
        if first < range.lowerBound {
            return "beginning of range (\(first)) below minimum (\(range.lowerBound)): \(element)"
        }
        if last > range.upperBound { return "end of range (\(last)) above maximum (\(range.upperBound)): \(element)" }
        return first > last ? "beginning of range (\(first)) beyond end of range (\(last)): \(element)" : nil
    }

    /// Go's durations: numbers with units, `1h30m`.
    private static func isDuration(_ text: Substring) -> Bool {
        var rest = text
        if rest.isEmpty { return false }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { !$0.isNumber && $0 != "." }
            rest = rest.dropFirst(unit.count)
            if Double(number) == nil || !["ns", "us", "µs", "ms", "s", "m", "h"].contains(String(unit)) {
                return false
            }
        }
        return true
    }
}
