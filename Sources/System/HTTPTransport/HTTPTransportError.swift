// SPDX-License-Identifier: Apache-2.0

/// Why the transport could not do something: what was attempted and the reason.
package struct HTTPTransportError: Error, Sendable, CustomStringConvertible {
    /// `listen on 0.0.0.0:16443`.
    package let attempt: String
    package let reason: String

    package init(_ attempt: String, reason: String) {
        self.attempt = attempt
        self.reason = reason
    }

    package var description: String { "cannot \(attempt): \(reason)" }

    /// The peer has gone while an answer or a stream was being written or read.
    static let connectionClosed = HTTPTransportError("go on", reason: "the peer closed the connection")
}
