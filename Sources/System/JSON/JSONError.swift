// SPDX-License-Identifier: Apache-2.0

/// Where and why a text is not JSON.
package struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, in the words of Go's `encoding/json`, which Kubernetes users know.
    package let reason: String
    /// Bytes before the one that is wrong.
    package let offset: Int
    /// The line of that byte, from 1.
    package let line: Int
    /// The byte's place in its line, from 1.
    package let column: Int

    package var description: String { "\(reason) (line \(line), column \(column))" }
}
