// SPDX-License-Identifier: Apache-2.0

/// The members of a JSON object in the order in which they were added.
///
/// Objects are mostly small, so a member is found by a linear search; an index is kept only from
/// ``indexThreshold`` members on (a ConfigMap with a thousand keys).
package struct JSONObject: Sendable {
    /// The number of members from which lookups go through a hash index.
    static let indexThreshold = 24

    private var storage: [(key: String, value: JSON)] = []
    private var positions: [String: Int]?

    package init() {}

    /// Creates an object of these members; of several with one key the last wins.
    package init(_ members: some Sequence<(key: String, value: JSON)>) {
        storage.reserveCapacity(members.underestimatedCount)
        for (key, value) in members { self[key] = value }
    }

    package var count: Int { storage.count }
    package var isEmpty: Bool { storage.isEmpty }
    package var keys: [String] { storage.map(\.key) }
    package var values: [JSON] { storage.map(\.value) }

    /// The member's value; setting nil removes it and a new key is appended.
    package subscript(key: String) -> JSON? {
        get {
            guard let position = position(of: key) else { return nil }
            return storage[position].value
        }
        set {
            switch (position(of: key), newValue) {
            case (let position?, let value?): storage[position].value = value
            case (let position?, nil): remove(at: position)
            case (nil, let value?): append(key, value)
            case (nil, nil): break
            }
        }
    }

    /// The value of a key, `initial` where it is missing, open to change in place.
    package subscript(key: String, default initial: @autoclosure () -> JSON) -> JSON {
        get { self[key] ?? initial() }
        _modify {
            let position: Int
            if let found = self.position(of: key) {
                position = found
            } else {
                append(key, initial())
                position = storage.count - 1
            }
            yield &storage[position].value
        }
    }

    package func contains(_ key: String) -> Bool { position(of: key) != nil }

    /// Removes a member and returns what it held.
    @discardableResult
    package mutating func removeValue(forKey key: String) -> JSON? {
        guard let position = position(of: key) else { return nil }
        let value = storage[position].value
        remove(at: position)
        return value
    }

    /// Removes the members of these keys, in one pass however many they are.
    package mutating func removeValues(forKeys keys: some Sequence<String>) {
        let doomed = Set(keys.compactMap { position(of: $0) })
        guard !doomed.isEmpty else { return }
        var next = 0
        storage.removeAll { _ in
            defer { next += 1 }
            return doomed.contains(next)
        }
        reindex()
    }

    /// Keeps the members for which `isIncluded` says so.
    package mutating func filter(_ isIncluded: (_ key: String, _ value: JSON) throws -> Bool) rethrows {
        try storage.removeAll { try !isIncluded($0.key, $0.value) }
        reindex()
    }

    /// Sorts the members by key (UTF-8 order).
    package mutating func sort() {
        storage.sort { $0.key < $1.key }
        reindex()
    }

    private func position(of key: String) -> Int? {
        if let positions { return positions[key] }
        // String equality is by canonical equivalence; JSON keys are equal only if their code points are.
        return storage.firstIndex { $0.key.utf8.count == key.utf8.count && $0.key == key }
    }

    private mutating func append(_ key: String, _ value: JSON) {
        storage.append((key, value))
        if positions != nil {
            positions?[key] = storage.count - 1
        } else if storage.count >= Self.indexThreshold {
            reindex()
        }
    }

    private mutating func remove(at position: Int) {
        let key = storage.remove(at: position).key
        guard storage.count >= Self.indexThreshold, positions != nil else {
            positions = nil
            return
        }
        positions?[key] = nil
        Self.close(gap: position, in: &positions)
    }

    /// Counts down what came after a removed member; that is far cheaper than hashing all keys anew.
    private static func close(gap: Int, in positions: inout [String: Int]?) {
        guard var moved = positions.take() else { return }
        for index in moved.values.indices where moved.values[index] > gap { moved.values[index] -= 1 }
        positions = moved
    }

    private mutating func reindex() {
        guard storage.count >= Self.indexThreshold else {
            positions = nil
            return
        }
        var fresh: [String: Int] = [:]
        fresh.reserveCapacity(storage.count)
        for (position, member) in storage.enumerated() { fresh[member.key] = position }
        positions = fresh
    }
}

extension JSONObject: RandomAccessCollection {
    package var startIndex: Int { 0 }
    package var endIndex: Int { storage.count }
    package subscript(position: Int) -> (key: String, value: JSON) { storage[position] }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, JSON)...) {
        self.init(elements.lazy.map { (key: $0.0, value: $0.1) })
    }
}

/// Two objects are equal when they have equal members, in whatever order.
extension JSONObject: Hashable {
    package static func == (left: JSONObject, right: JSONObject) -> Bool {
        guard left.count == right.count else { return false }
        for (position, member) in left.storage.enumerated() {
            // Mostly the order is the same too; then no search is needed.
            let other = right.storage[position]
            if other.key == member.key {
                if other.value != member.value { return false }
            } else if right[member.key] != member.value {
                return false
            }
        }
        return true
    }

    package func hash(into hasher: inout Hasher) {
        var combined = 0
        for member in storage {
            var inner = Hasher()
            inner.combine(member.key)
            inner.combine(member.value)
            combined ^= inner.finalize()
        }
        hasher.combine(combined)
        hasher.combine(count)
    }
}
