// SPDX-License-Identifier: Apache-2.0

/// A batch of mutations, applied in memory and not yet durable nor visible.
///
/// Each mutation sees the ones before it. Dropping the plan undoes it.
package struct MutationPlan: Sendable {
    private(set) var tree: ValueTree
    private let limits: StorageLimits
    /// The newest revision, with the batch.
    package private(set) var revision: Revision
    /// What the batch changes, in order.
    package private(set) var events: [StorageEvent] = []

    init(tree: ValueTree, revision: Revision, limits: StorageLimits) {
        self.tree = tree
        self.revision = revision
        self.limits = limits
    }

    /// Makes a change; the result is to be told only when the batch is durable, a refusal as well, because it may rest
    /// on an earlier change of the batch.
    package mutating func apply(_ mutation: Mutation) throws(StorageError) -> StorageEvent {
        let present = tree.get(mutation.key)
        switch mutation.condition {
        case .absent: if present != nil { throw .conditionFailed(current: present) }
        case .revision(let expected):
            if present?.revision != expected { throw .conditionFailed(current: present) }
        }
        let next = revision + 1
        let event: StorageEvent
        switch mutation.change {
        case .put(let bytes, let offset):
            let value = StoredValue(
                key: mutation.key, bytes: try insert(next, into: bytes, at: offset), revision: next,
                created: present?.created)
            tree.put(value)
            event = StorageEvent(kind: present == nil ? .created : .modified, value: value, previous: present)
        case .delete(let bytes, let offset):
            guard let present else { throw .conditionFailed(current: nil) }
            let last = StoredValue(
                key: mutation.key, bytes: try insert(next, into: bytes, at: offset), revision: next,
                created: present.created)
            tree.remove(mutation.key)
            event = StorageEvent(kind: .deleted, value: last, previous: present)
        }
        revision = next
        events.append(event)
        return event
    }

    private func insert(_ revision: Revision, into bytes: [UInt8], at offset: Int?) throws(StorageError) -> [UInt8] {
        guard bytes.count <= limits.valueBytes else {
            throw .unavailable("a value of \(bytes.count) bytes is larger than the limit of \(limits.valueBytes)")
        }
        guard let offset else { return bytes }
        precondition(bytes.indices.contains(offset) || offset == bytes.count, "the revision belongs inside the value")
        let digits = String(revision).utf8
        return Array(unsafeUninitializedCapacity: bytes.count + digits.count) { buffer, count in
            var end = buffer[..<offset].update(fromContentsOf: bytes[..<offset])
            end = buffer[end..<end + digits.count].update(fromContentsOf: digits)
            count = buffer[end...].update(fromContentsOf: bytes[offset...])
        }
    }
}
