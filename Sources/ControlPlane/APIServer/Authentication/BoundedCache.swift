// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A small cache that threads share; when it is full it is emptied, which costs less to keep right than an LRU list.
final class BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let capacity: Int
    private let entries = Mutex<[Key: Value]>([:])

    init(capacity: Int) { self.capacity = capacity }

    subscript(key: Key) -> Value? {
        get { entries.withLock { $0[key] } }
        set {
            entries.withLock { entries in
                if entries.count >= capacity, entries[key] == nil { entries.removeAll(keepingCapacity: true) }
                entries[key] = newValue
            }
        }
    }

    func removeAll() { entries.withLock { $0.removeAll() } }
}
