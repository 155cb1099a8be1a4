// SPDX-License-Identifier: Apache-2.0

import JSON

/// Lists of strategic merge patches, and what becomes of directives in values that are taken over whole.
extension StrategicMergePatch {
    static func mergeLists(_ patch: [JSON], into original: [JSON], type: SchemaType?) throws(StatusError) -> [JSON] {
        guard let type, type.patchStrategy.contains(.merge) else {
            return withoutDirectives(.array(patch))?.array ?? []
        }
        if patch.isEmpty { return original }
        try checkElements(original + patch)
        guard patch.contains(where: { $0.object != nil }) || original.contains(where: { $0.object != nil }) else {
            var seen: Set<JSON> = []
            let merged = (original + patch).filter { seen.insert($0).inserted }
            return ordered(merged, patchOrder: patch, serverOrder: original, mergeKey: nil)
        }
        guard let mergeKey = type.patchMergeKey else {
            throw failure("cannot merge lists without merge key for \(type.element?.definitionName ?? "")")
        }
        let (remaining, items) = try applyListDirectives(patch, to: original, mergeKey: mergeKey)
        var merged = remaining
        var positions = ranks(merged, mergeKey)
        for item in items {
            guard let identity = item[mergeKey] else { throw missingMergeKey(item, mergeKey) }
            if let position = positions[identity] {
                merged[position] = .object(
                    try merge(item.members, into: merged[position].members, type: type.element))
            } else if let item = withoutDirectives(item) {
                positions[identity] = merged.count
                merged.append(item)
            }
        }
        return ordered(merged, patchOrder: items, serverOrder: remaining, mergeKey: mergeKey)
    }

    /// All elements must be objects, or none; lists of lists do not merge.
    private static func checkElements(_ elements: [JSON]) throws(StatusError) {
        let objects = elements.count { $0.object != nil }
        if elements.contains(where: { $0.array != nil }) {
            throw StatusError(
                code: 422, reason: StatusError.Reason.invalid,
                message: "the server rejected our request due to an error in our request", details: .init())
        }
        guard objects == 0 || objects == elements.count else {
            throw failure("lists of objects and other values cannot be merged")
        }
    }

    /// Carries out the elements with a `$patch` directive; returns what the original keeps, and the other elements.
    private static func applyListDirectives(
        _ patch: [JSON], to original: [JSON], mergeKey: String
    ) throws(StatusError) -> (remaining: [JSON], items: [JSON]) {
        var remaining = original
        var items: [JSON] = []
        var deleted: Set<JSON> = []
        var replaces = false
        for item in patch {
            guard let directive = item[directive] else {
                items.append(item)
                continue
            }
            switch directive.string {
            case "delete":
                guard let identity = item[mergeKey] else { throw missingMergeKey(item, mergeKey) }
                deleted.insert(identity)
            case "replace": replaces = true
            case "merge": throw failure("merging lists cannot yet be specified in the patch")
            default: throw failure("unknown patch type: \(goText(directive)) in map: \(goText(item))")
            }
        }
        if !deleted.isEmpty { remaining.removeAll { item in item[mergeKey].map(deleted.contains) ?? false } }
        return replaces ? (withoutDirectives(.array(items))?.array ?? [], []) : (remaining, items)
    }

    // MARK: - Order

    /// Brings a merged list into order: items of the patch in the patch's order, the others in the server's, and the
    /// two interleaved by the server's order as far as it goes.
    static func ordered(
        _ merged: [JSON], patchOrder: [JSON], serverOrder: [JSON], mergeKey: String?
    ) -> [JSON] {
        let patchRank = ranks(patchOrder, mergeKey)
        let serverRank = ranks(serverOrder, mergeKey)
        func rank(_ item: JSON, in ranks: [JSON: Int]) -> Int? { identity(of: item, mergeKey).flatMap { ranks[$0] } }
        let inPatch = merged.filter { rank($0, in: patchRank) != nil }
        let right = sorted(inPatch) { rank($0, in: patchRank) ?? .max }
        let left = sorted(merged.filter { rank($0, in: patchRank) == nil }) { rank($0, in: serverRank) ?? .max }
        var result: [JSON] = []
        result.reserveCapacity(merged.count)
        var next = left.startIndex
        for item in right {
            // Server-only items come first where the server has them before this one.
            while next < left.endIndex, let itemRank = rank(item, in: serverRank),
                let leftRank = rank(left[next], in: serverRank), leftRank < itemRank
            {
                result.append(left[next])
                next += 1
            }
            result.append(item)
        }
        return result + left[next...]
    }

    private static func ranks(_ order: [JSON], _ mergeKey: String?) -> [JSON: Int] {
        var ranks: [JSON: Int] = [:]
        for (position, item) in order.enumerated() {
            guard let identity = identity(of: item, mergeKey), ranks[identity] == nil else { continue }
            ranks[identity] = position
        }
        return ranks
    }

    /// Sorted by rank, items of one rank in the order in which they stand.
    private static func sorted(_ items: [JSON], by rank: (JSON) -> Int) -> [JSON] {
        items.map { (rank: rank($0), item: $0) }.enumerated()
            .sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }.map(\.element.item)
    }

    // MARK: - Values that are taken over whole

    /// A value of the patch without nulls and directives; nil if it is itself to be deleted.
    static func withoutDirectives(_ value: JSON) -> JSON? {
        switch value {
        case .array(let elements): return .array(elements.compactMap(withoutDirectivesInList))
        case .object(let object):
            if object[directive]?.string == "delete" { return nil }
            var result = JSONObject()
            for (key, member) in object where !isDirective(key) && !member.isNull {
                if let member = withoutDirectives(member) { result[key] = member }
            }
            return .object(result)
        default: return value
        }
    }

    private static func withoutDirectivesInList(_ item: JSON) -> JSON? {
        // An element that only says how to patch is no value.
        item[directive] == nil ? withoutDirectives(item) : nil
    }

    private static func isDirective(_ key: String) -> Bool {
        key == directive || key == retainKeys || key.hasPrefix(orderPrefix) || key.hasPrefix(deletionPrefix)
    }

    // MARK: - Errors

    private static func missingMergeKey(_ item: JSON, _ mergeKey: String) -> StatusError {
        failure("map: \(goText(item)) does not contain declared merge key: \(mergeKey)")
    }

    /// Upstream does not say what kind of error these are: 500 without a reason.
    static func failure(_ message: String) -> StatusError { StatusError(code: 500, reason: "", message: message) }

    /// A value as Go's `%v` shows it.
    static func goText(_ value: JSON) -> String {
        switch value {
        case .null: "<nil>"
        case .string(let text): text
        case .array(let elements): "[\(elements.map(goText).joined(separator: " "))]"
        case .object(let object):
            "map[\(object.sorted { $0.key < $1.key }.map { "\($0.key):\(goText($0.value))" }.joined(separator: " "))]"
        default: value.text()
        }
    }
}
