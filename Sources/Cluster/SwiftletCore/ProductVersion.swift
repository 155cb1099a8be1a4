// SPDX-License-Identifier: Apache-2.0

/// What this is, for `swiftlet version`, `/version` and the node's status.
package enum ProductVersion {
    /// Swiftlet's own version (semantic versioning).
    package static let swiftlet = "0.1.0"
    /// The upstream release whose API is served.
    package static let kubernetes = "v1.36.0"
    /// `gitVersion` of the API server and the kubelet's version.
    package static let git = "\(kubernetes)+swiftlet.\(swiftlet)"
}
