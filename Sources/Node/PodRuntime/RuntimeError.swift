// SPDX-License-Identifier: Apache-2.0

/// Something that the pod runtime could not do: what was attempted, on what, and why it failed.
package struct RuntimeError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of failure it is, for those who show it.
    package enum Kind: Hashable, Sendable {
        /// The configuration asks for something that is not there or not allowed.
        case configuration
        /// Namespaces, network or cgroups could not be made.
        case sandbox
        /// The container could not be created.
        case create
        /// The container's process could not be started: there is no such program, say.
        case start
        /// No such container.
        case notFound
        case other
    }

    package let kind: Kind
    /// `create container web`.
    package let operation: String
    package let reason: String
    /// The container concerned; empty where there is none.
    package var containerID = ""

    package init(_ kind: Kind, _ operation: String, _ reason: String) {
        self.kind = kind
        self.operation = operation
        self.reason = reason
    }

    package var description: String { operation.isEmpty ? reason : "\(operation): \(reason)" }
}
