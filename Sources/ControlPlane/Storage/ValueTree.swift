// SPDX-License-Identifier: Apache-2.0

/// A sorted tree of values that shares its structure with its earlier versions (a copy-on-write B+ tree).
///
/// Copying the struct is a snapshot and costs one reference; the first change after that copies only the nodes between
/// the root and the leaf. Nothing here is locked: a version that is shared is never changed in place, because every
/// node on the way to a change is copied unless this tree holds the only reference.
struct ValueTree: Sendable {
    /// The most entries of a node; a node below a quarter of it is merged with a neighbour.
    static let nodeCapacity = 64

    private var root = Node(values: [])

    /// The number of values.
    var count: Int { root.count }

    init() {}

    /// The value of a key.
    func get(_ key: String) -> StoredValue? {
        var node = root
        while !node.isLeaf { node = node.children[node.childIndex(for: key)] }
        let (index, isFound) = node.valueIndex(of: key)
        return isFound ? node.values[index] : nil
    }

    /// Stores a value and returns the one that it replaces.
    @discardableResult
    mutating func put(_ value: StoredValue) -> StoredValue? {
        makeRootUnique()
        let replaced = root.put(value)
        if root.size > Self.nodeCapacity {
            let right = root.splitOff()
            root = Node(children: [root, right])
        }
        return replaced
    }

    /// Removes a key and returns what it had.
    @discardableResult
    mutating func remove(_ key: String) -> StoredValue? {
        guard get(key) != nil else { return nil }
        makeRootUnique()
        let removed = root.remove(key)
        if !root.isLeaf, root.children.count == 1 { root = root.children[0] }
        return removed
    }

    private mutating func makeRootUnique() {
        if !isKnownUniquelyReferenced(&root) { root = root.copy() }
    }

    /// Visits the values with `prefix` after the key `after` in order until `body` returns false.
    func forEach(prefix: String, after: String?, _ body: (StoredValue) throws -> Bool) rethrows {
        var start = prefix
        var isExclusive = false
        if let after, KeyOrder.compare(after, prefix) >= 0 {
            start = after
            isExclusive = true
        }
        _ = try root.visit(from: start) { value in
            if isExclusive, value.key.utf8.elementsEqual(start.utf8) { return true }
            guard KeyOrder.hasPrefix(value.key, prefix) else { return false }
            return try body(value)
        }
    }

    /// How many keys have `prefix`, without visiting them.
    func count(prefix: String) -> Int {
        let beyond = Self.successor(ofPrefix: Array(prefix.utf8))
        let end = beyond.map { end in root.rank { key in key.utf8.lexicographicallyPrecedes(end) } }
        return (end ?? root.count) - root.rank { key in KeyOrder.compare(key, prefix) < 0 }
    }

    /// The smallest byte string that comes after everything with this prefix; nil when there is none.
    private static func successor(ofPrefix prefix: [UInt8]) -> [UInt8]? {
        var bytes = prefix
        while let last = bytes.popLast() {
            if last < 0xFF { return bytes + [last + 1] }
        }
        return nil
    }
}

extension ValueTree {
    /// A node: a leaf has values, an inner node children and the smallest key that may be in each.
    ///
    /// Sendable although mutable: see ``ValueTree`` for who may change it.
    private final class Node: @unchecked Sendable {
        var values: [StoredValue]
        var children: [Node]
        var lowerBounds: [String]
        /// The number of values below.
        var count: Int

        var isLeaf: Bool { children.isEmpty }
        var size: Int { isLeaf ? values.count : children.count }

        init(values: [StoredValue]) {
            self.values = values
            children = []
            lowerBounds = []
            count = values.count
        }

        init(children: [Node], lowerBounds: [String]) {
            values = []
            self.children = children
            self.lowerBounds = lowerBounds
            count = children.reduce(0) { $0 + $1.count }
        }

        convenience init(children: [Node]) {
            self.init(children: children, lowerBounds: children.map(\.smallestKey))
        }

        func copy() -> Node {
            isLeaf ? Node(values: values) : Node(children: children, lowerBounds: lowerBounds)
        }

        private var smallestKey: String { isLeaf ? values.first?.key ?? "" : lowerBounds[0] }

        /// Where a key is or belongs in a leaf.
        func valueIndex(of key: String) -> (index: Int, isFound: Bool) {
            var (low, high) = (0, values.count)
            while low < high {
                let middle = (low + high) / 2
                let order = KeyOrder.compare(values[middle].key, key)
                if order == 0 { return (middle, true) }
                if order < 0 { low = middle + 1 } else { high = middle }
            }
            return (low, false)
        }

        /// The child that has the key if any has it: the last whose bound is not above it.
        func childIndex(for key: String) -> Int {
            var (low, high) = (1, children.count)
            while low < high {
                let middle = (low + high) / 2
                if KeyOrder.compare(lowerBounds[middle], key) <= 0 { low = middle + 1 } else { high = middle }
            }
            return low - 1
        }

        private func makeChildUnique(_ index: Int) {
            if !isKnownUniquelyReferenced(&children[index]) { children[index] = children[index].copy() }
        }

        func put(_ value: StoredValue) -> StoredValue? {
            guard isLeaf else { return putBelow(value) }
            let (index, isFound) = valueIndex(of: value.key)
            if isFound {
                let replaced = values[index]
                values[index] = value
                return replaced
            }
            values.insert(value, at: index)
            count += 1
            return nil
        }

        private func putBelow(_ value: StoredValue) -> StoredValue? {
            let index = childIndex(for: value.key)
            makeChildUnique(index)
            if KeyOrder.compare(value.key, lowerBounds[index]) < 0 { lowerBounds[index] = value.key }
            let replaced = children[index].put(value)
            if replaced == nil { count += 1 }
            if children[index].size > ValueTree.nodeCapacity {
                let right = children[index].splitOff()
                children.insert(right, at: index + 1)
                lowerBounds.insert(right.smallestKey, at: index + 1)
            }
            return replaced
        }

        /// Gives the upper half away.
        func splitOff() -> Node {
            let middle = isAscending ? size - size / 8 : size / 2
            let right: Node
            if isLeaf {
                right = Node(values: Array(values[middle...]))
                values = Array(values[..<middle])
            } else {
                right = Node(children: Array(children[middle...]), lowerBounds: Array(lowerBounds[middle...]))
                children = Array(children[..<middle])
                lowerBounds = Array(lowerBounds[..<middle])
            }
            count -= right.count
            return right
        }

        /// Whether the newest entry is the last: then keys probably come in order and the left half stays nearly full.
        private var isAscending: Bool {
            guard isLeaf, let last = values.last else { return false }
            return values.allSatisfy { $0.revision <= last.revision }
        }

        func remove(_ key: String) -> StoredValue? {
            if isLeaf {
                let (index, isFound) = valueIndex(of: key)
                guard isFound else { return nil }
                count -= 1
                return values.remove(at: index)
            }
            let index = childIndex(for: key)
            makeChildUnique(index)
            guard let removed = children[index].remove(key) else { return nil }
            count -= 1
            if children[index].size < ValueTree.nodeCapacity / 4 { mergeChild(index) }
            return removed
        }

        /// Joins a child that has become small with a neighbour, where both fit into one node.
        private func mergeChild(_ index: Int) {
            guard children.count > 1 else { return }
            let left = index > 0 ? index - 1 : index
            let right = children[left + 1]
            guard children[left].size + right.size <= ValueTree.nodeCapacity else { return }
            makeChildUnique(left)
            children[left].values += right.values
            children[left].children += right.children
            children[left].lowerBounds += right.lowerBounds
            children[left].count += right.count
            children.remove(at: left + 1)
            lowerBounds.remove(at: left + 1)
        }

        /// Visits the values from `start` on; false when `body` wanted no more.
        func visit(from start: String, _ body: (StoredValue) throws -> Bool) rethrows -> Bool {
            if isLeaf {
                for value in values[valueIndex(of: start).index...] where try !body(value) { return false }
                return true
            }
            for child in children[childIndex(for: start)...] where try !child.visit(from: start, body) { return false }
            return true
        }

        /// How many keys there are for which `isBefore` holds; it holds for all up to a point and for none after it.
        func rank(_ isBefore: (String) -> Bool) -> Int {
            guard !isLeaf else { return values.prefix { isBefore($0.key) }.count }
            var rank = 0
            for index in children.indices {
                let next = index + 1
                guard next < children.count, isBefore(lowerBounds[next]) else {
                    return rank + children[index].rank(isBefore)
                }
                rank += children[index].count
            }
            return rank
        }
    }
}
