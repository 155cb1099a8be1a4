// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import LinuxSystem
package import Storage

/// A copy of a store in one file, for backups. It is consistent whether or not an agent writes at the same time.
package enum StoreSnapshot: Sendable {
    /// How far a restored store's revision is moved on: clients that saw later revisions of the old store must not take
    /// new ones for those (etcd.io, "Disaster recovery", advises the same step for etcdutl's `--bump-revision`: it is more than
    /// a week of a thousand writes a second).
    package static let revisionStep: Revision = 1_000_000_000

    /// The name of the copy, as an engine looks for it in its directory.
    package static let fileName = StoreFile.fileName

    /// Writes a copy of the store in `directory` to the new file `target`, synced (`VACUUM INTO`, sqlite.org/lang_vacuum).
    ///
    /// What is kept in memory only (events and leases) may be older by one checkpoint interval.
    ///
    /// - Throws: ``StorageOpenError`` when there is no store, it is damaged, or the target cannot be written.
    package static func write(of directory: String, to target: String) throws(StorageOpenError) {
        try query(directory) { db in
            do {
                try db.execute(sql: "VACUUM INTO ?", arguments: [target])
            } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
                // It is the copy that finds no room.
                throw StoreFault(error, path: target).openError
            }
            try FileDescriptor.open(target, .read).synchronize(target)
        }
    }

    /// Reads the values below a prefix of keys from a store that may be in use, the last ones on disk.
    ///
    /// - Throws: ``StorageOpenError`` when there is no store or it is damaged.
    package static func read(
        _ directory: String, prefix: String, _ body: ([UInt8]) -> Void
    ) throws(StorageOpenError) {
        try query(directory) { db in
            let rows = try Row.fetchCursor(
                db, sql: "SELECT value FROM object WHERE substr(key, 1, ?) = ?",
                arguments: [prefix.unicodeScalars.count, prefix])
            while let row = try rows.next() {
                body(try row.withUnsafeData(atIndex: 0) { [UInt8]($0 ?? Data()) })
            }
        }
    }

    /// Opens a store that may be in use, for reading.
    private static func query(
        _ directory: String, _ body: (Database) throws -> Void
    ) throws(StorageOpenError) {
        let source = directory + "/" + StoreFile.fileName
        do {
            guard Files.exists(source) else { throw SystemError("open", source, errno: Errno.ENOENT) }
            var configuration = GRDB.Configuration()
            configuration.readonly = true
            configuration.busyMode = .timeout(10)
            let database = try DatabaseQueue(path: source, configuration: configuration)
            try database.inDatabase(body)
            try database.close()
        } catch let error as StorageOpenError {
            throw error
        } catch {
            throw StoreFault(error, path: source).openError
        }
    }

    /// Checks a copy completely: its pages, its schema and whose it is.
    ///
    /// - Returns: how many values it has.
    /// - Throws: ``StorageOpenError`` naming what is wrong.
    package static func verify(_ path: String) throws(StorageOpenError) -> Int {
        do {
            var configuration = GRDB.Configuration()
            configuration.readonly = true
            let database = try DatabaseQueue(path: path, configuration: configuration)
            let count = try database.inDatabase { db in
                let complaint = try String.fetchOne(db, sql: "PRAGMA integrity_check(1)") ?? "no answer"
                guard complaint == "ok" else { throw StoreFault.corrupt(complaint, path: path) }
                guard try Int.fetchOne(db, sql: "PRAGMA application_id") == Schema.applicationID else {
                    throw StoreFault.corrupt("it is a database of another program", path: path)
                }
                let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
                guard version <= Schema.steps.count else { throw StoreFault.tooNew(version, path: path) }
                return try Int.fetchOne(db, sql: "SELECT count(*) FROM object") ?? 0
            }
            try database.close()
            return count
        } catch let error as StorageOpenError {
            throw error
        } catch {
            throw StoreFault(error, path: path).openError
        }
    }

    private static let newestRevision = "SELECT max(floor, (SELECT coalesce(max(revision), 0) FROM object)) FROM meta"

    /// Makes a copy the beginning of a store: its revision moves on by ``revisionStep``.
    ///
    /// - Parameter replaced: The directory of the store whose place it takes, which may have got further since the copy was made.
    /// - Throws: ``StorageOpenError`` when the file cannot be changed.
    package static func prepareForRestore(
        _ path: String, replacing replaced: String? = nil
    ) throws(StorageOpenError) {
        var reached: Revision = 0
        if let replaced {
            do {
                try query(replaced) { reached = try Revision.fetchOne($0, sql: newestRevision) ?? 0 }
            } catch {
                // A store that is damaged or not there is what backups are for: the step alone must do.
                reached = 0
            }
        }
        do {
            let database = try DatabaseQueue(path: path)
            try database.inDatabase { db in
                try db.execute(
                    sql: "UPDATE meta SET floor = max((\(newestRevision)), ?) + ?", arguments: [reached, revisionStep])
            }
            try database.close()
            try FileDescriptor.open(path, .read).synchronize(path)
        } catch {
            throw StoreFault(error, path: path).openError
        }
    }
}
