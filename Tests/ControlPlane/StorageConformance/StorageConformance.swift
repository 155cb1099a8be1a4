// SPDX-License-Identifier: Apache-2.0

package import Storage
import Testing

/// One property that every storage engine has; each engine's tests run all of them on fresh, empty stores.
package struct StorageConformance: Sendable, CustomTestStringConvertible {
    package let name: String
    /// The limits that the store is to be made with.
    package let limits: StorageLimits
    package let check: @Sendable (any Storage) async throws -> Void

    package var testDescription: String { name }

    init(
        _ name: String, limits: StorageLimits = .init(), _ check: @escaping @Sendable (any Storage) async throws -> Void
    ) {
        self.name = name
        self.limits = limits
        self.check = check
    }

    package static let all = reading + writing + watching
}

// MARK: - Shorthand

extension Storage {
    func create(_ key: String, _ text: String = "v") async throws -> StoredValue {
        try await commit(Mutation(key: key, condition: .absent, change: .put(Array(text.utf8), revisionOffset: nil)))
    }

    func update(_ value: StoredValue, _ text: String) async throws -> StoredValue {
        try await commit(
            Mutation(
                key: value.key, condition: .revision(value.revision),
                change: .put(Array(text.utf8), revisionOffset: nil)))
    }

    func delete(_ value: StoredValue) async throws -> StoredValue {
        try await commit(
            Mutation(
                key: value.key, condition: .revision(value.revision),
                change: .delete(last: value.bytes, revisionOffset: nil)))
    }
}

extension StorageSnapshot {
    func keys(_ prefix: String = "", after: String? = nil, limit: Int = .max) -> [String] {
        var keys: [String] = []
        forEach(prefix: prefix, after: after) { value in
            keys.append(value.key)
            return keys.count < limit
        }
        return keys
    }
}

extension StorageWatch {
    /// The next so many changes.
    func take(_ count: Int) async throws -> [StorageEvent] {
        var events: [StorageEvent] = []
        while events.count < count, let more = try await next() {
            #expect(!more.isEmpty)
            events += more
        }
        return events
    }
}

func text(_ value: StoredValue?) -> String? { value.map { String(decoding: $0.bytes, as: UTF8.self) } }
