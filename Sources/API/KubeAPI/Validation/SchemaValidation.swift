// SPDX-License-Identifier: Apache-2.0

import JSON

/// What the schema alone tells: texts that must be there, and values of enumerations. It completes the rules of kinds
/// that have rules of their own, and is all there is for the others.
extension Validator {
    /// Parts that the system fills in, which clients cannot get wrong.
    private static let skipped: Set<String> = ["status", "metadata", "apiVersion", "kind"]
    /// Enumerations that upstream leaves open.
    private static let open: Set<String> = ["v1.LimitType", "v1.ResourceName", "v1.SecretType", "v1.Signal"]

    mutating func schema(_ object: JSON, _ type: SchemaType) {
        let reported = Set(errors.map(\.field))
        var found = Validator()
        found.fields(object, type, FieldPath(), depth: 0)
        // What a rule of the kind says about a field is better.
        for error in found.errors where !reported.contains(error.field) { add(error) }
    }

    private mutating func fields(_ object: JSON, _ type: SchemaType, _ path: FieldPath, depth: Int) {
        for (name, value) in object.members where depth > 0 || !Self.skipped.contains(name) {
            guard let field = type.field(name) else { continue }
            let place = path.child(name)
            if field.isRequired, value == "", field.type.enumValues.isEmpty || depth > 0 { add(.required(place)) }
            check(value, field.type, place, depth: depth + 1)
        }
    }

    private mutating func check(_ value: JSON, _ type: SchemaType, _ path: FieldPath, depth: Int) {
        switch type.shape {
        case .object: fields(value, type, path, depth: depth)
        case .list:
            guard let element = type.element, element.shape == .object || !element.enumValues.isEmpty else { return }
            for (index, item) in value.elements.enumerated() { check(item, element, path.index(index), depth: depth) }
        case .map:
            guard let element = type.element, element.shape == .object else { return }
            for (key, item) in value.members { check(item, element, path.key(key), depth: depth) }
        case .string:
            guard case .string(let text) = value, !text.isEmpty else { return }
            let supported = type.enumValues
            if supported.isEmpty || supported.contains(text) || Self.open.contains(type.scalarName ?? "") { return }
            add(.unsupported(path, value, supported))
        default: break
        }
    }
}
