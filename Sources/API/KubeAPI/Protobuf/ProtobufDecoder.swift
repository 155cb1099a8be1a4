// SPDX-License-Identifier: Apache-2.0

import JSON

/// Turns protobuf messages into JSON by the types of the schema table.
///
/// The result is what Go would write after it had read the message into its struct: of a field that occurs twice the
/// last wins, messages merge, lists grow, and zero values that the struct's tags leave out are left out.
struct ProtobufDecoder {
    private var remainingValues = ProtobufLimits.values

    /// An object in its envelope.
    mutating func decodeEnvelope(
        _ reader: ProtobufReader, expecting expected: GroupVersionKind?, depth: Int
    ) throws(ProtobufError) -> JSON {
        let envelope = try ProtobufEnvelope(reader)
        let apiVersion = envelope.apiVersion.isEmpty ? expected?.groupVersion.description ?? "" : envelope.apiVersion
        let kind = envelope.kind.isEmpty ? expected?.kind ?? "" : envelope.kind
        guard !kind.isEmpty else { throw reader.failure("Object 'Kind' is missing in the protobuf envelope") }
        guard let version = GroupVersion(apiVersion: apiVersion),
            let definition = Schema.type(for: version.kind(kind))?.definition
        else {
            throw reader.failure("no kind \"\(kind)\" is registered for version \"\(apiVersion)\" in protobuf")
        }
        var object: JSONObject = ["kind": .string(kind), "apiVersion": .string(apiVersion)]
        try decodeMessage(envelope.raw, at: ProtobufPlace(definition), into: &object, depth: depth)
        return .object(object)
    }

    // MARK: Messages

    /// Adds the fields of a message to an object.
    private mutating func decodeMessage(
        _ reader: ProtobufReader, at place: ProtobufPlace, into object: inout JSONObject, depth: Int
    ) throws(ProtobufError) {
        guard depth < ProtobufLimits.depth else { throw reader.failure("the message is nested too deeply") }
        var reader = reader
        while let (number, type) = try reader.tag() {
            switch place.match(number) {
            case nil: try reader.skip(type)
            case .inlined(let inner):
                try decodeMessage(try reader.message(type), at: inner, into: &object, depth: depth + 1)
            case .field(let index):
                try decodeField(SchemaField(index: index), type, &reader, into: &object, depth: depth)
            }
        }
    }

    private mutating func decodeField(
        _ field: SchemaField, _ wire: ProtobufReader.WireType, _ reader: inout ProtobufReader,
        into object: inout JSONObject, depth: Int
    ) throws(ProtobufError) {
        switch field.type.shape {
        case .list:
            guard let element = field.type.element else { return try reader.skip(wire) }
            guard wire == .delimited, let itemWire = element.packableWireType else {
                let value = try decodeValue(element, wire, &reader, depth: depth)
                return object[field.name, default: .array([])].add(value)
            }
            var packed = try reader.delimited()
            while !packed.isAtEnd {
                let value = try decodeValue(element, itemWire, &packed, depth: depth)
                object[field.name, default: .array([])].add(value)
            }
        case .map:
            let (key, value) = try decodeEntry(try reader.message(wire), of: field.type, depth: depth + 1)
            object[field.name, default: .object([:])][key] = value
        case .object:
            guard let definition = field.type.definition else { return try reader.skip(wire) }
            try countValue(reader)
            let message = try reader.message(wire)
            var inner = object[field.name]?.object ?? JSONObject()
            try decodeMessage(message, at: ProtobufPlace(definition), into: &inner, depth: depth + 1)
            object[field.name] = field.leavesOut(.object(inner)) ? JSON?.none : .object(inner)
        default:
            let value = try decodeValue(field.type, wire, &reader, depth: depth)
            // A bare nil would be JSON's null.
            object[field.name] = value.isNull || field.leavesOut(value) ? JSON?.none : value
        }
    }

    /// One entry of a map: a message of a key and a value, either of which may be left out.
    private mutating func decodeEntry(
        _ reader: ProtobufReader, of type: SchemaType, depth: Int
    ) throws(ProtobufError) -> (key: String, value: JSON) {
        guard let element = type.element else { throw reader.failure("a map without a type of its values") }
        var reader = reader
        var key = ""
        var value: JSON?
        while let (number, wire) = try reader.tag() {
            switch number {
            case 1: key = try reader.text(wire)
            case 2: value = try decodeValue(element, wire, &reader, depth: depth)
            default: try reader.skip(wire)
            }
        }
        return (key, value ?? ObjectDecoder.zero(of: element))
    }

    /// A list inside a map, which protobuf has no word for but a message around it (`ExtraValue {items = 1}`).
    private mutating func decodeWrappedList(
        _ reader: ProtobufReader, of element: SchemaType, depth: Int
    ) throws(ProtobufError) -> [JSON] {
        var reader = reader
        var values: [JSON] = []
        while let (number, wire) = try reader.tag() {
            if number == 1 {
                values.append(try decodeValue(element, wire, &reader, depth: depth))
            } else {
                try reader.skip(wire)
            }
        }
        return values
    }

    private mutating func countValue(_ reader: ProtobufReader) throws(ProtobufError) {
        remainingValues -= 1
        if remainingValues < 0 { throw reader.failure("the message has too many values") }
    }

    // MARK: Values

    /// A value that stands alone: a field's, a list's item or what a map's key leads to.
    private mutating func decodeValue(
        _ type: SchemaType, _ wire: ProtobufReader.WireType, _ reader: inout ProtobufReader, depth: Int
    ) throws(ProtobufError) -> JSON {
        try countValue(reader)
        switch type.shape {
        case .integer:
            let number = try reader.number(wire)
            return .int(type.format == .int32 ? Int64(Int32(truncatingIfNeeded: number)) : number)
        case .boolean: return .bool(try reader.number(wire) != 0)
        case .number:
            try reader.expect(.fixed64, wire)
            let number = Double(bitPattern: try reader.fixed64())
            guard number.isFinite else { throw reader.failure("json: unsupported value: \(number)") }
            return .double(number)
        default: break
        }
        if type.shape == .string, ![.dateTime, .microTime].contains(type.format) {
            let bytes = try reader.message(wire).rest
            return .string(type.format == .byte ? Base64.encode(bytes) : String(decoding: bytes, as: UTF8.self))
        }
        return try decodeMessageValue(type, try reader.message(wire), depth: depth + 1)
    }

    /// A value that is a message in protobuf.
    private mutating func decodeMessageValue(
        _ type: SchemaType, _ message: ProtobufReader, depth: Int
    ) throws(ProtobufError) -> JSON {
        switch type.shape {
        case .object:
            var object = JSONObject()
            guard let definition = type.definition else { throw message.failure("a type without a protobuf form") }
            try decodeMessage(message, at: ProtobufPlace(definition), into: &object, depth: depth)
            return .object(object)
        case .list:
            guard let element = type.element else { return .null }
            return .array(try decodeWrappedList(message, of: element, depth: depth))
        case .quantity: return .string(try Self.fields(of: message).texts[1] ?? "0")
        case .intOrString:
            let fields = try Self.fields(of: message)
            guard fields.numbers[1] ?? 0 == 0 else { return .string(fields.texts[3] ?? "") }
            return .int(Int64(Int32(truncatingIfNeeded: fields.numbers[2] ?? 0)))
        case .string: return try Self.time(message, type.format)
        default: break
        }
        if let special = type.special { return try decodeUnion(special, message, depth: depth) }
        return try decodeRaw(message, depth: depth)
    }

    /// The fields of a small message that are numbers or text.
    private static func fields(
        of message: ProtobufReader
    ) throws(ProtobufError) -> (numbers: [Int: Int64], texts: [Int: String]) {
        var reader = message
        var numbers: [Int: Int64] = [:]
        var texts: [Int: String] = [:]
        while let (number, wire) = try reader.tag() {
            switch wire {
            case .varint where number < 16: numbers[number] = try reader.number(wire)
            case .delimited where number < 16: texts[number] = try reader.text(wire)
            default: try reader.skip(wire)
            }
        }
        return (numbers, texts)
    }

    /// The first and last second that RFC 3339 can write: the years 1 and 9999; the very first is Go's zero time.
    static let seconds: ClosedRange<Int64> = -62_135_596_800...253_402_300_799

    /// meta/v1 Time or MicroTime; null for the zero time.
    private static func time(_ message: ProtobufReader, _ format: SchemaType.Format) throws(ProtobufError) -> JSON {
        if message.isAtEnd { return .null }
        let numbers = try fields(of: message).numbers
        let second = numbers[1] ?? 0
        let nanos = format == .microTime ? numbers[2] ?? 0 : 0
        guard seconds.contains(second), (0..<1_000_000_000).contains(nanos) else {
            throw message.failure("a time outside of the years 1 to 9999")
        }
        if second == seconds.lowerBound, nanos == 0 { return .null }
        let time = KubeTime(seconds: Int(second), nanoseconds: Int(nanos))
        return .string(format == .microTime ? time.microText : time.text)
    }

    /// Bytes of JSON, or an object in an envelope of its own (RawExtension, FieldsV1, apiextensions' JSON).
    private mutating func decodeRaw(_ message: ProtobufReader, depth: Int) throws(ProtobufError) -> JSON {
        var reader = message
        var raw = ProtobufReader([])
        while let (number, wire) = try reader.tag() {
            if number == 1 { raw = try reader.message(wire) } else { try reader.skip(wire) }
        }
        if raw.isAtEnd { return .null }
        guard depth < ProtobufLimits.depth else { throw reader.failure("the message is nested too deeply") }
        if KubeProtobuf.hasMagic(raw.rest) { return try decodeEnvelope(raw, expecting: nil, depth: depth) }
        do {
            return try JSON.parse(Array(raw.rest))
        } catch {
            throw raw.failure("raw bytes are neither JSON nor protobuf: \(error.reason)")
        }
    }

    // MARK: The unions of apiextensions

    private mutating func decodeUnion(
        _ union: SchemaType.Special, _ message: ProtobufReader, depth: Int
    ) throws(ProtobufError) -> JSON {
        guard let type = Schema.type(named: SchemaType.jsonSchemaName) else { return .null }
        var reader = message
        var allows = false
        var schema: JSON?
        var others: [JSON] = []
        while let (number, wire) = try reader.tag() {
            switch (union, number) {
            case (.jsonSchemaOrBool, 1): allows = try reader.number(wire) != 0
            case (.jsonSchemaOrBool, 2), (.jsonSchemaOrArray, 1), (.jsonSchemaOrStrings, 1):
                schema = try decodeValue(type, wire, &reader, depth: depth)
            case (.jsonSchemaOrArray, 2): others.append(try decodeValue(type, wire, &reader, depth: depth))
            case (.jsonSchemaOrStrings, 2): others.append(.string(try reader.text(wire)))
            default: try reader.skip(wire)
            }
        }
        switch union {
        case .jsonSchemaOrBool: return schema ?? .bool(allows)
        case .jsonSchemaOrArray: return others.isEmpty ? schema ?? .null : .array(others)
        case .jsonSchemaOrStrings: return others.isEmpty ? schema ?? .null : .array(others)
        }
    }
}

extension JSON {
    /// Appends to an array without copying it.
    fileprivate mutating func add(_ value: JSON) {
        guard case .array(var array) = self else { return self = .array([value]) }
        self = .null
        array.append(value)
        self = .array(array)
    }
}
