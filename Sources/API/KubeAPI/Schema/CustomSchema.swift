// SPDX-License-Identifier: Apache-2.0

package import JSON

/// A type of a kind that is defined at run time, from an OpenAPI v3 structural schema.
///
/// Two are equal only if they are the same node: a handle is compared often, a whole schema never.
package final class CustomSchema: Sendable, Hashable {
    let shape: SchemaType.Shape
    let format: SchemaType.Format
    let fields: [String: SchemaField]
    let element: SchemaType?
    let enumValues: [String]
    let listType: SchemaType.ListType
    let isMapAtomic: Bool
    let preservesUnknownFields: Bool

    /// Nested schemas deeper than this are taken as anything at all.
    static let maximumDepth = 64

    /// Reads a structural schema; keywords without a meaning for typing and merging are left to validation.
    package convenience init(openAPI schema: JSON) { self.init(schema, depth: 0) }

    private init(_ schema: JSON, depth: Int) {
        let isEmbedded = schema["x-kubernetes-embedded-resource"]?.bool ?? false
        preservesUnknownFields = schema["x-kubernetes-preserve-unknown-fields"]?.bool ?? false
        shape = depth > Self.maximumDepth ? .any : Self.shape(of: schema)
        format = Self.format(of: schema)
        enumValues = (schema["enum"]?.elements ?? []).compactMap(\.string)
        isMapAtomic = schema["x-kubernetes-map-type"]?.string == "atomic"
        switch schema["x-kubernetes-list-type"]?.string {
        case "set": listType = .set
        case "map": listType = .map(keys: (schema["x-kubernetes-list-map-keys"]?.elements ?? []).compactMap(\.string))
        default: listType = .atomic
        }
        let below = shape == .list ? schema["items"] : shape == .map ? schema["additionalProperties"] : nil
        element = below.map { SchemaType(CustomSchema($0, depth: depth + 1)) }
        let required = Set((schema["required"]?.elements ?? []).compactMap(\.string))
        var fields: [String: SchemaField] = [:]
        if shape == .object {
            for (name, property) in schema["properties"]?.members ?? [:] {
                fields[name] = SchemaField(
                    name: name, type: SchemaType(CustomSchema(property, depth: depth + 1)),
                    isRequired: required.contains(name), default: property["default"])
            }
            if depth == 0 || isEmbedded { Self.addObjectFields(to: &fields) }
        }
        self.fields = fields
    }

    /// Every object has these, whatever its schema says.
    private static func addObjectFields(to fields: inout [String: SchemaField]) {
        let text = SchemaType(CustomSchema(openAPI: ["type": "string"]))
        for name in ["apiVersion", "kind"] {
            fields[name] = SchemaField(name: name, type: text, isRequired: false)
        }
        if let metadata = Schema.objectMeta {
            fields["metadata"] = SchemaField(name: "metadata", type: metadata, isRequired: false)
        }
    }

    private static func shape(of schema: JSON) -> SchemaType.Shape {
        if schema["x-kubernetes-int-or-string"]?.bool == true { return .intOrString }
        switch schema["type"]?.string {
        case "string": return .string
        case "integer": return .integer
        case "number": return .number
        case "boolean": return .boolean
        case "array": return .list
        case "object":
            if schema["properties"] == nil, let extra = schema["additionalProperties"] {
                return extra.object == nil ? .any : .map
            }
            let isOpen = schema["x-kubernetes-preserve-unknown-fields"]?.bool ?? false
            return schema["properties"] == nil && isOpen ? .any : .object
        default: return .any
        }
    }

    private static func format(of schema: JSON) -> SchemaType.Format {
        switch schema["format"]?.string {
        case "int32": .int32
        case "int64": .int64
        case "double", "float": .double
        case "byte": .byte
        default: .none
        }
    }

    package static func == (left: CustomSchema, right: CustomSchema) -> Bool { left === right }
    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
