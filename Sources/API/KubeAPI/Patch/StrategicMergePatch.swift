// SPDX-License-Identifier: Apache-2.0

package import JSON

/// Strategic merge patch: a merge patch that knows from the schema which lists merge, and by which key.
///
/// After k8s.io/apimachinery/pkg/util/strategicpatch, with all directives: `$patch`, `$retainKeys`,
/// `$setElementOrder/x` and `$deleteFromPrimitiveList/x`.
package enum StrategicMergePatch {
    static let directive = "$patch"
    static let retainKeys = "$retainKeys"
    static let orderPrefix = "$setElementOrder"
    static let deletionPrefix = "$deleteFromPrimitiveList"

    /// The document with the patch applied.
    ///
    /// `type` is the type of the whole document. Throws 400 for malformed directives, 422 for lists of lists, and, as
    /// upstream, 500 for elements without their merge key.
    package static func apply(
        _ patch: JSON, to document: JSON, type: SchemaType?
    ) throws(StatusError) -> JSON {
        guard let patch = patch.object else { throw .badRequest("Invalid JSON document") }
        return .object(try merge(patch, into: document.object ?? [:], type: type))
    }

    // MARK: - Objects

    static func merge(
        _ patch: JSONObject, into original: JSONObject, type: SchemaType?
    ) throws(StatusError) -> JSONObject {
        var patch = patch
        if let directive = patch[directive] { return try replacement(directive, patch) }
        var result = original
        try applyRetainKeys(&patch, to: &result)
        try applyElementOrders(&patch, to: &result, type: type)
        var removed: [String] = []
        for (key, value) in patch {
            if key.hasPrefix(deletionPrefix) {
                try deletePrimitives(key, value, from: &result)
            } else if value.isNull {
                removed.append(key)
            } else {
                try merge(value, into: &result, key: key, type: type)
            }
        }
        result.removeValues(forKeys: removed)
        return result
    }

    /// What an object with a `$patch` directive leaves of the original: nothing, or the patch itself.
    private static func replacement(_ directive: JSON, _ patch: JSONObject) throws(StatusError) -> JSONObject {
        switch directive.string {
        case "replace":
            var patch = patch
            patch[Self.directive] = nil
            return withoutDirectives(.object(patch))?.object ?? [:]
        case "delete": return [:]
        default: throw failure("unknown patch type: \(goText(directive)) in map: \(goText(.object(patch)))")
        }
    }

    private static func merge(
        _ value: JSON, into result: inout JSONObject, key: String, type: SchemaType?
    ) throws(StatusError) {
        guard let present = result[key] else {
            result[key] = withoutDirectives(value)
            return
        }
        let fieldType = fieldType(key, of: type)
        switch (present, value) {
        case (.object(let old), .object(let new)):
            let isReplaced = fieldType?.patchStrategy.contains(.replace) ?? false
            result[key] =
                isReplaced ? withoutDirectives(value) : .object(try merge(new, into: old, type: fieldType))
        case (.array(let old), .array(let new)):
            result[key] = .array(try mergeLists(new, into: old, type: fieldType))
        default: result[key] = withoutDirectives(value)
        }
    }

    static func fieldType(_ key: String, of type: SchemaType?) -> SchemaType? {
        guard let type else { return nil }
        return type.shape == .map ? type.element : type.field(key)?.type
    }

    /// `$retainKeys` removes all members that it does not list.
    private static func applyRetainKeys(
        _ patch: inout JSONObject, to result: inout JSONObject
    ) throws(StatusError) {
        guard let keys = patch.removeValue(forKey: retainKeys) else { return }
        guard let keys = keys.array else { throw .badRequest("Invalid patch format of retainKeys") }
        let kept = Set(keys.compactMap(\.string))
        let isConsistent = patch.allSatisfy { key, value in
            value.isNull || key.hasPrefix("$") || kept.contains(key)
        }
        guard isConsistent else { throw .badRequest("Invalid patch format of retainKeys") }
        result.filter { key, _ in kept.contains(key) }
    }

    private static func deletePrimitives(
        _ key: String, _ value: JSON, from result: inout JSONObject
    ) throws(StatusError) {
        guard let field = fieldName(key, prefix: deletionPrefix), let deleted = value.array else {
            throw .badRequest("Invalid patch format of primitive list")
        }
        guard let present = result[field]?.array else { return }
        let set = Set(deleted)
        result[field] = .array(present.filter { !set.contains($0) })
    }

    /// The field that a directive `prefix/field` is about.
    private static func fieldName(_ key: String, prefix: String) -> String? {
        let parts = key.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == prefix else { return nil }
        return String(parts[1])
    }

    // MARK: - Order

    /// Merges the lists for which the patch gives an order, and brings them into it.
    private static func applyElementOrders(
        _ patch: inout JSONObject, to result: inout JSONObject, type: SchemaType?
    ) throws(StatusError) {
        for key in patch.keys where key.hasPrefix(orderPrefix) {
            guard let order = patch.removeValue(forKey: key)?.array, let field = fieldName(key, prefix: orderPrefix)
            else { throw .badRequest("Invalid patch format of setElementOrder list") }
            let fieldType = fieldType(field, of: type)
            let mergeKey = fieldType?.patchMergeKey
            let original = result[field]?.array
            let patched = patch[field]?.array
            if let patched { try checkOrder(of: patched, order, mergeKey: mergeKey) }
            let merged: [JSON]
            switch (original, patched) {
            case (let original?, nil): merged = original
            case (nil, let patched?): merged = withoutDirectives(.array(patched))?.array ?? []
            case (let original?, let patched?): merged = try mergeLists(patched, into: original, type: fieldType)
            case (nil, nil): continue
            }
            result[field] = .array(
                ordered(merged, patchOrder: order, serverOrder: original ?? [], mergeKey: mergeKey))
            patch[field] = nil
        }
    }

    /// The items that a patch sets must stand in the order that it gives.
    private static func checkOrder(of patch: [JSON], _ order: [JSON], mergeKey: String?) throws(StatusError) {
        var remaining = order[...]
        for item in patch where item[directive] == nil {
            let identity = identity(of: item, mergeKey)
            guard let position = remaining.firstIndex(where: { Self.identity(of: $0, mergeKey) == identity }) else {
                throw failure(
                    "The order in patch list:\n\(goText(.array(patch)))\n doesn't match \(orderPrefix) list:\n"
                        + "\(goText(.array(order)))\n")
            }
            remaining = remaining[(position + 1)...]
        }
    }

    /// What tells an item of a list from the others: the value of its merge key, or the item itself.
    static func identity(of item: JSON, _ mergeKey: String?) -> JSON? {
        guard let mergeKey, item.object != nil else { return item }
        return item[mergeKey]
    }
}
