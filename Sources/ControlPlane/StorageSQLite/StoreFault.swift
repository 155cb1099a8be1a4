// SPDX-License-Identifier: Apache-2.0

import GRDB
import Storage

/// What SQLite reported, with the remedy that a user can apply.
struct StoreFault: Error, CustomStringConvertible {
    let kind: StorageOpenError.Kind
    let path: String
    let cause: String
    let remedy: String

    static func corrupt(_ complaint: String, path: String) -> StorageOpenError {
        StorageOpenError(
            kind: .corrupt, path: path, cause: "the file is damaged (\(complaint))",
            remedy: "restore a backup, or move the file away to begin with an empty cluster")
    }

    static func tooNew(_ version: Int, path: String) -> StorageOpenError {
        StorageOpenError(
            kind: .tooNew, path: path,
            cause: "it has schema version \(version) and this program knows \(Schema.steps.count)",
            remedy: "install the newer version again")
    }

    init(_ error: any Error, path: String) {
        self.path = path
        guard let error = error as? DatabaseError else {
            (kind, cause, remedy) = (.inaccessible, "\(error)", "see the log")
            return
        }
        let message = error.message ?? "\(error.extendedResultCode)"
        switch error.resultCode {
        // The second: the file in which connections share the log's index does not get its size.
        case .SQLITE_FULL,
            _ where error.extendedResultCode == .SQLITE_IOERR_SHMSIZE:
            (kind, cause, remedy) = (.inaccessible, "the disk is full", "free some space on it")
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            (kind, cause) = (.corrupt, "the file is damaged (\(message))")
            remedy = "restore a backup, or move the file away to begin with an empty cluster"
        case .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_READONLY, .SQLITE_AUTH:
            (kind, cause) = (.inaccessible, message)
            remedy = "make sure that this user may write to the file and its directory, and that the disk is writable"
        case .SQLITE_IOERR:
            (kind, cause) = (.inaccessible, "\(message) (\(error.extendedResultCode))")
            remedy = "check the disk and the kernel's log"
        default:
            (kind, cause, remedy) = (.inaccessible, "\(message) (\(error.extendedResultCode))", "see the log")
        }
    }

    var description: String { "\(path): \(cause); \(remedy)" }

    var openError: StorageOpenError { .init(kind: kind, path: path, cause: cause, remedy: remedy) }
    var storageError: StorageError { .unavailable("cannot write to \(path): \(cause); \(remedy)") }
}
