// SPDX-License-Identifier: Apache-2.0

/// Why a board could not join, leave or be removed: what was attempted, the cause and what to do.
package struct JoinError: Error, Hashable, Sendable, CustomStringConvertible {
    package let operation: String
    package let reason: String
    package let remedy: String

    package init(_ operation: String, reason: String, remedy: String) {
        self.operation = operation
        self.reason = reason
        self.remedy = remedy
    }

    package var description: String { "cannot \(operation): \(reason); \(remedy)" }
}
