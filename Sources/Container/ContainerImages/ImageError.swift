// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// A failed image operation: what was attempted, on what, why it failed and what would help.
package struct ImageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of failure this is, for callers that decide on it.
    package enum Kind: Hashable, Sendable {
        /// The image name is not well-formed; asking again is no use.
        case invalidReference
        /// The registry or the store has no such image or blob.
        case notFound
        /// The registry wants other credentials, or none of them may do this.
        case unauthorized
        /// The registry cannot be reached, does not answer in time, or fails; worth another try later.
        case unavailable
        /// Content is not what its digest or size says.
        case digestMismatch
        /// The image exists, but not for this machine.
        case noMatchingPlatform
        /// The disk is full or a quota is reached.
        case noSpace
        /// A manifest, configuration, archive or layer is malformed or beyond a limit.
        case malformed
        /// The input is valid but asks for something that is not supported.
        case unsupported
        /// The image or container is in use.
        case inUse
        /// A system call failed.
        case system
    }

    package let kind: Kind
    /// What was attempted on what, `pull image "docker.io/library/busybox:latest"`.
    package let operation: String
    /// Why it failed.
    package let reason: String
    /// What the user can do about it; nil where the reason says it already.
    package let remedy: String?

    package init(_ kind: Kind, _ operation: String, _ reason: String, remedy: String? = nil) {
        self.kind = kind
        self.operation = operation
        self.reason = reason
        self.remedy = remedy
    }

    /// Translates a failed system call; a full disk is told apart.
    package init(_ error: SystemError, _ operation: String) {
        if error.isOutOfSpace {
            self.init(
                .noSpace, operation, error.description, remedy: "free disk space, for example by removing unused images"
            )
        } else {
            self.init(.system, operation, error.description)
        }
    }

    /// The same failure as the reason for a larger operation's.
    package func wrapped(_ outer: String) -> ImageError {
        ImageError(kind, outer, operation.isEmpty ? reason : "failed to \(operation): \(reason)", remedy: remedy)
    }

    package var description: String {
        let text = operation.isEmpty ? reason : "failed to \(operation): \(reason)"
        guard let remedy else { return text }
        return "\(text) (\(remedy))"
    }
}

/// Runs `body` and turns a failed system call into an ``ImageError`` about `operation`.
func translating<Result: ~Copyable>(
    _ operation: @autoclosure () -> String, _ body: () throws -> Result
) throws(ImageError) -> Result {
    do {
        return try body()
    } catch let error as ImageError {
        throw error
    } catch let error as SystemError {
        throw ImageError(error, operation())
    } catch {
        throw ImageError(.system, operation(), "\(error)")
    }
}
