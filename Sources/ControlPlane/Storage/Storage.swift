// SPDX-License-Identifier: Apache-2.0

/// A number that orders all writes of a store; it only grows.
package typealias Revision = Int64

/// A versioned key-value store with one sequencer: the contract that every engine fulfils.
///
/// Invariants, held by the conformance suite that runs on every engine:
/// - A write is acknowledged only when it is on disk (volatile prefixes excepted), is then in ``snapshot()``, and has
///   been given to every watch, in this order and in the order of revisions.
/// - Two snapshots of one revision are equal; a watch after revision R gives exactly the changes that lie between
///   a snapshot at R and a later one.
/// - Reads never wait for writes.
package protocol Storage: Sendable {
    /// The newest committed state. Cheap, and never blocks: it shares its structure with the others.
    func snapshot() -> any StorageSnapshot

    /// The state at an older revision.
    ///
    /// - Throws: ``StorageError/compacted(oldest:)`` when the history no longer reaches back so far,
    ///   ``StorageError/futureRevision(current:)`` when there was no such revision yet.
    func snapshot(at revision: Revision) throws(StorageError) -> any StorageSnapshot

    /// Returns when ``snapshot()`` holds every write that anyone has had acknowledged before this call.
    func readBarrier() async throws(StorageError)

    /// Makes one conditional change and returns when it is durable.
    ///
    /// - Throws: ``StorageError/conditionFailed(current:)`` when the condition does not hold; nothing has changed then.
    func commit(_ mutation: Mutation) async throws(StorageError) -> StoredValue

    /// The changes after a revision to keys with this prefix.
    ///
    /// - Throws: ``StorageError/compacted(oldest:)`` when the history no longer reaches back so far.
    func watch(prefix: String, after revision: Revision) throws(StorageError) -> any StorageWatch

    /// Does the store's own work (group commit, compaction, checkpoints) until it is cancelled; then everything
    /// acknowledged is on disk.
    func run() async throws
}

/// The state of a store at one revision; it never changes.
package protocol StorageSnapshot: Sendable {
    var revision: Revision { get }

    func get(_ key: String) -> StoredValue?

    /// Visits the values whose keys have `prefix` and come after `after`, in the order of their keys' UTF-8 bytes, until
    /// `body` returns false.
    func forEach(prefix: String, after: String?, _ body: (StoredValue) throws -> Bool) rethrows

    /// How many keys have this prefix.
    func count(prefix: String) -> Int
}

/// A value at a key, as some revision left it. Shared, never copied.
package final class StoredValue: Sendable {
    package let key: String
    /// The value, with the revision written into it where the writer asked for that.
    package let bytes: [UInt8]
    /// The revision that wrote this value.
    package let revision: Revision
    /// The revision that created the key; it stays through all updates and no other key ever has it.
    package let created: Revision

    /// - Parameter created: nil for a value that creates its key.
    package init(key: String, bytes: [UInt8], revision: Revision, created: Revision? = nil) {
        self.key = key
        self.bytes = bytes
        self.revision = revision
        self.created = created ?? revision
    }
}

/// A conditional change of one key.
package struct Mutation: Sendable {
    package var key: String
    package var condition: Condition
    package var change: Change

    /// What must hold when the change is made.
    package enum Condition: Sendable, Hashable {
        /// There is no such key.
        case absent
        /// The key's value is the one that this revision wrote.
        case revision(Revision)
    }

    package enum Change: Sendable {
        /// Stores the bytes. The sequencer inserts the decimal digits of the new revision at `revisionOffset`, if given.
        case put([UInt8], revisionOffset: Int?)
        /// Removes the key; watchers see these bytes as its last state, with the revision inserted as in a put.
        case delete(last: [UInt8], revisionOffset: Int?)
    }

    package init(key: String, condition: Condition, change: Change) {
        self.key = key
        self.condition = condition
        self.change = change
    }
}

/// One change, as watchers see it.
package struct StorageEvent: Sendable {
    package enum Kind: Sendable, Hashable {
        case created
        case modified
        case deleted
    }

    package let kind: Kind
    /// The new value; for a deletion the last state.
    package let value: StoredValue
    /// What was there before, nil for a creation.
    package let previous: StoredValue?

    package init(kind: Kind, value: StoredValue, previous: StoredValue?) {
        self.kind = kind
        self.value = value
        self.previous = previous
    }

    package var revision: Revision { value.revision }
}

/// The changes that a watch delivers, for a single consumer; it ends when it is released.
package protocol StorageWatch: AnyObject, Sendable {
    /// Waits for changes and returns all that are there, in order; nil when the store closes.
    ///
    /// The list is empty only after ``interrupt()``.
    /// - Throws: ``StorageError/watchTooSlow`` when the bounded buffer overflowed, `CancellationError` when the task is
    ///   cancelled.
    func next() async throws -> [StorageEvent]?

    /// Has the consumer look up: the call of ``next()`` that waits returns an empty list, or else the first that would wait.
    func interrupt()

    /// Every change up to this revision has been delivered: for bookmarks.
    var deliveredRevision: Revision { get }
}

/// Why a store refused.
package enum StorageError: Error, Sendable {
    /// The condition did not hold; `current` is what is there.
    case conditionFailed(current: StoredValue?)
    /// The history begins only after `oldest`.
    case compacted(oldest: Revision)
    /// The store has not reached this revision.
    case futureRevision(current: Revision)
    /// The consumer did not keep up; watch anew.
    case watchTooSlow
    /// The medium failed (disk full, I/O error): the reason in words.
    case unavailable(String)
    /// The store has been closed.
    case closed
}
