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
    /// - Parameter duplicates: the duplicate members that the parser found.
    /// - Throws: 400 for a value of a wrong type, another kind, and under `strict` for unknown and duplicate fields.
    package static func check(
        _ json: JSON, kind: GroupVersionKind, strictness: Strictness = .warn, duplicates: [JSON.DuplicateMember] = []
    ) throws(StatusError) -> Checked {
        try check(json, kind: kind, type: type(of: kind), strictness: strictness, duplicates: duplicates)
    }

    private static func type(of kind: GroupVersionKind) throws(StatusError) -> SchemaType {
        guard let type = Schema.type(for: kind) else {
            throw .badRequest("no kind \"\(kind.kind)\" is registered for version \"\(kind.groupVersion)\"")
        }
        return type
    }

    /// Checks a body against a type that was defined at run time.
    package static func check(
        _ json: JSON, kind: GroupVersionKind, type: SchemaType, strictness: Strictness = .warn,
        duplicates: [JSON.DuplicateMember] = []
    ) throws(StatusError) -> Checked {
        try checkKind(of: json, kind: kind)
        do {
            return try decode(json, kind: kind, type: type, strictness, duplicates: duplicates, before: [])
        } catch {
            throw .badRequest(
                "\(kind.kind) in version \"\(kind.version)\" cannot be handled as a \(kind.kind): \(error.message)")
        }
    }

    /// Checks what a patch has made of an object; what occurs twice in the patch counts whether it is known or not.
    ///
    /// - Parameter duplicates: the duplicate members of the patch.
    /// - Throws: 400 with what is wrong, in the words of Go's decoder.
    package static func check(
        patched json: JSON, kind: GroupVersionKind, strictness: Strictness, duplicates: [JSON.DuplicateMember]
    ) throws(StatusError) -> Checked {
        try checkKind(of: json, kind: kind)
        var problems: [String] = []
        for duplicate in duplicates {
            let problem = ObjectDecoder.problem(with: duplicate)
            if !problems.contains(problem) { problems.append(problem) }
        }
        let type = try type(of: kind)
        do {
            return try decode(json, kind: kind, type: type, strictness, duplicates: [], before: problems)
        } catch {
            throw .badRequest(error.message)
        }
    }

    /// - Parameter before: problems that are told first.
    private static func decode(
        _ json: JSON, kind: GroupVersionKind, type: SchemaType, _ strictness: Strictness,
        duplicates: [JSON.DuplicateMember], before: [String]
    ) throws(ObjectDecoder.Failure) -> Checked {
        var decoder = ObjectDecoder(duplicates: duplicates)
        var result = try decoder.decodeObject(json, as: type)
        let problems = before + decoder.problems
        if strictness == .strict, !problems.isEmpty {
            throw .init(message: "strict decoding error: \(problems.joined(separator: ", "))")
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

    /// The status of an object of which nobody has found out anything yet: the zero values that Go writes.
    package static func emptyStatus(of kind: GroupVersionKind) -> JSON {
        guard let status = Schema.type(for: kind)?.field("status") else { return .object([:]) }
        let zero = ObjectDecoder.zero(of: status.type)
        return zero.object == nil ? .object([:]) : zero
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
        validator.metadataUpdate(new, old, kind)
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
