// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// A request to the kernel's network configuration that failed: what was attempted, on what, and the kernel's reason.
package struct NetlinkError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was attempted, `create the link`.
    package let operation: String
    /// The link, address or route concerned.
    package let subject: String
    /// The kernel's error number (errno(3)), positive.
    package let errno: Int32
    /// The kernel's own explanation (extended acknowledgement); empty where it gave none.
    package let explanation: String

    package init(_ operation: String, _ subject: String, errno: Int32, explanation: String = "") {
        self.operation = operation
        self.subject = subject
        self.errno = errno
        self.explanation = explanation
    }

    package var description: String {
        let reason = SystemError("", errno: errno).reason
        return "cannot \(operation) \(subject): \(reason)" + (explanation.isEmpty ? "" : " (\(explanation))")
    }

    /// Error numbers that callers decide on (errno(3)).
    package static let exists: Int32 = 17
    package static let noDevice: Int32 = 19
    package static let notFound: Int32 = 2
    package static let noProcess: Int32 = 3
    package static let addressNotAvailable: Int32 = 99
    static let badMessage: Int32 = 74
    static let tryAgain: Int32 = 11

    /// Whether the object of the request does not exist (any more).
    package var isMissing: Bool {
        [Self.notFound, Self.noDevice, Self.noProcess, Self.addressNotAvailable].contains(errno)
    }
}
