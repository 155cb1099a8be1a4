// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import PKI
import Storage

/// The one place where errors become `Status`.
enum StatusTranslation {
    static func status(of error: any Error) -> StatusError {
        switch error {
        case let error as StatusError: error
        case let error as StorageError: status(of: error)
        case let error as PKIError: .internalError(error.description)
        case let error as ProtobufError: .internalError("an object has no protobuf form: \(error.description)")
        case is CancellationError:
            StatusError(
                code: 504, reason: StatusError.Reason.timeout,
                message: "Timeout: request did not complete within the allotted timeout", details: .init())
        default: .internalError("\(error)")
        }
    }

    private static func status(of error: StorageError) -> StatusError {
        switch error {
        case .conditionFailed:
            StatusError(
                code: 409, reason: StatusError.Reason.conflict,
                message: "Operation cannot be fulfilled: the object has been modified; please apply your changes to "
                    + "the latest version and try again")
        case .compacted(let oldest): .expired("too old resource version (\(oldest))")
        case .futureRevision(let current):
            StatusError(
                code: 504, reason: StatusError.Reason.timeout,
                message: "Too large resource version, current: \(current)")
        case .watchTooSlow: .expired("too old resource version: the watch did not keep up with the changes")
        case .unavailable(let reason):
            StatusError(
                code: 503, reason: StatusError.Reason.serviceUnavailable, message: "the store is unavailable: \(reason)"
            )
        case .closed:
            StatusError(
                code: 503, reason: StatusError.Reason.serviceUnavailable, message: "the server is shutting down")
        }
    }
}

extension StatusError {
    /// The same refusal with a token with which the client may go on (meta/v1 ListMeta in a Status).
    func continuing(with token: String) -> StatusError {
        var copy = self
        copy.continueToken = token
        return copy
    }
}
