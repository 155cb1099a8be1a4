// SPDX-License-Identifier: Apache-2.0

/// The syntax of names, with the words in which upstream explains what is wrong
/// (`apimachinery/pkg/util/validation`, `apimachinery/pkg/api/validation`). No problem, no text.
package enum NameSyntax {
    private static let label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

    static func isLower(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) }
    static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    static func isLetter(_ byte: UInt8) -> Bool { isLower(byte | 0x20) }
    private static let dash = UInt8(ascii: "-")

    private static func isLabel(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last, first != dash, last != dash else { return false }
        return text.utf8.allSatisfy { isLower($0) || isDigit($0) || $0 == dash }
    }

    private static func isSubdomain(_ text: String) -> Bool {
        text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { isLabel($0) }
    }

    private static func tooLong(_ text: String, _ maximum: Int) -> [String] {
        text.utf8.count > maximum ? ["must be no more than \(maximum) bytes"] : []
    }

    static func regex(_ message: String, _ format: String, _ examples: String...) -> String {
        if examples.isEmpty { return "\(message) (regex used for validation is '\(format)')" }
        let shown = examples.map { "'\($0)', " }.joined(separator: " or ")
        return "\(message) (e.g. \(shown)regex used for validation is '\(format)')"
    }

    /// A kernel variable's name, `kernel.shm_rmid_forced` or with slashes (upstream: validateSysctls).
    static func sysctl(_ text: String) -> [String] {
        let segments = text.split(omittingEmptySubsequences: false) { $0 == "." || $0 == "/" }
        let isEdge = { (byte: UInt8?) in byte.map { isLower($0) || isDigit($0) } ?? false }
        let isFine = segments.allSatisfy { segment in
            isEdge(segment.utf8.first) && isEdge(segment.utf8.last)
                && segment.utf8.allSatisfy { isEdge($0) || $0 == dash || $0 == UInt8(ascii: "_") }
        }
        if isFine, text.utf8.count <= 253 { return [] }
        let segment = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
        return ["must have at most 253 characters and match regex ^(\(segment)[\\./])*\(segment)$"]
    }

    static func dns1123Label(_ text: String) -> [String] {
        var problems = tooLong(text, 63)
        if isLabel(text[...]) { return problems }
        if isSubdomain(text) {
            problems.append("must not contain dots")
        } else {
            problems.append(
                regex(
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
                        + "start and end with an alphanumeric character", label, "my-name", "123-abc"))
        }
        return problems
    }

    package static func dns1123Subdomain(_ text: String) -> [String] {
        var problems = tooLong(text, 253)
        if !isSubdomain(text) {
            problems.append(
                regex(
                    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
                        + "and must start and end with an alphanumeric character", "\(label)(\\.\(label))*",
                    "example.com"))
        }
        return problems
    }

    static func dns1035Label(_ text: String) -> [String] {
        var problems = tooLong(text, 63)
        if !isLabel(text[...]) || text.utf8.first.map(isLower) != true {
            problems.append(
                regex(
                    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
                        + "alphabetic character, and end with an alphanumeric character", "[a-z]([-a-z0-9]*[a-z0-9])?",
                    "my-name", "abc-123"))
        }
        return problems
    }

    static func wildcardSubdomain(_ text: String) -> [String] {
        var problems = tooLong(text, 253)
        if !text.hasPrefix("*.") || !isSubdomain(String(text.dropFirst(2))) {
            problems.append(
                regex(
                    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
                        + "must consist of lower case alphanumeric characters, '-' or '.' and end with an "
                        + "alphanumeric character", "\\*\\.\(label)(\\.\(label))*", "*.example.com"))
        }
        return problems
    }

    /// Names of RBAC objects: anything that is one segment of a path.
    static func pathSegment(_ text: String) -> [String] {
        if text == "." || text == ".." { return ["may not be '\(text)'"] }
        return ["/", "%"].filter { text.contains($0) }.map { "may not contain '\($0)'" }
    }

    static func portName(_ text: String) -> [String] {
        var problems = tooLong(text, 15)
        let utf8 = text.utf8
        if utf8.isEmpty || !utf8.allSatisfy({ isLower($0) || isDigit($0) || $0 == dash }) {
            problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
        }
        if !utf8.contains(where: isLower) { problems.append("must contain at least one letter (a-z)") }
        if text.contains("--") { problems.append("must not contain consecutive hyphens") }
        if utf8.first == dash || utf8.last == dash { problems.append("must not begin or end with a hyphen") }
        return problems
    }

    /// Environment variables may have any printable ASCII name without `=`.
    static func environmentName(_ text: String) -> [String] {
        if text.isEmpty { return ["environment variable name must be non-empty"] }
        if text.utf8.allSatisfy({ (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "=") }) { return [] }
        return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]
    }

    static func configKey(_ text: String) -> [String] {
        var problems = tooLong(text, 253)
        let isValid = text.utf8.allSatisfy { isLetter($0) || isDigit($0) || "-_.".utf8.contains($0) }
        if text.isEmpty || !isValid {
            problems.append(
                regex(
                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'", "[-._a-zA-Z0-9]+",
                    "key.name", "KEY_NAME", "key-name"))
        }
        if text == "." || text == ".." {
            problems.append("must not be '\(text)'")
        } else if text.hasPrefix("..") {
            problems.append("must not start with '..'")
        }
        return problems
    }

    static func headerName(_ text: String) -> [String] {
        if !text.isEmpty, text.utf8.allSatisfy({ isLetter($0) || isDigit($0) || $0 == dash }) { return [] }
        return [
            regex(
                "a valid HTTP header must consist of alphanumeric characters or '-'", "[-A-Za-z0-9]+", "X-Header-Name")
        ]
    }

    static func port(_ number: Int) -> [String] { range(number, 1...65535) }

    static func range(_ number: Int, _ range: ClosedRange<Int>) -> [String] {
        range.contains(number) ? [] : ["must be between \(range.lowerBound) and \(range.upperBound), inclusive"]
    }

    /// A name that is to be completed by a random suffix may end in a dash.
    static func prefix(_ text: String, _ rule: (String) -> [String]) -> [String] {
        guard text.utf8.count > 1, text.hasSuffix("-") else { return rule(text) }
        return rule(text.dropLast(2) + "a")
    }
}

/// IP addresses and ranges in text form (RFC 4291, RFC 5952); no zone identifiers.
enum AddressSyntax {
    static func isIPv4(_ text: some StringProtocol) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy(NameSyntax.isDigit) else { return false }
                return (Int(part) ?? 256) < 256 && (part == "0" || !part.hasPrefix("0"))
            }
    }

    static func isIPv6(_ text: some StringProtocol) -> Bool {
        let halves = text.split(separator: "::", omittingEmptySubsequences: false)
        guard text.contains(":"), halves.count <= 2 else { return false }
        var count = 0
        for (index, half) in halves.enumerated() where !half.isEmpty {
            let groups = half.split(separator: ":", omittingEmptySubsequences: false)
            for (position, group) in groups.enumerated() {
                let isLast = index == halves.count - 1 && position == groups.count - 1
                if isLast, group.contains("."), isIPv4(group) {
                    count += 2
                } else if (1...4).contains(group.utf8.count), group.allSatisfy(\.isHexDigit) {
                    count += 1
                } else {
                    return false
                }
            }
        }
        return halves.count == 2 ? count < 8 : count == 8
    }

    static func isAddress(_ text: String) -> Bool { isIPv4(text) || isIPv6(text) }

    static func isRange(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let length = Int(parts[1]), parts[1].utf8.allSatisfy(NameSyntax.isDigit) else {
            return false
        }
        return isIPv4(parts[0]) && length <= 32 || isIPv6(parts[0]) && length <= 128
    }
}
