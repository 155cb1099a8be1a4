// SPDX-License-Identifier: Apache-2.0

import KubeAPI

/// The name that a machine has in multicast DNS.
package enum LocalHostName {
    /// `pi.local` for a machine with the host name `Pi` or `pi.example.com`: the first label, below `local` (RFC 6762, 3).
    ///
    /// - Returns: nil where that is no name by which others could mean this machine.
    package static func name(of hostName: String) -> String? {
        let label = String(hostName.lowercased().prefix { $0 != "." })
        guard NameSyntax.dns1123Subdomain(label).isEmpty, label.utf8.count <= 63, label != "localhost" else {
            return nil
        }
        return "\(label).local"
    }
}
