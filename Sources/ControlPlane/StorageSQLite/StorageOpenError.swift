// SPDX-License-Identifier: Apache-2.0

/// Why a store cannot be opened: what was attempted, where, the cause and the remedy.
package struct StorageOpenError: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable, Hashable {
        /// Another process has it open.
        case inUse
        /// The file is damaged or no store.
        case corrupt
        /// A newer version made it.
        case tooNew
        /// Permissions, a missing medium, an I/O error.
        case inaccessible
    }

    package let kind: Kind
    package let path: String
    package let cause: String
    package let remedy: String

    package var description: String { "cannot open the store in \(path): \(cause); \(remedy)" }
}
