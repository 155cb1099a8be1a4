// SPDX-License-Identifier: Apache-2.0

package import JSON

/// What is wrong with one field, worded as upstream (`apimachinery/pkg/util/validation/field`).
package struct FieldError: Hashable, Sendable, CustomStringConvertible {
    /// The `reason` of the Status cause.
    package enum Reason: String, Sendable, Hashable {
        case notFound = "FieldValueNotFound"
        case required = "FieldValueRequired"
        case duplicate = "FieldValueDuplicate"
        case invalid = "FieldValueInvalid"
        case unsupported = "FieldValueNotSupported"
        case forbidden = "FieldValueForbidden"
        case tooLong = "FieldValueTooLong"
        case tooMany = "FieldValueTooMany"
        case internalError = "InternalError"
        case typeInvalid = "FieldValueTypeInvalid"
    }

    package let reason: Reason
    /// `spec.containers[0].image`
    package let field: String
    /// The text after the field.
    package let detail: String

    /// `spec.containers[0].image: Required value`
    package var description: String { field.isEmpty ? detail : "\(field): \(detail)" }

    private init(_ reason: Reason, _ field: FieldPath, _ detail: String) {
        self.reason = reason
        self.field = field.text
        self.detail = detail
    }

    private static func join(_ head: String, _ detail: String) -> String {
        detail.isEmpty ? head : "\(head): \(detail)"
    }

    package static func required(_ field: FieldPath, _ detail: String = "") -> FieldError {
        .init(.required, field, join("Required value", detail))
    }

    package static func invalid(_ field: FieldPath, _ value: JSON, _ detail: String) -> FieldError {
        .init(.invalid, field, join("Invalid value: \(show(value))", detail))
    }

    package static func duplicate(_ field: FieldPath, _ value: JSON) -> FieldError {
        .init(.duplicate, field, "Duplicate value: \(show(value))")
    }

    package static func notFound(_ field: FieldPath, _ value: JSON) -> FieldError {
        .init(.notFound, field, "Not found: \(show(value))")
    }

    package static func forbidden(_ field: FieldPath, _ detail: String) -> FieldError {
        .init(.forbidden, field, join("Forbidden", detail))
    }

    /// Supported values are shown sorted, as upstream.
    package static func unsupported(_ field: FieldPath, _ value: JSON, _ supported: [String]) -> FieldError {
        let values = supported.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
        return .init(.unsupported, field, "Unsupported value: \(show(value)): supported values: \(values)")
    }

    package static func tooLong(_ field: FieldPath, maximum: Int) -> FieldError {
        .init(.tooLong, field, "Too long: may not be more than \(maximum) bytes")
    }

    package static func tooMany(_ field: FieldPath, _ count: Int, maximum: Int) -> FieldError {
        .init(.tooMany, field, "Too many: \(count): must have at most \(maximum) items")
    }

    package static func internalError(_ field: FieldPath, _ detail: String) -> FieldError {
        .init(.internalError, field, join("Internal error", detail))
    }

    /// Strings are quoted as in Go; objects and lists appear as JSON.
    private static func show(_ value: JSON) -> String {
        switch value {
        case .string(let text): JSON.string(text).text()
        case .null: "null"
        default: value.text()
        }
    }
}

/// Where a field is: `spec.template.spec.containers[0].ports[1].name`, `metadata.labels[app]`.
package struct FieldPath: Hashable, Sendable, CustomStringConvertible {
    package private(set) var text: String

    package init(_ text: String = "") { self.text = text }

    package var description: String { text }

    /// The field `name` below this one.
    package func child(_ name: String, _ more: String...) -> FieldPath {
        var path = text.isEmpty ? name : "\(text).\(name)"
        for name in more { path += ".\(name)" }
        return FieldPath(path)
    }

    package func index(_ index: Int) -> FieldPath { FieldPath("\(text)[\(index)]") }
    package func key(_ key: String) -> FieldPath { FieldPath("\(text)[\(key)]") }
}

extension StatusError {
    /// The answer to an object with invalid fields: `Deployment.apps "x" is invalid: [a, b]`, 422.
    package static func invalid(_ kind: GroupVersionKind, name: String, _ errors: [FieldError]) -> StatusError {
        let qualified = kind.group.isEmpty ? kind.kind : "\(kind.kind).\(kind.group)"
        // Upstream shows each text once, in the order of appearance.
        var seen: Set<String> = []
        let texts = errors.map(\.description).filter { seen.insert($0).inserted }
        let list = texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"
        var details = Details(name: name, group: kind.group, kind: kind.kind)
        details.causes = errors.map { .init(reason: $0.reason.rawValue, message: $0.detail, field: $0.field) }
        return .init(
            code: 422, reason: Reason.invalid, message: "\(qualified) \"\(name)\" is invalid: \(list)",
            details: details)
    }
}
