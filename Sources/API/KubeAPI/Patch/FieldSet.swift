// SPDX-License-Identifier: Apache-2.0

package import JSON

/// A set of paths into an object: what a manager owns (structured-merge-diff's fieldpath.Set).
///
/// A tree; each level is sorted, so that sets combine by merging.
package struct FieldSet: Hashable, Sendable {
    /// A step, whether the path that ends with it is in the set, and what of the set lies below.
    struct Entry: Hashable, Sendable {
        var element: PathElement
        var isMember: Bool
        var children: FieldSet
    }

    /// Sorted by element, each element once, none that is neither member nor has children.
    private(set) var entries: [Entry]

    package init() { entries = [] }

    /// A set of these entries, in whatever order; none may occur twice.
    init(unsorted entries: [Entry]) {
        self.entries = entries
        if !isSorted { self.entries.sort { $0.element < $1.element } }
    }

    private init(sorted entries: [Entry]) { self.entries = entries }

    /// A set of one path per argument: the names of its fields.
    package init(_ paths: [[String]]) {
        self.init()
        for path in paths { insert(path.map(PathElement.field)[...]) }
    }

    private var isSorted: Bool {
        for index in entries.indices.dropFirst() where !(entries[index - 1].element < entries[index].element) {
            return false
        }
        return true
    }

    package var isEmpty: Bool { entries.isEmpty }

    private func position(of element: PathElement) -> Int? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].element == element { return middle }
            if entries[middle].element < element { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    /// The entry of a step, nil if the set holds nothing at or below it.
    subscript(element: PathElement) -> Entry? { position(of: element).map { entries[$0] } }

    package func contains(_ path: some Collection<PathElement>) -> Bool {
        guard let first = path.first, let entry = self[first] else { return false }
        return path.count == 1 ? entry.isMember : entry.children.contains(path.dropFirst())
    }

    mutating func insert(_ path: ArraySlice<PathElement>) {
        guard let first = path.first else { return }
        let place: Int
        if let found = position(of: first) {
            place = found
        } else {
            place = entries.firstIndex { first < $0.element } ?? entries.count
            entries.insert(Entry(element: first, isMember: false, children: .init()), at: place)
        }
        if path.count == 1 {
            entries[place].isMember = true
        } else {
            entries[place].children.insert(path.dropFirst())
        }
    }

    /// All paths, in order.
    package var paths: [[PathElement]] {
        entries.flatMap { entry in
            (entry.isMember ? [[entry.element]] : []) + entry.children.paths.map { [entry.element] + $0 }
        }
    }

    // MARK: Combining

    package func union(_ other: FieldSet) -> FieldSet {
        if other.isEmpty { return self }
        if isEmpty { return other }
        return combine(other, keepsLeft: true, keepsRight: true) { left, right in
            Entry(
                element: left.element, isMember: left.isMember || right.isMember,
                children: left.children.union(right.children))
        }
    }

    package func intersection(_ other: FieldSet) -> FieldSet {
        if isEmpty || other.isEmpty { return FieldSet() }
        return combine(other, keepsLeft: false, keepsRight: false) { left, right in
            Entry(
                element: left.element, isMember: left.isMember && right.isMember,
                children: left.children.intersection(right.children))
        }
    }

    /// What is in this set and not in the other; below a path of the other, paths stay unless they are in it too.
    package func subtracting(_ other: FieldSet) -> FieldSet {
        if isEmpty || other.isEmpty { return self }
        return combine(other, keepsLeft: true, keepsRight: false) { left, right in
            Entry(
                element: left.element, isMember: left.isMember && !right.isMember,
                children: left.children.subtracting(right.children))
        }
    }

    /// What is neither in the other set nor below one of its paths.
    package func subtractingBelow(_ other: FieldSet) -> FieldSet {
        if isEmpty || other.isEmpty { return self }
        return combine(other, keepsLeft: true, keepsRight: false) { left, right in
            if right.isMember { return Entry(element: left.element, isMember: false, children: .init()) }
            return Entry(
                element: left.element, isMember: left.isMember,
                children: left.children.subtractingBelow(right.children))
        }
    }

    private func combine(
        _ other: FieldSet, keepsLeft: Bool, keepsRight: Bool, _ both: (Entry, Entry) -> Entry
    ) -> FieldSet {
        var result: [Entry] = []
        result.reserveCapacity(entries.count)
        var left = 0
        var right = 0
        while left < entries.count, right < other.entries.count {
            if entries[left].element == other.entries[right].element {
                let entry = both(entries[left], other.entries[right])
                if entry.isMember || !entry.children.isEmpty { result.append(entry) }
                left += 1
                right += 1
            } else if entries[left].element < other.entries[right].element {
                if keepsLeft { result.append(entries[left]) }
                left += 1
            } else {
                if keepsRight { result.append(other.entries[right]) }
                right += 1
            }
        }
        if keepsLeft { result += entries[left...] }
        if keepsRight { result += other.entries[right...] }
        return FieldSet(sorted: result)
    }

    /// The set with the declared fields of objects added on the way to its paths; keys of maps and items of lists are
    /// not (structured-merge-diff's EnsureNamedFieldsAreMembers).
    func withNamedFields(_ type: SchemaType?) -> FieldSet {
        FieldSet(
            sorted: entries.map { entry in
                var entry = entry
                if entry.children.isEmpty { return entry }
                let childType: SchemaType?
                if case .field(let name) = entry.element {
                    let field = type?.shape == .object ? type?.field(name) : nil
                    if field != nil { entry.isMember = true }
                    childType = field?.type ?? (type?.shape == .map ? type?.element : nil)
                } else {
                    childType = type?.element
                }
                entry.children = entry.children.withNamedFields(childType)
                return entry
            })
    }

    // MARK: Wire form

    /// The FieldsV1 object.
    package var json: JSON { .object(object(isMember: false)) }

    private func object(isMember: Bool) -> JSONObject {
        var members: [(key: String, value: JSON)] = []
        members.reserveCapacity(entries.count + 1)
        if isMember { members.append((".", .object([:]))) }
        for entry in entries {
            let below =
                entry.children.isEmpty ? JSONObject() : entry.children.object(isMember: entry.isMember)
            members.append((entry.element.wire, .object(below)))
        }
        return JSONObject(members)
    }

    /// Reads a FieldsV1 object; nil if it is malformed.
    package init?(_ json: JSON) {
        guard let object = json.object else { return nil }
        var entries: [Entry] = []
        entries.reserveCapacity(object.count)
        for (key, value) in object where key != "." {
            guard let element = PathElement(wire: key), let below = value.object, let children = FieldSet(value) else {
                return nil
            }
            let isMember = below.isEmpty || below.contains(".")
            if isMember || !children.isEmpty {
                entries.append(Entry(element: element, isMember: isMember, children: children))
            }
        }
        self.init(unsorted: entries)
        // Spellings of one key that differ are refused, for merging relies on every element being there once.
        guard isSorted else { return nil }
    }

    /// Whether a FieldsV1 object and this set have a path in common, found without reading the whole object.
    func intersects(fieldsV1 json: JSON) -> Bool {
        entries.contains { entry in
            guard let below = json[entry.element.wire]?.object else { return false }
            if entry.isMember, below.isEmpty || below.contains(".") { return true }
            return !entry.children.isEmpty && !below.isEmpty && entry.children.intersects(fieldsV1: .object(below))
        }
    }

    /// Whether all paths of this set are in a FieldsV1 object.
    func isContained(inFieldsV1 json: JSON) -> Bool {
        entries.allSatisfy { entry in
            guard let below = json[entry.element.wire]?.object else { return false }
            if entry.isMember, !below.isEmpty, !below.contains(".") { return false }
            return entry.children.isEmpty || entry.children.isContained(inFieldsV1: .object(below))
        }
    }
}
