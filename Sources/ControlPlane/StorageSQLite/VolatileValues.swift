// SPDX-License-Identifier: Apache-2.0

import Storage

/// The volatile keys that differ between memory and disk, waiting for the next checkpoint.
struct VolatileValues {
    private let prefixes: [String]
    /// Rows of volatile keys on disk, by the revision that created the key.
    private var stored: Set<Revision>
    private var changed: [String: StoredValue] = [:]
    private var removed: Set<Revision> = []

    init(prefixes: [String], stored values: [StoredValue]) {
        self.prefixes = prefixes
        stored = []
        for value in values where contains(value.key) { stored.insert(value.created) }
    }

    /// Whether there is something to write.
    var isDirty: Bool { !changed.isEmpty || !removed.isEmpty }

    func contains(_ key: String) -> Bool { prefixes.contains { key.utf8.starts(with: $0.utf8) } }

    mutating func note(_ event: StorageEvent) {
        switch event.kind {
        case .created, .modified: changed[event.value.key] = event.value
        case .deleted:
            changed[event.value.key] = nil
            if stored.contains(event.value.created) { removed.insert(event.value.created) }
        }
    }

    /// What a checkpoint has to write.
    var changes: [StoreFile.RowChange] {
        removed.sorted().map { .delete(created: $0) }
            + changed.values.sorted { $0.created < $1.created }.map { .put($0) }
    }

    /// The changes are on disk.
    mutating func markStored() {
        stored.subtract(removed)
        stored.formUnion(changed.values.lazy.map(\.created))
        removed = []
        changed = [:]
    }
}
