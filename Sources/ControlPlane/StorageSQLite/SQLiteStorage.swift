// SPDX-License-Identifier: Apache-2.0

package import Logging
package import Storage

/// The embedded engine: all values in memory, each write in SQLite's write-ahead log and synced before it is
/// acknowledged.
///
/// On disk there is one row for each key's latest value and nothing else, so that a value is written once (and a second
/// time when the log is folded into the database): SD cards wear out by writing. The history lives in memory; after a
/// restart watches at older revisions are told to begin anew, as after a compaction. Keys under a volatile
/// prefix are written only now and then; what a crash loses of them is at most one checkpoint interval, and
/// revisions never repeat, because ranges of them are reserved on disk.
///
/// Invariants: an idle store writes nothing and wakes nobody; one thread at a time works on the database; a value
/// is in memory once.
package final class SQLiteStorage: Storage {
    package struct Configuration: Sendable {
        /// Where the database is.
        package enum Location: Sendable {
            /// A directory of its own, made if it is missing.
            case directory(String)
            /// Nowhere: everything is gone with the process.
            case memory
        }

        package var location: Location
        /// The beginnings of keys that may be lost in a crash.
        package var volatilePrefixes: [String]
        /// How often volatile keys that have changed are written.
        package var volatileCheckpointInterval = Duration.seconds(600)
        package var limits = StorageLimits()

        package init(location: Location, volatilePrefixes: [String] = []) {
            self.location = location
            self.volatilePrefixes = volatilePrefixes
        }
    }

    private let core: StorageCore
    private let sequencer: Sequencer

    /// Opens the store, checks it and loads it.
    package init(_ configuration: Configuration, logger: Logger) throws(StorageOpenError) {
        let file = try StoreFile(configuration.location)
        let content = try file.load()
        core = StorageCore(loading: content.values, revision: content.revision, limits: configuration.limits)
        sequencer = Sequencer(
            file: file, core: core, reservedRevision: content.revision,
            volatile: VolatileValues(prefixes: configuration.volatilePrefixes, stored: content.values),
            checkpointInterval: configuration.volatileCheckpointInterval, logger: logger)
    }

    package func snapshot() -> any StorageSnapshot { core.snapshot() }

    package func snapshot(at revision: Revision) throws(StorageError) -> any StorageSnapshot {
        try core.snapshot(at: revision)
    }

    /// Nothing to wait for: a write is in the snapshot before it is acknowledged.
    package func readBarrier() async throws(StorageError) {}

    package func commit(_ mutation: Mutation) async throws(StorageError) -> StoredValue {
        try await sequencer.commit(mutation).get()
    }

    package func watch(prefix: String, after revision: Revision) throws(StorageError) -> any StorageWatch {
        try core.watch(prefix: prefix, after: revision)
    }

    /// Waits for its cancellation and then closes the store; the writes themselves need no task.
    package func run() async throws {
        for await _ in AsyncStream<Never>.makeStream().stream {}
        await close()
    }

    /// Finishes the writes that wait, puts everything on disk and closes; idempotent.
    package func close() async {
        await sequencer.close()
        core.close()
    }
}
