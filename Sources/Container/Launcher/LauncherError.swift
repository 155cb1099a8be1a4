// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// Why the launcher could not do what it was asked: the attempt and its cause, innermost last.
package struct LauncherError: Error, Hashable, Sendable, CustomStringConvertible {
    /// One line for the user, without the program's name.
    package let description: String

    package init(_ description: String) { self.description = description }

    /// An attempt that a system call spoilt.
    package init(_ attempt: String, _ cause: SystemError) { description = "\(attempt): \(cause)" }

    /// An attempt and what spoilt it.
    package init(_ attempt: String, _ cause: any Error) { description = "\(attempt): \(cause)" }
}

/// Runs `body`; what it throws comes out as "attempt: cause".
func attempting<Result: ~Copyable>(
    _ attempt: @autoclosure () -> String, _ body: () throws -> Result
) throws(LauncherError) -> Result {
    do { return try body() } catch { throw LauncherError(attempt(), error) }
}
