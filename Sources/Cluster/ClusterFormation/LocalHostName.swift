// SPDX-License-Identifier: Apache-2.0

/// The name that a machine has in multicast DNS.
package enum LocalHostName {
    /// `pi.local` for a machine with the host name `Pi` or `pi.example.com`: the first label, below `local` (RFC 6762, 3).
    ///
    /// - Returns: nil where that is no name by which others could mean this machine.
    package static func name(of hostName: String) -> String? {
        let label = hostName.lowercased().prefix { $0 != "." }
        let isPlain = label.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x2D
        }
        guard isPlain, (1...63).contains(label.utf8.count), label != "localhost", !label.hasPrefix("-"),
            !label.hasSuffix("-")
        else { return nil }
        return "\(label).local"
    }
}
