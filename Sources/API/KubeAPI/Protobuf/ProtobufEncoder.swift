// SPDX-License-Identifier: Apache-2.0

import JSON

/// Turns JSON into protobuf messages by the types of the schema table.
///
/// Fields are written in the order of the JSON, which readers of protobuf do not mind; what the type does not know has
/// no number and is left out.
struct ProtobufEncoder {
    var writer = ProtobufWriter()

    /// The fields of an object.
    mutating func encodeFields(
        of object: JSONObject, as definition: Int, depth: Int = 0
    ) throws(ProtobufError) {
        guard depth < ProtobufLimits.depth else { throw ProtobufError("the object is nested too deeply") }
        var inlined: [(path: Int, field: SchemaField, value: JSON)] = []
        for (name, value) in object where !value.isNull {
            guard let index = SchemaTable.field(name, ofDefinition: definition) else { continue }
            let (path, number) = ProtobufPlace.numbers(index)
            if number == 0 { continue }
            let field = SchemaField(index: index)
            if path == 0 {
                try encode(value, as: field.type, number, depth: depth)
            } else {
                inlined.append((path, field, value))
            }
        }
        if !inlined.isEmpty { try encodeInlined(inlined, depth: depth) }
    }

    /// Gathers fields that JSON inlines in the messages where protobuf has them.
    private mutating func encodeInlined(
        _ fields: [(path: Int, field: SchemaField, value: JSON)], depth: Int
    ) throws(ProtobufError) {
        var paths: [Int] = []
        for entry in fields where !paths.contains(entry.path) { paths.append(entry.path) }
        for path in paths {
            let members = fields.filter { $0.path == path }
            let (outer, inner) = (path >> 6, path & 63)
            guard outer != 0 else {
                try encodeGroup(inner, members, depth: depth)
                continue
            }
            try message(outer) { (encoder) throws(ProtobufError) in
                try encoder.encodeGroup(inner, members, depth: depth)
            }
        }
    }

    private mutating func encodeGroup(
        _ number: Int, _ members: [(path: Int, field: SchemaField, value: JSON)], depth: Int
    ) throws(ProtobufError) {
        try message(number) { (encoder) throws(ProtobufError) in
            for (_, field, value) in members {
                try encoder.encode(value, as: field.type, field.protobufNumber ?? 0, depth: depth)
            }
        }
    }

    private mutating func message(
        _ number: Int, _ body: (inout ProtobufEncoder) throws(ProtobufError) -> Void
    ) throws(ProtobufError) {
        let start = writer.beginMessage(number)
        try body(&self)
        writer.endMessage(start)
    }

    // MARK: Values

    private func mismatch(_ value: JSON, _ type: SchemaType) -> ProtobufError {
        ProtobufError("a \(value.typeName) has no protobuf form as \(GoTypeNames().name(type))")
    }

    /// A field, or each item of a list and each entry of a map.
    private mutating func encode(
        _ value: JSON, as type: SchemaType, _ number: Int, depth: Int
    ) throws(ProtobufError) {
        switch type.shape {
        case .list:
            guard case .array(let items) = value, let element = type.element else { throw mismatch(value, type) }
            for item in items { try encodeValue(item, as: element, number, depth: depth) }
        case .map:
            guard case .object(let members) = value, let element = type.element else { throw mismatch(value, type) }
            for (key, value) in members {
                try message(number) { (encoder) throws(ProtobufError) in
                    encoder.writer.text(1, key)
                    try encoder.encodeValue(value, as: element, 2, depth: depth)
                }
            }
        default: try encodeValue(value, as: type, number, depth: depth)
        }
    }

    private mutating func encodeValue(
        _ value: JSON, as type: SchemaType, _ number: Int, depth: Int
    ) throws(ProtobufError) {
        switch type.shape {
        case .integer:
            guard let integer = value.isNull ? 0 : value.int else { throw mismatch(value, type) }
            writer.number(number, Int64(integer))
        case .boolean:
            guard let bool = value.isNull ? false : value.bool else { throw mismatch(value, type) }
            writer.number(number, bool ? 1 : 0)
        case .number:
            guard let double = value.isNull ? 0 : value.double else { throw mismatch(value, type) }
            writer.double(number, double)
        case .string where type.format == .dateTime || type.format == .microTime:
            try encodeTime(value, type, number)
        case .string: try encodeString(value, type, number)
        case .quantity:
            let text = value.isNull ? "0" : value.string ?? value.text()
            try message(number) { $0.writer.text(1, text) }
        case .intOrString: try encodeIntOrString(value, type, number)
        case .object, .list: try encodeContainer(value, type, number, depth: depth)
        case .map: throw mismatch(value, type)
        case .any: try encodeAny(value, type, number, depth: depth)
        }
    }

    private mutating func encodeContainer(
        _ value: JSON, _ type: SchemaType, _ number: Int, depth: Int
    ) throws(ProtobufError) {
        if type.shape == .list {
            // A list inside a map has a message around it.
            try message(number) { (encoder) throws(ProtobufError) in
                if !value.isNull { try encoder.encode(value, as: type, 1, depth: depth + 1) }
            }
            return
        }
        guard value.isNull || value.object != nil, let definition = type.definition else { throw mismatch(value, type) }
        try message(number) { (encoder) throws(ProtobufError) in
            try encoder.encodeFields(of: value.members, as: definition, depth: depth + 1)
        }
    }

    private mutating func encodeString(
        _ value: JSON, _ type: SchemaType, _ number: Int
    ) throws(ProtobufError) {
        guard let text = value.isNull ? "" : value.string else { throw mismatch(value, type) }
        guard type.format == .byte else { return writer.text(number, text) }
        guard let bytes = Base64.decode(text) else {
            throw ProtobufError("text of \(text.utf8.count) bytes is not base64")
        }
        writer.data(number, bytes)
    }

    /// meta/v1 Time or MicroTime; the zero time is an empty message.
    private mutating func encodeTime(_ value: JSON, _ type: SchemaType, _ number: Int) throws(ProtobufError) {
        guard !value.isNull else { return writer.data(number, []) }
        guard let text = value.string, let time = KubeTime(text) else { throw mismatch(value, type) }
        try message(number) {
            $0.writer.number(1, Int64(time.seconds))
            $0.writer.number(2, type.format == .microTime ? Int64(time.nanoseconds / 1000 * 1000) : 0)
        }
    }

    private mutating func encodeIntOrString(
        _ value: JSON, _ type: SchemaType, _ number: Int
    ) throws(ProtobufError) {
        let integer = value.isNull ? 0 : value.int
        guard integer != nil || value.string != nil else { throw mismatch(value, type) }
        try message(number) {
            $0.writer.number(1, integer == nil ? 1 : 0)
            $0.writer.number(2, Int64(integer ?? 0))
            $0.writer.text(3, value.string ?? "")
        }
    }

    // MARK: JSON inside protobuf

    private mutating func encodeAny(
        _ value: JSON, _ type: SchemaType, _ number: Int, depth: Int
    ) throws(ProtobufError) {
        guard let special = type.special else {
            let bytes = value.serialized()
            return try message(number) { $0.writer.data(1, bytes) }
        }
        guard let schema = Schema.type(named: SchemaType.jsonSchemaName) else { throw mismatch(value, type) }
        let schemaNumber = special == .jsonSchemaOrBool ? 2 : 1
        try message(number) { (encoder) throws(ProtobufError) in
            switch value {
            case .bool(let allows) where special == .jsonSchemaOrBool: encoder.writer.number(1, allows ? 1 : 0)
            case .object:
                // A schema implies that the values it describes are allowed.
                if special == .jsonSchemaOrBool { encoder.writer.number(1, 1) }
                try encoder.encodeValue(value, as: schema, schemaNumber, depth: depth + 1)
            case .array(let items) where special == .jsonSchemaOrArray:
                for item in items { try encoder.encodeValue(item, as: schema, 2, depth: depth + 1) }
            case .array(let items) where special == .jsonSchemaOrStrings:
                for item in items { encoder.writer.text(2, item.string ?? "") }
            case .null: break
            default: throw encoder.mismatch(value, type)
            }
        }
    }
}
