// SPDX-License-Identifier: Apache-2.0

package import JSON

/// The sets that follow from values: what an applied object owns, and what differs between two objects.
extension FieldSet {
    /// What someone owns who applies this object (structured-merge-diff's ToFieldSet).
    package init(applied value: JSON, type: SchemaType?) { self = Self.applied(value, type).children }

    private static func applied(_ value: JSON, _ type: SchemaType?) -> (isMember: Bool, children: FieldSet) {
        let structure = MergeStructure(type, value)
        switch structure {
        case .leaf: return (true, FieldSet())
        case .members:
            let isObject = type?.shape == .object
            let entries = value.members.compactMap { key, member -> Entry? in
                if member.isScalar { return Entry(element: .field(key), isMember: true, children: .init()) }
                let memberType = type?.memberType(key)
                let isDeclared = isObject && memberType != nil
                let (isLeaf, children) = applied(member, memberType)
                let isMember = isLeaf || !isDeclared || member.isNull || member.object?.isEmpty == true
                guard isMember || !children.isEmpty else { return nil }
                return Entry(element: .field(key), isMember: isMember, children: children)
            }
            return (false, FieldSet(unsorted: entries))
        case .set, .keyed:
            return (
                false,
                items(of: value.elements, structure, type?.element) { item in
                    applied(item, type?.element).children
                }
            )
        }
    }

    /// Every path that a value has, lists, maps and objects included: what is added or removed with it.
    static func everything(in value: JSON, _ type: SchemaType?) -> FieldSet {
        let structure = MergeStructure(type, value)
        switch structure {
        case .leaf: return FieldSet()
        case .members:
            return FieldSet(
                unsorted: value.members.map { key, member in
                    let children = member.isScalar ? FieldSet() : everything(in: member, type?.memberType(key))
                    return Entry(element: .field(key), isMember: true, children: children)
                })
        case .set, .keyed:
            return items(of: value.elements, structure, type?.element) { everything(in: $0, type?.element) }
        }
    }

    /// The entries of a list's items; of items that occur twice only the item itself is owned.
    private static func items(
        of list: [JSON], _ structure: MergeStructure, _ element: SchemaType?, children: (JSON) -> FieldSet
    ) -> FieldSet {
        var entries: [Entry] = []
        entries.reserveCapacity(list.count)
        var positions: [PathElement: Int] = [:]
        for (path, item) in zip(PathElement.items(of: list, structure, element: element), list) {
            if let position = positions[path] {
                entries[position].children = FieldSet()
            } else {
                positions[path] = entries.count
                entries.append(Entry(element: path, isMember: true, children: children(item)))
            }
        }
        return FieldSet(unsorted: entries)
    }
}

/// What differs between two objects (structured-merge-diff's Comparison).
package struct FieldComparison: Hashable, Sendable {
    package private(set) var added = FieldSet()
    package private(set) var modified = FieldSet()
    package private(set) var removed = FieldSet()

    /// Compares an object with what becomes of it.
    package init(old: JSON, new: JSON, type: SchemaType?) {
        self.init()
        var state = Change.none
        compare(old, new, type, change: &state)
    }

    private init() {}

    package var isEmpty: Bool { added.isEmpty && modified.isEmpty && removed.isEmpty }

    /// The comparison without these fields and what is below them.
    package func ignoring(_ fields: FieldSet) -> FieldComparison {
        var result = self
        result.added = added.subtractingBelow(fields)
        result.modified = modified.subtractingBelow(fields)
        result.removed = removed.subtractingBelow(fields)
        return result
    }

    /// What the new object sets.
    var set: FieldSet { modified.union(added) }

    /// What happened to the value itself, as opposed to its parts.
    private enum Change { case none, added, modified, removed }

    private mutating func compare(_ old: JSON?, _ new: JSON?, _ type: SchemaType?, change: inout Change) {
        switch (old, new) {
        case (nil, nil): return
        case (nil, let new?):
            change = .added
            added = .everything(in: new, type)
        case (let old?, nil):
            change = .removed
            removed = .everything(in: old, type)
        case (let old?, let new?):
            if old == new { return }
            if old.isVoid && new.isVoid { return }
            let structure = MergeStructure(type, new)
            switch (MergeStructure(type, old), structure) {
            case (.members, .members): compareMembers(old.members, new.members, type)
            case (.set, .set), (.keyed, .keyed): compareItems(old.elements, new.elements, structure, type?.element)
            default: change = .modified
            }
        }
    }

    private mutating func compareMembers(_ old: JSONObject, _ new: JSONObject, _ type: SchemaType?) {
        var parts = Parts()
        let isObject = type?.shape == .object
        for (key, value) in new {
            let before = old[key]
            if before == value { continue }
            if value.isScalar, before?.isScalar ?? true {
                parts.add(scalar: .field(key), isNew: before == nil)
                continue
            }
            let field = isObject ? type?.field(key) : nil
            let childType = isObject ? field?.type : type?.memberType(key)
            parts.add(.field(key), before ?? field?.implicitValue, value, childType)
        }
        for (key, value) in old where !new.contains(key) {
            let field = isObject ? type?.field(key) : nil
            let childType = isObject ? field?.type : type?.memberType(key)
            parts.add(.field(key), value, field?.implicitValue, childType)
        }
        take(parts)
    }

    private mutating func compareItems(
        _ old: [JSON], _ new: [JSON], _ structure: MergeStructure, _ element: SchemaType?
    ) {
        let before = Dictionary(
            zip(PathElement.items(of: old, structure, element: element), old).map { ($0, [$1]) }, uniquingKeysWith: +)
        let after = Dictionary(
            zip(PathElement.items(of: new, structure, element: element), new).map { ($0, [$1]) }, uniquingKeysWith: +)
        var parts = Parts()
        for (path, values) in after where before[path] != values {
            let olds = before[path] ?? []
            if values.count > 1 || olds.count > 1 {
                // An item that occurs several times counts as a whole.
                parts.add(scalar: path, isNew: olds.isEmpty)
            } else {
                parts.add(path, olds.first, values[0], element)
            }
        }
        for (path, values) in before where after[path] == nil {
            if values.count > 1 { parts.removeWhole(path) } else { parts.add(path, values[0], nil, element) }
        }
        take(parts)
    }

    private mutating func take(_ parts: Parts) {
        added = FieldSet(unsorted: parts.added)
        modified = FieldSet(unsorted: parts.modified)
        removed = FieldSet(unsorted: parts.removed)
    }

    /// The entries that the comparison of several children gives.
    private struct Parts {
        var added: [FieldSet.Entry] = []
        var modified: [FieldSet.Entry] = []
        var removed: [FieldSet.Entry] = []

        mutating func add(_ path: PathElement, _ old: JSON?, _ new: JSON?, _ type: SchemaType?) {
            var below = FieldComparison()
            var change = Change.none
            below.compare(old, new, type, change: &change)
            Self.append(path, change == .added, below.added, to: &added)
            Self.append(path, change == .modified, below.modified, to: &modified)
            Self.append(path, change == .removed, below.removed, to: &removed)
        }

        /// A field that is set or changed as a whole.
        mutating func add(scalar path: PathElement, isNew: Bool) {
            if isNew {
                Self.append(path, true, FieldSet(), to: &added)
            } else {
                Self.append(path, true, FieldSet(), to: &modified)
            }
        }

        mutating func removeWhole(_ path: PathElement) { Self.append(path, true, FieldSet(), to: &removed) }

        private static func append(
            _ path: PathElement, _ isMember: Bool, _ children: FieldSet, to list: inout [FieldSet.Entry]
        ) {
            guard isMember || !children.isEmpty else { return }
            list.append(FieldSet.Entry(element: path, isMember: isMember, children: children))
        }
    }
}

extension JSON {
    /// Whether this is null, an empty object or an empty array.
    fileprivate var isVoid: Bool {
        switch self {
        case .null: true
        case .object(let object): object.isEmpty
        case .array(let array): array.isEmpty
        default: false
        }
    }
}
