// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// What all engines have in common: the values in memory, the history and the watches.
///
/// An engine has one sequencer; it plans a batch of mutations with ``plan()``, makes it durable, and then
/// publishes it: first the snapshot, then the watches, then (the engine) the acknowledgements. Reads take a lock only
/// to copy one reference.
package final class StorageCore: Sendable {
    private struct Current {
        var tree: ValueTree
        var revision: Revision
    }

    private struct Feed {
        var history: History
        var watches = WatchIndex<WeakWatch>()
        /// Snapshots at older revisions that were asked for lately: the pages of a list ask for the same one again.
        var olderSnapshots: [Snapshot] = []
        var isClosed = false
    }

    private struct WeakWatch {
        weak var watch: WatchBuffer?
    }

    private static let rememberedSnapshots = 4

    package let limits: StorageLimits
    private let clock = ContinuousClock()
    private let start: ContinuousClock.Instant
    private let current: Mutex<Current>
    private let feed: Mutex<Feed>
    private let published: Atomic<Int64>

    /// - Parameters:
    ///   - values: what the engine has, in any order; keys must be distinct.
    ///   - revision: the newest revision of the store.
    package init(loading values: some Sequence<StoredValue>, revision: Revision, limits: StorageLimits = .init()) {
        self.limits = limits
        start = clock.now
        var tree = ValueTree()
        for value in values { tree.put(value) }
        current = Mutex(Current(tree: tree, revision: revision))
        feed = Mutex(Feed(history: History(limits: limits, since: revision)))
        published = Atomic(revision)
    }

    // MARK: Reading

    package func snapshot() -> any StorageSnapshot { newest() }

    private func newest() -> Snapshot {
        current.withLock { Snapshot(tree: $0.tree, revision: $0.revision) }
    }

    package func snapshot(at revision: Revision) throws(StorageError) -> any StorageSnapshot {
        let result = feed.withLock { feed -> Result<Snapshot, StorageError> in
            let newest = newest()
            if revision == newest.revision { return .success(newest) }
            if revision > newest.revision { return .failure(.futureRevision(current: newest.revision)) }
            if revision < feed.history.oldest { return .failure(.compacted(oldest: feed.history.oldest)) }
            if let known = feed.olderSnapshots.first(where: { $0.revision == revision }) { return .success(known) }
            let older = Snapshot(tree: feed.history.undo(newest.tree, to: revision), revision: revision)
            feed.olderSnapshots.append(older)
            if feed.olderSnapshots.count > Self.rememberedSnapshots { feed.olderSnapshots.removeFirst() }
            return .success(older)
        }
        return try result.get()
    }

    package func watch(prefix: String, after revision: Revision) throws(StorageError) -> any StorageWatch {
        let result = feed.withLock { feed -> Result<WatchBuffer, StorageError> in
            if feed.isClosed { return .failure(.closed) }
            if revision < feed.history.oldest { return .failure(.compacted(oldest: feed.history.oldest)) }
            let backlog = feed.history.events(after: revision).filter { KeyOrder.hasPrefix($0.value.key, prefix) }
            let watch = WatchBuffer(prefix: prefix, after: revision, backlog: backlog, core: self)
            feed.watches.add(WeakWatch(watch: watch), id: ObjectIdentifier(watch), prefix: prefix)
            return .success(watch)
        }
        return try result.get()
    }

    func endWatch(id: ObjectIdentifier, prefix: String) {
        feed.withLock { $0.watches.remove(id: id, prefix: prefix) }
    }

    var publishedRevision: Revision { published.load(ordering: .acquiring) }

    // MARK: For the engine's sequencer

    /// Begins a batch on top of the newest state.
    package func plan() -> MutationPlan {
        current.withLock { MutationPlan(tree: $0.tree, revision: $0.revision, limits: limits) }
    }

    /// Shows a batch that is durable to readers and watchers.
    package func publish(_ plan: MutationPlan) {
        guard !plan.events.isEmpty else { return }
        let now = clock.now - start
        var touched: [ObjectIdentifier: WatchBuffer] = [:]
        feed.withLock { feed in
            current.withLock { $0 = Current(tree: plan.tree, revision: plan.revision) }
            feed.history.append(plan.events, at: now)
            feed.olderSnapshots.removeAll { $0.revision < feed.history.oldest }
            guard !feed.watches.isEmpty else { return }
            for event in plan.events {
                feed.watches.forEach(matching: event.value.key) { entry in
                    guard let watch = entry.watch else { return }
                    watch.add(event)
                    touched[ObjectIdentifier(watch)] = watch
                }
            }
        }
        published.store(plan.revision, ordering: .releasing)
        for watch in touched.values { watch.wake() }
    }

    /// Ends all watches; the last state stays readable.
    package func close() {
        let watches = feed.withLock { feed in
            feed.isClosed = true
            return feed.watches.elements.compactMap(\.watch)
        }
        for watch in watches { watch.close() }
    }
}

extension History {
    /// The state at an older revision that the history reaches: the newest one with the changes since taken back.
    fileprivate func undo(_ tree: ValueTree, to revision: Revision) -> ValueTree {
        var tree = tree
        for event in events(after: revision).reversed() {
            if let previous = event.previous { tree.put(previous) } else { tree.remove(event.value.key) }
        }
        return tree
    }
}

/// A version of the tree with its revision.
private struct Snapshot: StorageSnapshot {
    let tree: ValueTree
    let revision: Revision

    func get(_ key: String) -> StoredValue? { tree.get(key) }

    func forEach(prefix: String, after: String?, _ body: (StoredValue) throws -> Bool) rethrows {
        try tree.forEach(prefix: prefix, after: after, body)
    }

    func count(prefix: String) -> Int { tree.count(prefix: prefix) }
}
