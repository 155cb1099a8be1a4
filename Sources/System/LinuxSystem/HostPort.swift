// SPDX-License-Identifier: Apache-2.0

/// A host and a port in one text, as URLs, headers and messages have them (RFC 3986, 3.2.2).
package enum HostPort {
    /// `192.168.1.20:16443`, `pi.local:80`, `[fd00::1]:16443`.
    package static func text(_ host: String, _ port: Int) -> String { "\(bracketed(host)):\(port)" }

    /// `[fd00::1]`, where the colons of an IPv6 address could be taken for the port's; other hosts as they are.
    package static func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }
}
