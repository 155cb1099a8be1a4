// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// Why a board could not join, leave or be removed: what was attempted, the cause and what to do.
package struct JoinError: Error, Hashable, Sendable, CustomStringConvertible {
    package let operation: String
    package let reason: String
    package let remedy: String
    /// Whether one of the two did not accept the other's certificate.
    let isAboutCertificate: Bool

    package init(_ operation: String, reason: String, remedy: String) {
        self.init(operation, reason: reason, remedy: remedy, isAboutCertificate: false)
    }

    init(_ operation: String, reason: String, remedy: String, isAboutCertificate: Bool) {
        self.operation = operation
        self.reason = reason
        self.remedy = remedy
        self.isAboutCertificate = isAboutCertificate
    }

    /// Throws unless root runs this.
    package static func requireRoot(_ operation: String) throws(JoinError) {
        guard Processes.effectiveUserID == 0 else {
            throw JoinError(operation, reason: "this needs root", remedy: "run it with sudo")
        }
    }

    /// What is attempted needs room on a disk that has none; nothing is left of the attempt that would be in its own way.
    package static func diskFull(_ operation: String, _ error: SystemError) -> JoinError {
        JoinError(
            operation, reason: "the disk is full (\(error))", remedy: "free some space and run the same command again")
    }

    package var description: String { "cannot \(operation): \(reason); \(remedy)" }
}
