// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import LinuxSystem
import Storage

/// The database file: how it is opened, read and written. Used by one thread at a time.
final class StoreFile: @unchecked Sendable {
    struct Content {
        let values: [StoredValue]
        let revision: Revision
    }

    /// One change of a row.
    enum RowChange {
        /// A new key or, for a volatile one, perhaps a known one.
        case put(StoredValue)
        case update(StoredValue)
        case delete(created: Revision)

        /// About how many pages of the log it takes: leaf page and overflow.
        var pages: Int {
            switch self {
            case .put(let value), .update(let value): 1 + value.bytes.count / StoreFile.pageBytes
            case .delete: 1
            }
        }
    }

    static let pageBytes = 4096
    static let fileName = "store.db"
    /// SQLite's page cache in KiB: small, because the values are in memory already.
    private static let cacheKiB = 256
    /// A file of which more than half is free, and more than this many pages, is rewritten when it is opened.
    private static let vacuumPages = 2048

    let path: String
    private let database: DatabaseQueue
    /// The locked directory; nil in memory.
    private let directory: LockedDirectory?

    init(_ location: SQLiteStorage.Configuration.Location) throws(StorageOpenError) {
        switch location {
        case .memory:
            path = ":memory:"
            directory = nil
        case .directory(let directory):
            path = directory + "/" + Self.fileName
            self.directory = try LockedDirectory(directory)
        }
        do {
            database =
                directory == nil
                ? try DatabaseQueue(configuration: Self.configuration)
                : try DatabaseQueue(path: path, configuration: Self.configuration)
            try prepare()
        } catch let error as StorageOpenError {
            throw error
        } catch {
            throw StoreFault(error, path: path).openError
        }
    }

    private static var configuration: GRDB.Configuration {
        var configuration = GRDB.Configuration()
        configuration.label = "swiftlet.store"
        configuration.foreignKeysEnabled = false
        configuration.prepareDatabase { db in
            try db.execute(
                sql: """
                    PRAGMA page_size = \(StoreFile.pageBytes);
                    PRAGMA journal_mode = WAL;
                    PRAGMA synchronous = FULL;
                    PRAGMA wal_autocheckpoint = 0;
                    PRAGMA journal_size_limit = \(8 << 20);
                    PRAGMA cache_size = -\(StoreFile.cacheKiB);
                    """)
        }
        return configuration
    }

    // MARK: Opening

    private func prepare() throws {
        try database.inDatabase { db in
            try self.checkIdentity(db)
            let complaint = try String.fetchOne(db, sql: "PRAGMA quick_check(1)") ?? "no answer"
            guard complaint == "ok" else { throw StoreFault.corrupt(complaint, path: self.path) }
            let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
            guard version <= Schema.steps.count else { throw StoreFault.tooNew(version, path: self.path) }
            for (index, step) in Schema.steps.enumerated().dropFirst(version) {
                try db.inTransaction(.immediate) {
                    try db.execute(sql: step)
                    try db.execute(
                        sql: "PRAGMA user_version = \(index + 1); PRAGMA application_id = \(Schema.applicationID)")
                    return .commit
                }
            }
            try self.compact(db)
        }
    }

    /// Refuses the database of another program.
    private func checkIdentity(_ db: Database) throws {
        let id = try Int.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        let isEmpty = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_schema") == 0
        guard id == Schema.applicationID || isEmpty else {
            throw StoreFault.corrupt("it is a database of another program", path: path)
        }
    }

    private func compact(_ db: Database) throws {
        let free = try Int.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0
        let all = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
        if free > Self.vacuumPages, free > all / 2 { try db.execute(sql: "VACUUM") }
    }

    /// Reads everything.
    func load() throws(StorageOpenError) -> Content {
        do {
            return try database.inDatabase { db in
                var newest = try Int64.fetchOne(db, sql: "SELECT floor FROM meta") ?? 0
                var values: [StoredValue] = []
                var keys = Set<String>()
                let rows = try Row.fetchCursor(db, sql: "SELECT created, key, revision, value FROM object")
                while let row = try rows.next() {
                    let bytes = try row.withUnsafeData(atIndex: 3) { [UInt8]($0 ?? Data()) }
                    let value = StoredValue(key: row[1], bytes: bytes, revision: row[2], created: row[0])
                    guard keys.insert(value.key).inserted else {
                        throw StoreFault.corrupt("the key \(value.key) is there twice", path: self.path)
                    }
                    newest = max(newest, value.revision)
                    values.append(value)
                }
                return Content(values: values, revision: newest)
            }
        } catch let error as StorageOpenError {
            throw error
        } catch {
            throw StoreFault(error, path: path).openError
        }
    }

    // MARK: Writing

    /// Makes changes in one transaction and returns when they are on disk.
    ///
    /// - Parameter floor: the new floor of the revision, nil to leave it.
    func write(_ changes: [RowChange], floor: Revision?) throws(StoreFault) {
        do {
            try database.inDatabase { db in
                try db.inTransaction(.immediate) {
                    for change in changes { try Self.write(change, db) }
                    if let floor {
                        let statement = try db.cachedStatement(sql: "UPDATE meta SET floor = ? WHERE id = 1")
                        try statement.execute(arguments: [floor])
                    }
                    return .commit
                }
            }
        } catch {
            throw StoreFault(error, path: path)
        }
    }

    private static func write(_ change: RowChange, _ db: Database) throws {
        switch change {
        case .put(let value):
            let statement = try db.cachedStatement(
                sql: """
                    INSERT INTO object (created, key, revision, value) VALUES (?, ?, ?, ?)
                    ON CONFLICT (created) DO UPDATE SET revision = excluded.revision, value = excluded.value
                    """)
            try statement.execute(arguments: [value.created, value.key, value.revision, Data(value.bytes)])
        case .update(let value):
            let statement = try db.cachedStatement(sql: "UPDATE object SET revision = ?, value = ? WHERE created = ?")
            try statement.execute(arguments: [value.revision, Data(value.bytes), value.created])
            // Unless the row is there, memory and disk do not agree; that must not go on unnoticed.
            guard db.changesCount == 1 else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "the row of \(value.key) has gone")
            }
        case .delete(let created):
            try db.cachedStatement(sql: "DELETE FROM object WHERE created = ?").execute(arguments: [created])
        }
    }

    // MARK: The write-ahead log

    /// How the log stands after a checkpoint.
    struct LogState {
        /// Pages in the log.
        let pages: Int
        /// How many of them are in the database too; when it is all, the next write begins the log anew.
        let checkpointed: Int
    }

    /// Copies the log into the database, as far as nobody stands in the way, on the writer's connection.
    func checkpoint() throws -> LogState { try Self.checkpoint(database) }

    /// The same on a connection of its own, beside the writer.
    func checkpointBesideWriter() throws -> LogState {
        var configuration = GRDB.Configuration()
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA synchronous = FULL; PRAGMA cache_size = -64")
        }
        return try Self.checkpoint(try DatabaseQueue(path: path, configuration: configuration))
    }

    private static func checkpoint(_ database: DatabaseQueue) throws -> LogState {
        try database.inDatabase { db in
            let row = try Row.fetchOne(db, sql: "PRAGMA wal_checkpoint(PASSIVE)")
            return LogState(pages: row?[1] ?? 0, checkpointed: row?[2] ?? 0)
        }
    }

    /// Folds the log into the database, closes it and gives the directory free.
    func close() throws {
        try database.inDatabase { db in try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
        try database.close()
        directory?.unlock()
    }
}

/// The store's directory, locked against other processes until it is unlocked or this goes.
private final class LockedDirectory: Sendable {
    private let handle: DirectoryHandle

    init(_ path: String) throws(StorageOpenError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            let handle = try DirectoryHandle(path: path)
            guard try handle.descriptor.tryLock(path) else {
                throw StorageOpenError(
                    kind: .inUse, path: path, cause: "another process has it open",
                    remedy: "stop the other agent, or give this one a state directory of its own")
            }
            self.handle = handle
        } catch let error as StorageOpenError {
            throw error
        } catch {
            throw StorageOpenError(
                kind: .inaccessible, path: path, cause: "\(error)",
                remedy: "make sure that the path is a directory and that this user may write to it")
        }
    }

    deinit { unlock() }

    /// Closing the descriptor would not do: a child between its fork(2) and execve(2) still shares the lock.
    func unlock() {
        // It cannot fail for a descriptor that is open, and the lock ends with the process anyway.
        try? handle.descriptor.unlock()
    }
}
