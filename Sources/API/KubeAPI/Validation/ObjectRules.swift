// SPDX-License-Identifier: Apache-2.0

package import JSON

/// What happens to an object between parsing and admission: typing, pruning, defaulting and validation.
package enum ObjectRules {
    /// How unknown and duplicate fields are treated (`fieldValidation`).
    package enum Strictness: String, Sendable, Hashable {
        case ignore = "Ignore"
        case warn = "Warn"
        case strict = "Strict"
    }

    /// An object as the API keeps it, and what the client is to be warned of.
    package struct Checked: Sendable {
        package var json: JSON
        /// Texts for `Warning` headers: `unknown field "spec.foo"`.
        package var warnings: [String]
    }

    /// Checks a body against the type of `kind` and gives it its canonical form: without unknown fields, nulls and zero
    /// values where Go leaves them out, with `apiVersion` and `kind`, and with declared defaults.
    ///
    /// - Parameter duplicates: the paths of duplicate fields that the parser found.
    /// - Throws: 400 for a value of a wrong type, another kind, and under `strict` for unknown and duplicate fields.
    package static func check(
        _ json: JSON, kind: GroupVersionKind, strictness: Strictness = .warn, duplicates: [String] = []
    ) throws(StatusError) -> Checked {
        guard let type = Schema.type(for: kind) else {
            throw .badRequest("no kind \"\(kind.kind)\" is registered for version \"\(kind.groupVersion)\"")
        }
        return try check(json, kind: kind, type: type, strictness: strictness, duplicates: duplicates)
    }

    /// Checks a body against a type that was defined at run time.
    package static func check(
        _ json: JSON, kind: GroupVersionKind, type: SchemaType, strictness: Strictness = .warn,
        duplicates: [String] = []
    ) throws(StatusError) -> Checked {
        let place = "\(kind.kind) in version \"\(kind.version)\" cannot be handled as a \(kind.kind)"
        try checkKind(of: json, kind: kind)
        var decoder = ObjectDecoder()
        var result: JSON
        do {
            result = try decoder.decodeObject(json, as: type)
        } catch {
            throw .badRequest("\(place): \(error.message)")
        }
        let problems =
            duplicates.map { "duplicate field \"\($0)\"" } + decoder.unknownFields.map { "unknown field \"\($0)\"" }
        if strictness == .strict, !problems.isEmpty {
            throw .badRequest("\(place): strict decoding error: \(problems.joined(separator: ", "))")
        }
        result["apiVersion"] = .string(kind.groupVersion.description)
        result["kind"] = .string(kind.kind)
        return Checked(json: result, warnings: strictness == .warn ? problems : [])
    }

    private static func checkKind(of json: JSON, kind: GroupVersionKind) throws(StatusError) {
        let version = json["apiVersion"]?.string ?? ""
        let name = json["kind"]?.string ?? ""
        if !version.isEmpty, version != kind.groupVersion.description {
            throw .badRequest(
                "the API version in the data (\(version)) does not match the expected API version (\(kind.groupVersion))"
            )
        }
        if !name.isEmpty, name != kind.kind {
            throw .badRequest(
                "\(name) in version \"\(kind.version)\" cannot be handled as a \(kind.kind): converting "
                    + "(\(kind.version).\(name)) to (\(kind.kind)): unknown conversion")
        }
    }

    /// Sets upstream's defaults; an object that has them already stays as it is.
    package static func applyDefaults(_ json: inout JSON, kind: GroupVersionKind) {
        Defaults.rule(for: kind)?(&json)
    }
}

// MARK: - Validation

extension ObjectRules {
    /// What is wrong with an object that is to be created, which is checked, defaulted and named.
    package static func validateCreate(
        _ json: JSON, kind: GroupVersionKind, table: ResourceTable = .builtIn
    ) -> [FieldError] {
        var validator = Validator()
        validator.metadata(json, kind, isNamespaced: table[kind]?.isNamespaced ?? true)
        validator.contents(json, kind)
        if let type = Schema.type(for: kind) { validator.schema(json, type) }
        return validator.errors
    }

    /// What is wrong with an update of an object. Both are checked and defaulted.
    ///
    /// - Parameter subresource: `status`, `ephemeralcontainers`, ...; nil for the object itself.
    package static func validateUpdate(
        new: JSON, old: JSON, kind: GroupVersionKind, subresource: String? = nil
    ) -> [FieldError] {
        var validator = Validator()
        validator.metadataUpdate(new, old)
        switch subresource {
        case nil:
            validator.contents(new, kind)
            validator.changes(new, old, kind)
            if let type = Schema.type(for: kind) { validator.schema(new, type) }
        case "scale"?: validator.contents(new, kind)
        case "ephemeralcontainers"?: validator.ephemeralContainersUpdate(new, old)
        default: break
        }
        return validator.errors
    }

    /// ``validateCreate(_:kind:table:)`` as an answer: throws 422 when anything is wrong.
    package static func requireValid(_ errors: [FieldError], kind: GroupVersionKind, name: String) throws(StatusError) {
        if !errors.isEmpty { throw .invalid(kind, name: name, errors) }
    }
}
