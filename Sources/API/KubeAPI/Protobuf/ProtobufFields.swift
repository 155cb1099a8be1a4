// SPDX-License-Identifier: Apache-2.0

/// Finds the fields of a definition by their protobuf numbers.
///
/// Structs that JSON inlines are messages of their own in protobuf: `volumes[].emptyDir` is field 2 of the message in
/// field 2. A place is the definition and the numbers of the messages that lead from it to here.
struct ProtobufPlace: Hashable {
    let definition: Int
    /// The numbers of the enclosing messages, six bits each, the outermost first; zero for the definition itself.
    let path: Int

    init(_ definition: Int, path: Int = 0) {
        self.definition = definition
        self.path = path
    }

    enum Match {
        case field(Int)
        /// A message whose fields JSON writes into the object around it.
        case inlined(ProtobufPlace)
    }

    /// What a field number means here; nil for unknown ones.
    func match(_ number: Int) -> Match? {
        let below = path << 6 | number
        for index in SchemaTable.fields(ofDefinition: definition) {
            let (fieldPath, fieldNumber) = Self.numbers(index)
            if fieldPath == path, fieldNumber == number { return .field(index) }
            if number < 64, fieldPath == below || fieldPath >> 6 == below, fieldPath != 0 {
                return .inlined(ProtobufPlace(definition, path: below))
            }
        }
        return nil
    }

    /// The path and number of a field of the table.
    static func numbers(_ index: Int) -> (path: Int, number: Int) {
        let offset = SchemaTable.fieldOffset(index)
        let path = SchemaTable.number(offset + 7, 1) << 6 | SchemaTable.number(offset + 8, 1)
        return (path, SchemaTable.number(offset + 5, 2))
    }
}

extension SchemaType {
    /// How the items of a list lie in one length-delimited field; nil for items that cannot be packed.
    var packableWireType: ProtobufReader.WireType? {
        switch shape {
        case .integer, .boolean: .varint
        case .number: .fixed64
        default: nil
        }
    }

    /// The types that protobuf gives a message of their own though JSON writes them as a value, by their definitions.
    enum Special {
        case jsonSchemaOrArray, jsonSchemaOrBool, jsonSchemaOrStrings
    }

    static let jsonSchemaName = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"

    /// Which of apiextensions' union types this is.
    var special: Special? {
        guard shape == .any, let name = scalarName, name.hasPrefix(Self.jsonSchemaName) else { return nil }
        return switch name.dropFirst(Self.jsonSchemaName.count) {
        case "OrArray": .jsonSchemaOrArray
        case "OrBool": .jsonSchemaOrBool
        case "OrStringArray": .jsonSchemaOrStrings
        default: nil
        }
    }
}
