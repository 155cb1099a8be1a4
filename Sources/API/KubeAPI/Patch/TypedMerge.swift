// SPDX-License-Identifier: Apache-2.0

import JSON

/// Merging applied objects into live ones, and removing fields (structured-merge-diff's typed package).
enum TypedMerge {
    // MARK: - Merging

    /// The live value with the applied one merged in; where both say something the applied one counts.
    static func merge(_ live: JSON, _ applied: JSON, _ type: SchemaType?) -> JSON {
        let structure = MergeStructure(type, applied)
        switch (MergeStructure(type, live), structure) {
        case (.members, .members):
            // An explicit null or {} says nothing about what is there already.
            guard let members = applied.object else { return live.members.isEmpty ? applied : live }
            var result = live.members
            for (key, value) in members {
                guard let present = result[key] else {
                    result[key] = value
                    continue
                }
                result[key] = merge(present, value, type?.memberType(key))
            }
            return .object(result)
        case (.set, .set), (.keyed, .keyed):
            if applied.elements.isEmpty && live.elements.isEmpty { return applied }
            return .array(mergeLists(live.elements, applied.elements, structure, type?.element))
        default: return applied
        }
    }

    /// Merges two lists by their items, in the applied order; live items that are not applied keep their places
    /// relative to the shared ones.
    private static func mergeLists(
        _ live: [JSON], _ applied: [JSON], _ structure: MergeStructure, _ element: SchemaType?
    ) -> [JSON] {
        let livePaths = PathElement.items(of: live, structure, element: element)
        let appliedPaths = PathElement.items(of: applied, structure, element: element)
        let liveItems = Dictionary(zip(livePaths, live), uniquingKeysWith: { first, _ in first })
        let appliedSet = Set(appliedPaths)
        var shared = appliedPaths.filter { liveItems[$0] != nil }[...]
        var merged: Set<PathElement> = []
        var result: [JSON] = []
        result.reserveCapacity(max(live.count, applied.count))
        var left = 0
        var right = 0
        func takeApplied() {
            let path = appliedPaths[right]
            merged.insert(path)
            result.append(liveItems[path].map { merge($0, applied[right], element) } ?? applied[right])
            right += 1
            if shared.first == path { shared.removeFirst() }
        }
        while left < live.count || right < applied.count {
            if left < live.count, right < applied.count {
                let path = livePaths[left]
                if path == appliedPaths[right] {
                    takeApplied()
                    left += 1
                    continue
                }
                if appliedSet.contains(path), let next = shared.first, next != path {
                    // Shared, but not the one whose turn it is.
                    left += 1
                    continue
                }
            }
            if left < live.count {
                if !appliedSet.contains(livePaths[left]) {
                    result.append(live[left])
                    left += 1
                    continue
                }
                if merged.contains(livePaths[left]) { left += 1 }
            }
            if right < applied.count { takeApplied() }
        }
        return result
    }

    // MARK: - Removing

    /// The value without the paths of a set and what is below them.
    ///
    /// Of an object or list of which nothing is left remains `rest`: null, which still counts as the field being
    /// there, or nil for nothing.
    static func remove(_ paths: FieldSet, from value: JSON, _ type: SchemaType?, rest: JSON?) -> JSON? {
        if paths.isEmpty { return value }
        let structure = MergeStructure(type, value)
        switch structure {
        case .leaf: return value
        case .members:
            var result = JSONObject()
            for (key, member) in value.members {
                guard let entry = paths[.field(key)] else {
                    result[key] = member
                    continue
                }
                if entry.isMember { continue }
                result[key] = remove(entry.children, from: member, type?.memberType(key), rest: rest)
            }
            return result.isEmpty ? rest : .object(result)
        case .set, .keyed:
            let items = zip(PathElement.items(of: value.elements, structure, element: type?.element), value.elements)
            let kept = items.compactMap { path, item -> JSON? in
                guard let entry = paths[path] else { return item }
                return entry.isMember ? nil : remove(entry.children, from: item, type?.element, rest: rest)
            }
            return kept.isEmpty ? rest : .array(kept)
        }
    }

    // MARK: - Validation

    /// The first thing that keeps a value from being applied: an unknown field, a value of the wrong shape, list items
    /// without their key or with the same one; nil if there is none.
    static func problem(in value: JSON, _ type: SchemaType?, path: String = "") -> String? {
        guard let type else { return nil }
        switch type.shape {
        case .any: return nil
        case .object, .map:
            guard let members = value.object else {
                return value.isNull ? nil : "\(path): expected map, got \(value.text())"
            }
            for (key, member) in members {
                let childType = type.memberType(key)
                if childType == nil, type.shape == .object, !type.preservesUnknownFields {
                    return "\(path).\(key): field not declared in schema"
                }
                if let problem = problem(in: member, childType, path: "\(path).\(key)") { return problem }
            }
            return nil
        case .list: return problem(inList: value, type, path: path)
        case .integer, .number:
            let isNumber = value.double != nil || value.isNull
            return isNumber ? nil : "\(path): expected numeric (int or float), got \(value.text())"
        case .boolean: return value.bool != nil || value.isNull ? nil : "\(path): expected boolean, got \(value.text())"
        case .string:
            return value.string != nil || value.isNull ? nil : "\(path): expected string, got \(value.text())"
        case .intOrString, .quantity: return nil
        }
    }

    private static func problem(inList value: JSON, _ type: SchemaType, path: String) -> String? {
        guard let elements = value.array else {
            return value.isNull ? nil : "\(path): expected list, got \(value.text())"
        }
        let structure = MergeStructure(type, value)
        var seen: Set<PathElement> = []
        let items = PathElement.items(of: elements, structure, element: type.element)
        for (index, (item, element)) in zip(items, elements).enumerated() {
            if case .keyed(let keys) = structure {
                for key in keys where element[key] == nil && type.element?.field(key)?.default == nil {
                    return "\(path): element \(index): associative list with keys has an element that omits key field "
                        + "\(goQuoted(key)) (and doesn't have default value)"
                }
            }
            var name = "[\(index)]"
            if case .leaf = structure {
            } else {
                name = item.description
                if !seen.insert(item).inserted { return "\(path): duplicate entries for key \(item)" }
            }
            if let problem = problem(in: element, type.element, path: path + name) { return problem }
        }
        return nil
    }
}
