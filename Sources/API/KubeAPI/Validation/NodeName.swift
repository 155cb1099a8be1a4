// SPDX-License-Identifier: Apache-2.0

/// Names of nodes.
package enum NodeName {
    /// Whether a text can name a Node: an RFC 1123 subdomain.
    package static func isValid(_ text: String) -> Bool { NameSyntax.dns1123Subdomain(text).isEmpty }
}
