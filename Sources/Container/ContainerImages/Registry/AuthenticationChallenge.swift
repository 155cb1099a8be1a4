// SPDX-License-Identifier: Apache-2.0

/// One challenge of a `WWW-Authenticate` header (RFC 9110, section 11.6.1): a scheme and its parameters.
struct AuthenticationChallenge: Hashable, Sendable {
    /// In lower case: `bearer`, `basic`.
    let scheme: String
    /// By names in lower case.
    let parameters: [String: String]

    /// Parses the challenges of a header, which may hold several.
    static func parse(_ header: String) -> [AuthenticationChallenge] {
        var scanner = Scanner(rest: Array(header.utf8)[...])
        var result: [AuthenticationChallenge] = []
        var scheme = ""
        var parameters: [String: String] = [:]
        // Bounded by the header's length, because every turn consumes something.
        while true {
            scanner.skip { $0 == 0x20 || $0 == 0x09 || $0 == UInt8(ascii: ",") }
            let word = scanner.token()
            if word.isEmpty { break }
            scanner.skip { $0 == 0x20 || $0 == 0x09 }
            if scanner.consume(UInt8(ascii: "=")) {
                scanner.skip { $0 == 0x20 || $0 == 0x09 }
                parameters[word.lowercased()] = scanner.value()
            } else {
                if !scheme.isEmpty { result.append(.init(scheme: scheme, parameters: parameters)) }
                (scheme, parameters) = (word.lowercased(), [:])
            }
        }
        if !scheme.isEmpty { result.append(.init(scheme: scheme, parameters: parameters)) }
        return result
    }

    private struct Scanner {
        var rest: ArraySlice<UInt8>

        mutating func skip(_ isSkipped: (UInt8) -> Bool) { rest = rest.drop(while: isSkipped) }

        mutating func consume(_ byte: UInt8) -> Bool {
            guard rest.first == byte else { return false }
            rest = rest.dropFirst()
            return true
        }

        mutating func token() -> String {
            let isSeparator = { (byte: UInt8) in byte <= 0x20 || byte == 0x2C || byte == 0x3D || byte == 0x22 }
            let word = rest.prefix { !isSeparator($0) }
            rest = rest[word.endIndex...]
            return String(decoding: word, as: UTF8.self)
        }

        mutating func value() -> String {
            guard consume(UInt8(ascii: "\"")) else { return token() }
            var text: [UInt8] = []
            while let byte = rest.first {
                rest = rest.dropFirst()
                if byte == UInt8(ascii: "\"") { break }
                if byte == UInt8(ascii: "\\"), let escaped = rest.first {
                    text.append(escaped)
                    rest = rest.dropFirst()
                } else {
                    text.append(byte)
                }
            }
            return String(decoding: text, as: UTF8.self)
        }
    }
}
