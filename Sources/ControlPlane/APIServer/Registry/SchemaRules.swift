// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// The rules of an object's schema, as the registry applies them.
enum SchemaRules {
    /// Checks the shape of a submitted object: `Strict` refuses what `Warn` warns of and `Ignore` drops silently.
    ///
    /// - Parameter duplicates: the duplicate members that parsing found.
    /// - Throws: `BadRequest` for a value of the wrong type, and in strict mode for unknown and duplicate fields.
    static func check(
        _ object: KubeObject, _ served: ServedResource, fieldValidation: String, duplicates: [JSON.DuplicateMember],
        _ warnings: Warnings
    ) throws(StatusError) -> KubeObject {
        try check(object, as: served.kind, fieldValidation: fieldValidation, duplicates: duplicates, warnings)
    }

    /// Checks the shape of what is not an object of a resource itself, such as a Scale.
    static func check(
        _ object: KubeObject, as kind: GroupVersionKind, fieldValidation: String,
        duplicates: [JSON.DuplicateMember], _ warnings: Warnings
    ) throws(StatusError) -> KubeObject {
        let checked = try ObjectRules.check(
            object.json, kind: kind, strictness: .init(rawValue: fieldValidation) ?? .warn, duplicates: duplicates)
        for warning in checked.warnings { warnings.add(warning) }
        return KubeObject(checked.json)
    }

    /// Checks what a patch has made of an object, and the patch itself.
    ///
    /// - Parameter duplicates: the duplicate members of the patch.
    /// - Throws: `Invalid` (422), as upstream, for what makes a whole object a bad request.
    static func check(
        patched object: KubeObject, as kind: GroupVersionKind, fieldValidation: String,
        duplicates: [JSON.DuplicateMember], _ warnings: Warnings
    ) throws(StatusError) -> KubeObject {
        let strictness = ObjectRules.Strictness(rawValue: fieldValidation) ?? .warn
        do {
            let checked = try ObjectRules.check(
                patched: object.json, kind: kind, strictness: strictness, duplicates: duplicates)
            for warning in checked.warnings { warnings.add(warning) }
            return KubeObject(checked.json)
        } catch {
            guard error.code == 400 else { throw error }
            let value = JSON.string(object.json.text()).text()
            let cause = StatusError.Cause(
                reason: "FieldValueInvalid", message: "Invalid value: \(value): \(error.message)", field: "patch")
            throw invalid(GroupVersionKind("", "", ""), name: "", [cause])
        }
    }

    /// Sets the defaults of the kind in which the object is kept.
    static func applyDefaults(_ object: inout KubeObject, _ served: ServedResource) throws(StatusError) {
        ObjectRules.applyDefaults(&object.json, kind: served.storedKind)
    }

    /// Validates a complete object.
    ///
    /// - Parameter subresource: what is updated; empty for the object itself.
    /// - Throws: `Invalid` (422) with all that is wrong.
    static func validate(
        _ object: KubeObject, old: KubeObject?, _ served: ServedResource, subresource: String = "",
        extra: [StatusError.Cause]
    ) throws(StatusError) {
        let errors: [FieldError]
        if let old {
            // An update without a revision replaces whatever there is; deletion marks are the registry's own.
            var new = object
            if new.resourceVersion.isEmpty {
                new.resourceVersion = old.resourceVersion.isEmpty ? "0" : old.resourceVersion
            }
            errors = ObjectRules.validateUpdate(
                new: new.json, old: old.json, kind: served.storedKind,
                subresource: subresource.isEmpty ? nil : subresource
            ).filter { !deletionFields.contains($0.field) }
        } else {
            errors = ObjectRules.validateCreate(object.json, kind: served.storedKind)
        }
        var causes = errors.map {
            StatusError.Cause(reason: $0.reason.rawValue, message: $0.detail, field: $0.field)
        }
        for cause in extra where !causes.contains(where: { $0.field == cause.field }) { causes.append(cause) }
        if !causes.isEmpty { throw invalid(served.kind, name: object.name, causes) }
    }

    /// Warns the sender of what is valid but hardly meant; the agent's own parts have nobody to read it.
    static func warn(_ change: Change, _ object: KubeObject) {
        guard !change.isTrusted, change.subresource.isEmpty else { return }
        for text in ObjectRules.warnings(for: object.json, old: change.old?.json, kind: change.served.storedKind) {
            change.warnings.add(text)
        }
    }

    private static let deletionFields = ["metadata.deletionTimestamp", "metadata.deletionGracePeriodSeconds"]

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
