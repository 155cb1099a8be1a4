// SPDX-License-Identifier: Apache-2.0

import JSON

/// Writes definitions of the schema table as OpenAPI schemas, of version 2 or 3.
struct OpenAPISchemas {
    enum Flavour {
        case v2, v3

        var referencePrefix: String { self == .v2 ? "#/definitions/" : "#/components/schemas/" }
    }

    let flavour: Flavour
    /// The kinds that a definition is served as.
    let kinds: [String: [GroupVersionKind]]

    /// The schemas that the named ones need, themselves included, sorted by name.
    func closure(of names: some Sequence<String>) -> [String] {
        var found: Set<String> = []
        var queue = Array(names)
        while let name = queue.popLast() {
            guard found.insert(name).inserted, let type = Schema.type(named: name) else { continue }
            for field in type.fields { collect(field.type, into: &queue) }
        }
        return found.sorted()
    }

    private func collect(_ type: SchemaType, into names: inout [String]) {
        if let name = Self.definition(of: type) {
            names.append(name)
        } else if let element = type.element {
            collect(element, into: &names)
        }
    }

    /// The definition to which a type refers; scalars such as Time have one too.
    private static func definition(of type: SchemaType) -> String? {
        if let name = type.definitionName { return name }
        guard let name = type.scalarName, name.hasPrefix("io.k8s.") else { return nil }
        return name
    }

    func reference(_ name: String) -> JSON { ["$ref": .string(flavour.referencePrefix + name)] }

    /// The schema of a definition.
    func schema(of name: String) -> JSON {
        guard let type = Schema.type(named: name) else { return scalar(name) }
        var result: JSON = [:]
        var properties = JSONObject()
        for field in type.fields { properties[field.name] = schema(of: field) }
        if !properties.isEmpty { result["properties"] = .object(properties) }
        let required = type.required
        if !required.isEmpty { result["required"] = JSON(required) }
        result["type"] = "object"
        if let kinds = kinds[name] {
            result["x-kubernetes-group-version-kind"] = .array(kinds.map(Self.json))
        }
        if type.isMapAtomic { result["x-kubernetes-map-type"] = "atomic" }
        return result
    }

    static func json(_ kind: GroupVersionKind) -> JSON {
        ["group": .string(kind.group), "kind": .string(kind.kind), "version": .string(kind.version)]
    }

    private func schema(of field: SchemaField) -> JSON {
        var result = schema(of: field.type)
        var extras: JSON = [:]
        if let value = field.default { extras["default"] = value }
        addExtensions(of: field.type, to: &extras)
        if extras.members.isEmpty { return result }
        // A reference stands alone in version 3; siblings go around it.
        if flavour == .v3, result["$ref"] != nil { result = ["allOf": [result]] }
        for (key, value) in extras.members { result[key] = value }
        return result
    }

    private func addExtensions(of type: SchemaType, to schema: inout JSON) {
        if type.shape == .list {
            switch type.listType {
            case .atomic: schema["x-kubernetes-list-type"] = type.patchMergeKey == nil ? "atomic" : nil
            case .set: schema["x-kubernetes-list-type"] = "set"
            case .map(let keys):
                schema["x-kubernetes-list-map-keys"] = JSON(keys)
                schema["x-kubernetes-list-type"] = "map"
            }
        }
        if type.shape == .map, type.isMapAtomic { schema["x-kubernetes-map-type"] = "atomic" }
        if let key = type.patchMergeKey { schema["x-kubernetes-patch-merge-key"] = .string(key) }
        var strategies: [String] = []
        if type.patchStrategy.contains(.merge) { strategies.append("merge") }
        if type.patchStrategy.contains(.replace) { strategies.append("replace") }
        if type.patchStrategy.contains(.retainKeys) { strategies.append("retainKeys") }
        if !strategies.isEmpty {
            schema["x-kubernetes-patch-strategy"] = .string(strategies.joined(separator: ","))
        }
    }

    private func schema(of type: SchemaType) -> JSON {
        if let name = Self.definition(of: type) { return reference(name) }
        switch type.shape {
        case .list: return ["type": "array", "items": type.element.map(schema) ?? [:]]
        case .map: return ["type": "object", "additionalProperties": type.element.map(schema) ?? [:]]
        case .string:
            var result: JSON = ["type": "string"]
            if type.format == .byte { result["format"] = "byte" }
            if !type.enumValues.isEmpty { result["enum"] = JSON(type.enumValues) }
            return result
        case .integer: return ["type": "integer", "format": type.format == .int64 ? "int64" : "int32"]
        case .number: return ["type": "number", "format": "double"]
        case .boolean: return ["type": "boolean"]
        case .any, .object, .intOrString, .quantity: return ["type": "object"]
        }
    }

    /// The definitions that are no objects with fields.
    private func scalar(_ name: String) -> JSON {
        switch name.split(separator: ".").last ?? "" {
        case "Quantity": flavour == .v2 ? ["type": "string"] : ["oneOf": [["type": "string"], ["type": "number"]]]
        case "IntOrString":
            flavour == .v2
                ? ["type": "string", "format": "int-or-string"]
                : ["format": "int-or-string", "oneOf": [["type": "integer"], ["type": "string"]]]
        case "Time", "MicroTime": ["type": "string", "format": "date-time"]
        case "Duration": ["type": "string"]
        case "JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray": [:]
        default: ["type": "object"]
        }
    }
}
