// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// The rules of an object's schema, as the registry applies them.
enum SchemaRules {
    /// Checks the shape of a submitted object: `Strict` refuses what `Warn` warns of and `Ignore` drops silently.
    ///
    /// - Parameter duplicates: the paths of duplicate members that parsing found.
    /// - Throws: `BadRequest` for a value of the wrong type, and in strict mode for unknown and duplicate fields.
    static func check(
        _ object: KubeObject, _ served: ServedResource, fieldValidation: String, duplicates: [String],
        _ warnings: Warnings
    ) throws(StatusError) -> KubeObject {
        let checked = try ObjectRules.check(
            object.json, kind: served.kind, strictness: .init(rawValue: fieldValidation) ?? .warn,
            duplicates: duplicates)
        for warning in checked.warnings { warnings.add(warning) }
        return KubeObject(checked.json)
    }

    /// Sets the defaults of the kind in which the object is kept.
    static func applyDefaults(_ object: inout KubeObject, _ served: ServedResource) throws(StatusError) {
        ObjectRules.applyDefaults(&object.json, kind: served.storedKind)
    }

    /// Validates a complete object.
    ///
    /// - Throws: `Invalid` (422) with all that is wrong.
    static func validate(
        _ object: KubeObject, old: KubeObject?, _ served: ServedResource, extra: [StatusError.Cause]
    ) throws(StatusError) {
        if !extra.isEmpty { throw invalid(served.kind, name: object.name, extra) }
    }

    /// The refusal of an object whose fields are wrong, worded as upstream.
    static func invalid(_ kind: GroupVersionKind, name: String, _ causes: [StatusError.Cause]) -> StatusError {
        var details = StatusError.Details(name: name, group: kind.group, kind: kind.kind)
        details.causes = causes
        let lines = causes.map { $0.field.isEmpty ? $0.message : "\($0.field): \($0.message)" }
        let list = lines.count == 1 ? lines[0] : "[\(lines.joined(separator: ", "))]"
        let group = kind.group.isEmpty ? kind.kind : "\(kind.kind).\(kind.group)"
        return StatusError(
            code: 422, reason: StatusError.Reason.invalid, message: "\(group) \"\(name)\" is invalid: \(list)",
            details: details)
    }
}
