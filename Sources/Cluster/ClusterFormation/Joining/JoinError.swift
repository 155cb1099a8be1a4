// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

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

    package var description: String { "cannot \(operation): \(reason); \(remedy)" }
}
