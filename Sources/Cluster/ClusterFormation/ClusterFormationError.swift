// SPDX-License-Identifier: Apache-2.0

/// Why the cluster's identity could not be had: what was attempted, on what file, the cause and what to do.
package struct ClusterFormationError: Error, Hashable, Sendable, CustomStringConvertible {
    package let operation: String
    package let path: String
    package let reason: String
    package let remedy: String

    package var description: String { "cannot \(operation) \(path): \(reason); \(remedy)" }
}
