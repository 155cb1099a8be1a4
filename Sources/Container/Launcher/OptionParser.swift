// SPDX-License-Identifier: Apache-2.0

/// Splits command-line arguments into options and the rest, as the other runtimes do.
struct OptionParser {
    /// Names of options without a value.
    var flags: Set<String> = []
    /// Names of options with a value.
    var values: Set<String> = []
    /// Short names.
    var short: [Character: String] = [:]
    /// Whether options end at the first argument that is none: what follows belongs to another program.
    var stopsAtFirstArgument = false

    struct Result: Equatable {
        var options: [String: [String]] = [:]
        var arguments: [String] = []

        func has(_ name: String) -> Bool {
            guard let text = options[name]?.last else { return false }
            return text != "false"
        }
        func value(_ name: String) -> String? { options[name]?.last }
        func values(_ name: String) -> [String] { options[name] ?? [] }
    }

    func parse(_ arguments: [String]) throws(LauncherError) -> Result {
        var result = Result()
        var index = 0
        while index < arguments.count {
            let argument = arguments[index]
            index += 1
            if argument == "--" {
                result.arguments += arguments[index...]
                return result
            }
            guard argument.hasPrefix("-"), argument.count > 1 else {
                if stopsAtFirstArgument {
                    result.arguments += arguments[(index - 1)...]
                    return result
                }
                result.arguments.append(argument)
                continue
            }
            try parseOption(argument, arguments, &index, &result)
        }
        return result
    }

    private func parseOption(
        _ argument: String, _ arguments: [String], _ index: inout Int, _ result: inout Result
    ) throws(LauncherError) {
        let body = argument.drop { $0 == "-" }
        let parts = body.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        var name = String(parts.first ?? "")
        let isShort = !argument.hasPrefix("--")
        if isShort, name.count > 1, !flags.contains(name), !values.contains(name), parts.count == 1 {
            // -it: several short flags in one
            for letter in name {
                guard let long = short[letter], flags.contains(long) else {
                    throw LauncherError("unknown option \(argument)")
                }
                result.options[long, default: []].append("true")
            }
            return
        }
        if name.count == 1, let letter = name.first, let long = short[letter] { name = long }
        if flags.contains(name) {
            result.options[name, default: []].append(parts.count > 1 ? String(parts[1]) : "true")
        } else if values.contains(name) {
            if parts.count > 1 {
                result.options[name, default: []].append(String(parts[1]))
            } else {
                guard index < arguments.count else { throw LauncherError("option \(argument) needs a value") }
                result.options[name, default: []].append(arguments[index])
                index += 1
            }
        } else {
            throw LauncherError("unknown option \(argument)")
        }
    }
}
