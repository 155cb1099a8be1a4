// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// The line that `swiftlet add-node` prints and `swiftlet join` takes: `<address>:<port>/<token>/<ca-sha256>`.
package struct JoinLine: Hashable, Sendable, CustomStringConvertible {
    /// An IP address, or a host name.
    package let host: String
    package let port: Int
    package let token: JoinToken
    /// The SHA-256 of the cluster authority's certificate, 64 digits in lower case; nil where the line ends with the token.
    package let fingerprint: String?

    package init(host: String, port: Int, token: JoinToken, fingerprint: String?) {
        self.host = host
        self.port = port
        self.token = token
        self.fingerprint = fingerprint
    }

    /// Reads a line; white space around it does not matter.
    ///
    /// - Throws: ``JoinError`` that names the part which is wrong.
    package init(_ text: String) throws(JoinError) {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 1, let line = words.first else {
            throw Self.malformed("\"\(text)\" is \(words.count) words instead of one")
        }
        let parts = line.split(separator: "/", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count) else {
            throw Self.malformed("\"\(text)\" has \(parts.count) parts between slashes instead of three")
        }
        guard let (host, port) = Self.endpoint(parts[0]) else {
            throw Self.malformed("\"\(parts[0])\" is not an address with a port such as 192.168.1.20:16443")
        }
        guard let token = JoinToken(parts[1]) else {
            throw Self.malformed(
                "the token between the slashes must be 6 and 16 lower case letters or digits with a point between"
                    + " (it has \(parts[1].utf8.count) characters)")
        }
        if parts.count == 3 {
            let hash = parts[2].lowercased()
            guard hash.utf8.count == 64, hash.utf8.allSatisfy(Self.isHexadecimal) else {
                throw Self.malformed(
                    "the hash behind the last slash must be 64 hexadecimal digits (it has \(hash.utf8.count) characters)"
                )
            }
            self.init(host: host, port: port, token: token, fingerprint: hash)
        } else {
            self.init(host: host, port: port, token: token, fingerprint: nil)
        }
    }

    package var description: String {
        let line = "\(endpoint)/\(token)"
        return fingerprint.map { "\(line)/\($0)" } ?? line
    }

    /// `192.168.1.20:16443`, `[fd00::1]:16443`.
    package var endpoint: String { HostPort.text(host, port) }

    private static func malformed(_ reason: String) -> JoinError {
        JoinError("read the join line", reason: reason, remedy: "copy the whole line that 'swiftlet add-node' printed")
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    private static func endpoint(_ text: Substring) -> (host: String, port: Int)? {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65535).contains(port)
        else { return nil }
        let host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            guard let address = IPAddress(host.dropFirst().dropLast()), address.isV6 else { return nil }
            return ("\(address)", port)
        }
        if let address = IPAddress(host) { return address.isV4 ? ("\(address)", port) : nil }
        return isHostName(host) ? (String(host), port) : nil
    }

    /// RFC 1123, section 2.1. A name of digits and points alone is an address that is wrong.
    private static func isHostName(_ text: Substring) -> Bool {
        guard (1...253).contains(text.utf8.count), text.utf8.contains(where: { $0 >= UInt8(ascii: "A") }) else {
            return false
        }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
                && label.utf8.allSatisfy { $0 == UInt8(ascii: "-") || isAlphanumeric($0) }
        }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }
}
