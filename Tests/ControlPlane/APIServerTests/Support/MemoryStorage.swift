// SPDX-License-Identifier: Apache-2.0

import Storage
import Synchronization

/// A store in memory, for tests of what lies above it: keeps its whole history and never compacts unless told.
final class MemoryStorage: Storage {
    struct State {
        var revision: Revision = 1
        var oldest: Revision = 0
        var values: [String: StoredValue] = [:]
        var history: [StorageEvent] = []
        /// Why changes are refused.
        var failure: StorageError?
    }

    let state = Mutex(State())

    func snapshot() -> any StorageSnapshot {
        state.withLock { MemorySnapshot(revision: $0.revision, values: $0.values) }
    }

    func snapshot(at revision: Revision) throws(StorageError) -> any StorageSnapshot {
        let result: Result<MemorySnapshot, StorageError> = state.withLock { state in
            if revision > state.revision { return .failure(.futureRevision(current: state.revision)) }
            if revision < state.oldest { return .failure(.compacted(oldest: state.oldest)) }
            var values: [String: StoredValue] = [:]
            for event in state.history where event.revision <= revision {
                values[event.value.key] = event.kind == .deleted ? nil : event.value
            }
            return .success(MemorySnapshot(revision: revision, values: values))
        }
        return try result.get()
    }

    func readBarrier() async throws(StorageError) {}

    func commit(_ mutation: Mutation) async throws(StorageError) -> StoredValue {
        let result: Result<StoredValue, StorageError> = state.withLock { state in
            if let failure = state.failure { return .failure(failure) }
            let current = state.values[mutation.key]
            switch mutation.condition {
            case .absent where current != nil: return .failure(.conditionFailed(current: current))
            case .revision(let revision) where current?.revision != revision:
                return .failure(.conditionFailed(current: current))
            default: break
            }
            state.revision += 1
            let value: StoredValue
            let kind: StorageEvent.Kind
            switch mutation.change {
            case .put(let bytes, let offset):
                value = Self.value(mutation.key, bytes, offset, state.revision)
                kind = current == nil ? .created : .modified
                state.values[mutation.key] = value
            case .delete(let bytes, let offset):
                value = Self.value(mutation.key, bytes, offset, state.revision)
                kind = .deleted
                state.values[mutation.key] = nil
            }
            state.history.append(StorageEvent(kind: kind, value: value, previous: current))
            return .success(value)
        }
        return try result.get()
    }

    private static func value(_ key: String, _ bytes: [UInt8], _ offset: Int?, _ revision: Revision) -> StoredValue {
        var bytes = bytes
        if let offset { bytes.insert(contentsOf: String(revision).utf8, at: offset) }
        return StoredValue(key: key, bytes: bytes, revision: revision)
    }

    func watch(prefix: String, after revision: Revision) throws(StorageError) -> any StorageWatch {
        let oldest = state.withLock { $0.oldest }
        if revision < oldest { throw .compacted(oldest: oldest) }
        return MemoryWatch(self, prefix: prefix, after: revision)
    }

    /// Forgets the history up to now, as a compaction does.
    func compact() { state.withLock { $0.oldest = $0.revision } }

    func run() async throws {
        while !Task.isCancelled { try await Task.sleep(for: .seconds(3600)) }
    }
}

private struct MemorySnapshot: StorageSnapshot {
    let revision: Revision
    let values: [String: StoredValue]

    func get(_ key: String) -> StoredValue? { values[key] }

    func forEach(prefix: String, after: String?, _ body: (StoredValue) throws -> Bool) rethrows {
        let keys = values.keys.filter { $0.hasPrefix(prefix) }
        for key in keys.sorted() {
            if let after, key <= after { continue }
            guard let value = values[key], try body(value) else { return }
        }
    }

    func count(prefix: String) -> Int { values.keys.count { $0.hasPrefix(prefix) } }
}

private final class MemoryWatch: StorageWatch {
    private let storage: MemoryStorage
    private let prefix: String
    private let delivered: Mutex<Revision>
    private let isInterrupted = Mutex(false)

    init(_ storage: MemoryStorage, prefix: String, after revision: Revision) {
        self.storage = storage
        self.prefix = prefix
        delivered = Mutex(revision)
    }

    var deliveredRevision: Revision { delivered.withLock { $0 } }

    func interrupt() { isInterrupted.withLock { $0 = true } }

    func next() async throws -> [StorageEvent]? {
        while true {
            try Task.checkCancellation()
            let after = deliveredRevision
            let (events, newest) = storage.state.withLock { state in
                (state.history.filter { $0.revision > after && $0.value.key.hasPrefix(prefix) }, state.revision)
            }
            delivered.withLock { $0 = max($0, newest) }
            if !events.isEmpty { return events }
            let isInterrupted = isInterrupted.withLock { flag in
                defer { flag = false }
                return flag
            }
            if isInterrupted { return [] }
            // A test store may poll.
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}
