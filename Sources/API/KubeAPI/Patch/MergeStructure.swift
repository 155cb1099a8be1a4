// SPDX-License-Identifier: Apache-2.0

import JSON

/// How a value takes part in server-side apply: what owns, compares and merges as a whole, and what by its parts.
enum MergeStructure {
    /// A scalar, or an atomic list or map.
    case leaf
    /// An object or map whose members have owners of their own.
    case members
    /// A list whose items are told apart by themselves.
    case set
    /// A list whose items are told apart by the values of these fields.
    case keyed([String])

    /// The structure of a value of a type. Without a type (nil) it follows from the value: objects merge, lists do not.
    init(_ type: SchemaType?, _ value: JSON) {
        guard let type else {
            self = value.object == nil ? .leaf : .members
            return
        }
        switch type.shape {
        case .any: self = type.format == .raw || value.object == nil ? .leaf : .members
        case .object, .map: self = type.isMapAtomic || !Self.isEmptyOr(value, value.object != nil) ? .leaf : .members
        case .list:
            guard Self.isEmptyOr(value, value.array != nil) else {
                self = .leaf
                return
            }
            switch type.listType {
            case .atomic: self = .leaf
            case .set: self = .set
            case .map(let keys): self = .keyed(keys)
            }
        case .string, .integer, .number, .boolean, .intOrString, .quantity: self = .leaf
        }
    }

    /// Null stands for an empty object or list.
    private static func isEmptyOr(_ value: JSON, _ isExpected: Bool) -> Bool { isExpected || value.isNull }
}

extension SchemaType {
    /// The type of a member of an object or map; nil where it is not declared.
    func memberType(_ key: String) -> SchemaType? {
        switch shape {
        case .map: return element
        case .object:
            guard let definition else { return field(key)?.type }
            // Only the type is wanted: the rest of the field need not be read.
            return SchemaTable.field(key, ofDefinition: definition).map {
                SchemaType(node: SchemaTable.number(SchemaTable.fieldOffset($0) + 3, 2))
            }
        default: return nil
        }
    }
}

extension JSON {
    /// Whether the value is neither object nor array, so that its type does not matter for who owns it.
    var isScalar: Bool {
        switch self {
        case .object, .array, .null: false
        default: true
        }
    }
}

extension SchemaField {
    /// What the field holds in an object in which nobody set it: Go writes structs that are no pointers as `{}`, and
    /// lists and maps without `omitempty` as `null`, so that they never count as added or removed.
    var implicitValue: JSON? {
        guard !encoding.contains(.pointer) else { return nil }
        switch type.shape {
        case .object: return encoding.contains(.omitZero) ? nil : .object([:])
        case .list, .map: return encoding.contains(.omitEmpty) || encoding.contains(.omitZero) ? nil : .null
        default: return nil
        }
    }
}

extension PathElement {
    /// The path element of an item of a keyed list; nil if it has none of the keys.
    ///
    /// A missing key has its field's default, `TCP` in the port of a container.
    init?(item: JSON, keys: [String], type: SchemaType?) {
        guard item.object != nil else { return nil }
        var fields: [KeyField] = []
        fields.reserveCapacity(keys.count)
        for key in keys {
            guard let value = item[key] ?? type?.field(key)?.default, !value.isNull else { continue }
            fields.append(KeyField(key, value))
        }
        if fields.isEmpty { return nil }
        if fields.count > 1 { fields.sort { $0.name < $1.name } }
        self = .key(fields)
    }

    /// The path elements of a list's items.
    static func items(
        of list: [JSON], _ structure: MergeStructure, element: SchemaType?
    ) -> [PathElement] {
        switch structure {
        case .keyed(let keys):
            return list.enumerated().map { index, item in
                PathElement(item: item, keys: keys, type: element) ?? .index(index)
            }
        default: return list.map(PathElement.value)
        }
    }
}
