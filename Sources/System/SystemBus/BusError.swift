// SPDX-License-Identifier: Apache-2.0

import CSystemd

/// A failed exchange with a D-Bus peer: what was attempted, and the error's name and text (sd-bus-errors(3)).
///
/// What fails on this side has a name as well: sd-bus calls them `System.Error.ENOTCONN` and the like.
package struct BusError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was attempted, `StartTransientUnit`.
    package let attempt: String
    /// `org.freedesktop.DBus.Error.ServiceUnknown`
    package let name: String
    /// The peer's words; may be empty.
    package let message: String

    package init(_ attempt: String, name: String, message: String = "") {
        self.attempt = attempt
        self.name = name
        self.message = message
    }

    /// A failure of sd-bus, which returns negative error numbers.
    init(_ attempt: String, result: CInt) {
        var error = sd_bus_error()
        sd_bus_error_set_errno(&error, result)
        self.init(attempt, error)
    }

    /// Takes the error's texts, and frees it.
    init(_ attempt: String, _ error: consuming sd_bus_error) {
        var error = error
        self.init(
            attempt, name: error.name.map { String(cString: $0) } ?? "System.Error.EIO",
            message: error.message.map { String(cString: $0) } ?? "")
        sd_bus_error_free(&error)
    }

    package var description: String { "\(attempt): \(message.isEmpty ? name : "\(message) (\(name))")" }

    /// Whether nobody has the name that was called, now.
    package var isServiceUnknown: Bool {
        ["org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner"].contains(name)
    }
}

/// Throws what sd-bus returned unless it succeeded.
@discardableResult
func busCall(_ attempt: @autoclosure () -> String, _ result: CInt) throws(BusError) -> CInt {
    if result < 0 { throw BusError(attempt(), result: result) }
    return result
}
