// SPDX-License-Identifier: Apache-2.0

/// Names of nodes.
package enum NodeName {
    /// The longest name, in bytes.
    package static let limit = 253

    /// Whether a text can name a Node: an RFC 1123 subdomain.
    package static func isValid(_ text: String) -> Bool { NameSyntax.dns1123Subdomain(text).isEmpty }

    /// Whether a name is, or looks like, one that the cluster's DNS gives to a Service or what is behind it
    /// (kubernetes.io, "DNS for Services and Pods": `name.namespace.svc`, and with the cluster's domain after it).
    package static func isOfService(_ name: String) -> Bool {
        name.lowercased().split(separator: ".", omittingEmptySubsequences: false).dropFirst(2).contains("svc")
    }
}
