// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// The recent changes of a store, bounded in number, in bytes and in time.
struct History: Sendable {
    private struct Entry {
        let event: StorageEvent
        /// When it happened, on the clock of the store's limits.
        let time: Duration
        let cost: Int
    }

    private let limits: StorageLimits
    private var entries = Deque<Entry>()
    private var bytes = 0
    /// Changes after this revision are known.
    private(set) var oldest: Revision

    init(limits: StorageLimits, since revision: Revision) {
        self.limits = limits
        oldest = revision
    }

    /// Adds changes in order and forgets what the limits do not allow.
    mutating func append(_ events: [StorageEvent], at time: Duration) {
        for event in events {
            let cost = Self.cost(of: event)
            entries.append(Entry(event: event, time: time, cost: cost))
            bytes += cost
        }
        while let first = entries.first,
            entries.count > limits.historyEvents || bytes > limits.historyBytes
                || first.time < time - limits.historyDuration
        {
            entries.removeFirst()
            bytes -= first.cost
            oldest = first.event.revision
        }
    }

    /// What the entry keeps in memory that would be free otherwise.
    private static func cost(of event: StorageEvent) -> Int {
        64 + (event.previous?.bytes.count ?? 0) + (event.kind == .deleted ? event.value.bytes.count : 0)
    }

    /// The changes after a revision, newest last.
    func events(after revision: Revision) -> [StorageEvent] {
        // Binary search: revisions only grow.
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].event.revision <= revision { low = middle + 1 } else { high = middle }
        }
        return entries[low...].map(\.event)
    }
}
