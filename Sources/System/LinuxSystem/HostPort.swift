// SPDX-License-Identifier: Apache-2.0

/// A host and a port in one text, as URLs, headers and messages have them (RFC 3986, 3.2.2).
package enum HostPort {
    /// `192.168.1.20:16443`, `pi.local:80`, `[fd00::1]:16443`.
    package static func text(_ host: String, _ port: Int) -> String { "\(bracketed(host)):\(port)" }

    /// The host, without brackets, and the port of such a text, where there may be none; nil if it is neither.
    package static func split(_ text: String, defaultPort: Int) -> (host: String, port: Int)? {
        let end = text.hasPrefix("[") ? text.firstIndex(of: "]").map(text.index(after:)) : text.firstIndex(of: ":")
        let host = text[..<(end ?? text.endIndex)]
        let rest = text[host.endIndex...]
        guard !host.isEmpty, rest.isEmpty || rest.hasPrefix(":") else { return nil }
        let port = rest.count < 2 ? defaultPort : Int(rest.dropFirst()) ?? 0
        guard (1...65535).contains(port), host.hasPrefix("[") == host.hasSuffix("]") else { return nil }
        return (String(host.hasPrefix("[") ? host.dropFirst().dropLast() : host), port)
    }

    /// `[fd00::1]`, where the colons of an IPv6 address could be taken for the port's; other hosts as they are.
    package static func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }
}
