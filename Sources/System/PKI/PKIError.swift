// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// A failed operation on keys, certificates or tokens: what was attempted, on what, and why it failed.
package struct PKIError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of failure this is, for callers that decide on it.
    package enum Kind: Hashable, Sendable {
        /// The input is not what it should be: broken PEM, DER or token.
        case malformed
        /// A signature, chain or claim did not hold.
        case untrusted
        /// The valid input asks for something that is not supported here.
        case unsupported
        /// libcrypto failed, for want of memory or entropy.
        case library
    }

    package let kind: Kind
    /// What was attempted, `parse a certificate`.
    package let operation: String
    /// Why it failed, in libcrypto's words where it gave any.
    package let reason: String

    package init(_ kind: Kind, _ operation: String, _ reason: String) {
        self.kind = kind
        self.operation = operation
        self.reason = reason
    }

    /// An error with the reasons in this thread's libcrypto error queue, which is emptied.
    static func openSSL(_ kind: Kind, _ operation: String) -> PKIError {
        var reasons: [String] = []
        while true {
            let code = ERR_get_error()
            if code == 0 { break }
            // The first entry is the root cause; four are plenty.
            if reasons.count < 4 { reasons.append(text(of: code)) }
        }
        return PKIError(kind, operation, reasons.isEmpty ? "no reason given" : reasons.joined(separator: "; "))
    }

    private static func text(of code: UInt) -> String {
        if let reason = ERR_reason_error_string(code) { return String(cString: reason) }
        var buffer = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(code, &buffer, buffer.count)
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    package var description: String { "cannot \(operation): \(reason)" }
}
