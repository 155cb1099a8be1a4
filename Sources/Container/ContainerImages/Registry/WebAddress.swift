// SPDX-License-Identifier: Apache-2.0

/// An http or https address, cut into what redirects and credentials are decided by (RFC 3986, RFC 6454).
struct WebAddress: Hashable, Sendable, CustomStringConvertible {
    let scheme: String
    /// Host and port as written.
    let authority: String
    /// Path and query, with the leading slash.
    var target: String

    init?(_ text: String) {
        guard let colon = text.range(of: "://") else { return nil }
        scheme = text[..<colon.lowerBound].lowercased()
        guard scheme == "http" || scheme == "https" else { return nil }
        let rest = text[colon.upperBound...]
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        authority = String(rest[..<end])
        // An address with user information would send a password that nobody meant to send.
        guard !authority.isEmpty, !authority.contains("@") else { return nil }
        let tail = rest[end...].prefix { $0 != "#" }
        target = tail.hasPrefix("/") ? String(tail) : "/\(tail)"
        // Raw control characters or blanks would split the request.
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return nil }
    }

    private init(scheme: String, authority: String, target: String) {
        self.scheme = scheme
        self.authority = authority
        self.target = target
    }

    var description: String { "\(scheme)://\(authority)\(target)" }

    /// Scheme, host and port: credentials for one origin are not for another.
    var origin: String {
        let hasPort = authority.contains(":") && !authority.hasSuffix("]")
        return "\(scheme)://\(authority.lowercased())" + (hasPort ? "" : scheme == "https" ? ":443" : ":80")
    }

    /// The address that a `Location` header of a response to this one means (RFC 3986, section 5.2, as far as servers go).
    func resolving(_ location: String) -> WebAddress? {
        if location.contains("://") { return WebAddress(location) }
        if location.hasPrefix("//") { return WebAddress("\(scheme):\(location)") }
        if location.hasPrefix("/") { return WebAddress("\(scheme)://\(authority)\(location)") }
        let path = target.prefix { $0 != "?" }
        let directory = path[...(path.lastIndex(of: "/") ?? path.startIndex)]
        return WebAddress("\(scheme)://\(authority)\(directory)\(location)")
    }

    /// The address with a path, and parameters of the query, appended.
    func appending(_ path: String, query: [(String, String)] = []) -> WebAddress {
        let base = target.hasSuffix("/") ? String(target.dropLast()) : target
        var text = base + path
        for (key, value) in query {
            text += text.contains("?") ? "&" : "?"
            text += "\(Self.escape(key))=\(Self.escape(value))"
        }
        return WebAddress(scheme: scheme, authority: authority, target: text)
    }

    /// Percent-encoding for a query or a form (RFC 3986, section 2.1).
    static func escape(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += digits.utf8.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return result
    }
}

extension String {
    /// The first occurrence of `part`; Foundation has the like, which this module does without.
    fileprivate func range(of part: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(part), let end = index(start, offsetBy: part.count, limitedBy: endIndex) {
                return start..<end
            }
            start = index(after: start)
        }
        return nil
    }
}
