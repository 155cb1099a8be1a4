// SPDX-License-Identifier: Apache-2.0

import JSON

/// Brings a body into the form that upstream's typed decoder and encoder would give it.
///
/// Values are checked against their types, unknown fields are dropped and noted, nulls and zero values disappear where
/// Go leaves them out, zero structs appear where Go writes them, quantities and times become canonical, and declared
/// defaults are set.
struct ObjectDecoder {
    /// What is wrong with a value, in the words of Go's decoder.
    struct Failure: Error {
        let message: String
    }

    private enum Element {
        /// A declared field, which Go's messages name.
        case field(String)
        /// A map's key, which they do not.
        case key(String)
        case index(Int)
    }

    /// Problems beyond so many are not noted, as upstream.
    static let maximumProblems = 100

    /// Unknown and duplicate fields in the order of the text: `unknown field "spec.containers[0].imgae"`.
    private(set) var problems: [String] = []
    /// The duplicate members of the text, by the path of their object.
    private let duplicates: [String: [JSON.DuplicateMember]]
    private var path: [Element] = []
    private var structs: [SchemaType] = []
    private let goTypes = GoTypeNames()

    init(duplicates: [JSON.DuplicateMember] = []) {
        self.duplicates = Dictionary(grouping: duplicates, by: \.parent)
    }

    /// The whole object.
    mutating func decodeObject(_ json: JSON, as type: SchemaType) throws(Failure) -> JSON {
        try decode(json, as: type) ?? .object([:])
    }

    /// The value as Go would hold it; nil for null.
    private mutating func decode(_ json: JSON, as type: SchemaType) throws(Failure) -> JSON? {
        if json.isNull { return nil }
        switch type.shape {
        case .any: return json
        case .object:
            guard case .object(let object) = json else { throw mismatch(json, type) }
            return .object(try decodeFields(object, of: type))
        case .map:
            guard case .object(let object) = json else { throw mismatch(json, type) }
            return .object(try decodeMap(object, of: type))
        case .list:
            guard case .array(let array) = json else { throw mismatch(json, type) }
            return .array(try decodeList(array, of: type))
        case .string: return try decodeString(json, type)
        case .boolean:
            guard case .bool = json else { throw mismatch(json, type) }
            return json
        case .integer: return try decodeInteger(json, type)
        case .number:
            if json.double == nil { throw mismatch(json, type) }
            return json
        case .intOrString: return try decodeIntOrString(json)
        case .quantity: return try decodeQuantity(json)
        }
    }

    // MARK: Containers

    private mutating func decodeFields(_ object: JSONObject, of type: SchemaType) throws(Failure) -> JSONObject {
        structs.append(type)
        defer { structs.removeLast() }
        var result = JSONObject()
        let repeated = duplicatesHere.filter { type.field($0.key) != nil }
        for (position, (name, value)) in object.enumerated() {
            note(repeated, at: position)
            guard let field = type.field(name) else {
                noteUnknown(name, in: type)
                if type.preservesUnknownFields { result[name] = value }
                continue
            }
            path.append(.field(name))
            if let decoded = try decode(value, as: field.type), !field.leavesOut(decoded) { result[name] = decoded }
            path.removeLast()
        }
        note(repeated, at: object.count)
        if type.definition != nil { Self.complete(&result, of: type) }
        return result
    }

    private mutating func decodeMap(_ object: JSONObject, of type: SchemaType) throws(Failure) -> JSONObject {
        guard let element = type.element else { return object }
        var result = JSONObject()
        let repeated = duplicatesHere
        for (position, (key, value)) in object.enumerated() {
            note(repeated, at: position)
            path.append(.key(key))
            result[key] = try decode(value, as: element) ?? Self.zero(of: element)
            path.removeLast()
        }
        note(repeated, at: object.count)
        return result
    }

    private mutating func decodeList(_ array: [JSON], of type: SchemaType) throws(Failure) -> [JSON] {
        guard let element = type.element else { return array }
        var result: [JSON] = []
        result.reserveCapacity(array.count)
        for (index, value) in array.enumerated() {
            path.append(.index(index))
            result.append(try decode(value, as: element) ?? Self.zero(of: element))
            path.removeLast()
        }
        return result
    }

    /// Adds declared defaults and the zero values that Go writes.
    private static func complete(_ object: inout JSONObject, of type: SchemaType) {
        guard let definition = type.definition else { return }
        for index in SchemaTable.fields(ofDefinition: definition) {
            let flags = SchemaTable.number(SchemaTable.fieldOffset(index) + 9, 1)
            guard flags & 48 != 0 else { continue }
            let field = SchemaField(index: index)
            if object.contains(field.name) { continue }
            if field.encoding.contains(.hasDefault), let value = field.default {
                object[field.name] = value
            } else if field.encoding.contains(.writtenWhenAbsent) {
                object[field.name] = field.encoding.contains(.pointer) ? .null : zero(of: field.type)
            }
        }
    }

    /// What Go's encoder writes for the zero value of a type.
    static func zero(of type: SchemaType) -> JSON {
        switch type.shape {
        case .any, .list, .map: return .null
        case .object:
            var object = JSONObject()
            complete(&object, of: type)
            return .object(object)
        case .string:
            switch type.format {
            case .dateTime, .microTime, .byte: return .null
            default: return ""
            }
        case .integer, .number, .intOrString: return 0
        case .boolean: return false
        case .quantity: return "0"
        }
    }

    // MARK: Scalars

    private func decodeString(_ json: JSON, _ type: SchemaType) throws(Failure) -> JSON {
        guard case .string(let text) = json else {
            switch type.format {
            case .dateTime, .microTime, .duration:
                throw Failure(message: "json: cannot unmarshal \(Self.word(json)) into Go value of type string")
            default: throw mismatch(json, type)
            }
        }
        switch type.format {
        case .dateTime, .microTime: return try decodeTime(text, type.format)
        case .byte:
            if let offset = Base64.firstInvalidByte(in: text) {
                throw Failure(message: "illegal base64 data at input byte \(offset)")
            }
            return text.utf8.contains { $0 == 0x0A || $0 == 0x0D }
                ? .string(String(text.filter { !$0.isNewline })) : json
        default: return json
        }
    }

    private func decodeTime(_ text: String, _ format: SchemaType.Format) throws(Failure) -> JSON {
        guard let time = KubeTime(text) else {
            let layout = format == .microTime ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00"
            throw Failure(message: "parsing time \"\(text)\" as \"\(layout)\": cannot parse \"\(text)\" as \"2006\"")
        }
        return .string(format == .microTime ? time.microText : time.text)
    }

    private func decodeInteger(_ json: JSON, _ type: SchemaType) throws(Failure) -> JSON {
        guard case .int(let value) = json, type.format != .int32 || Int32(exactly: value) != nil else {
            throw mismatch(json, type)
        }
        return json
    }

    private func decodeIntOrString(_ json: JSON) throws(Failure) -> JSON {
        switch json {
        case .string: return json
        case .int(let value) where Int32(exactly: value) != nil: return json
        default:
            throw Failure(
                message: "json: cannot unmarshal \(Self.word(json, number: true)) into Go value of type int32")
        }
    }

    private func decodeQuantity(_ json: JSON) throws(Failure) -> JSON {
        let text: String
        switch json {
        case .string(let string): text = string.trimmingSpaces
        case .int, .double: text = json.text()
        default: throw Failure(message: QuantityError.format.description)
        }
        do {
            return .string(try Quantity(text).description)
        } catch {
            throw Failure(message: error.description)
        }
    }

    // MARK: Messages

    private mutating func noteUnknown(_ name: String, in type: SchemaType) {
        guard !type.preservesUnknownFields else { return }
        let parent = pathText
        note("unknown field \"\(parent.isEmpty ? name : "\(parent).\(name)")\"")
    }

    static func problem(with duplicate: JSON.DuplicateMember) -> String { "duplicate field \"\(duplicate.path)\"" }

    private mutating func note(_ repeated: [JSON.DuplicateMember], at position: Int) {
        for duplicate in repeated where duplicate.position == position { note(Self.problem(with: duplicate)) }
    }

    /// Each problem is told once, however often a field occurs.
    private mutating func note(_ problem: String) {
        if problems.count < Self.maximumProblems, !problems.contains(problem) { problems.append(problem) }
    }

    /// The duplicate members of the object that is being decoded.
    private var duplicatesHere: [JSON.DuplicateMember] {
        duplicates.isEmpty ? [] : duplicates[pathText] ?? []
    }

    private var pathText: String {
        var text = ""
        for element in path {
            switch element {
            case .field(let name), .key(let name): text += text.isEmpty ? name : ".\(name)"
            case .index(let index): text += "[\(index)]"
            }
        }
        return text
    }

    /// `cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`
    private func mismatch(_ json: JSON, _ type: SchemaType) -> Failure {
        let fields = path.compactMap { if case .field(let name) = $0 { name } else { nil } }
        let isNumeric = type.shape == .integer || type.shape == .number
        let value = Self.word(json, number: isNumeric)
        let place =
            structs.last.map { "struct field \(goTypes.structName($0)).\(fields.joined(separator: ".")) of" }
            ?? "value of"
        return Failure(message: "json: cannot unmarshal \(value) into Go \(place) type \(goTypes.name(type))")
    }

    /// What Go calls the value; a number that does not fit is quoted.
    private static func word(_ json: JSON, number isQuoted: Bool = false) -> String {
        switch json {
        case .bool: "bool"
        case .int, .double: isQuoted ? "number \(json.text())" : "number"
        default: json.typeName
        }
    }
}

/// Names of types as Go's messages write them.
struct GoTypeNames {
    /// `PodSpec`
    func structName(_ type: SchemaType) -> String {
        type.definitionName?.split(separator: ".").last.map(String.init) ?? "Object"
    }

    /// `v1.PodSpec`, `[]v1.Container`, `map[string]string`, `int32`
    func name(_ type: SchemaType) -> String {
        switch type.shape {
        case .object: type.definitionName?.split(separator: ".").suffix(2).joined(separator: ".") ?? "object"
        case .list: "[]" + (type.element.map(name) ?? "interface {}")
        case .map: "map[string]" + (type.element.map(name) ?? "interface {}")
        case .string: type.format == .byte ? "[]uint8" : type.scalarName ?? "string"
        case .integer: type.format == .int64 ? "int64" : "int32"
        case .number: "float64"
        case .boolean: "bool"
        case .intOrString: "intstr.IntOrString"
        case .quantity: "resource.Quantity"
        case .any: "interface {}"
        }
    }
}

extension SchemaField {
    /// Whether Go's JSON encoder leaves the field out when it holds this value.
    func leavesOut(_ value: JSON) -> Bool {
        if encoding.contains(.pointer) || encoding.isDisjoint(with: [.omitEmpty, .omitZero]) { return false }
        switch value {
        case .bool(let value): return !value
        case .int(let value): return value == 0 && type.shape != .intOrString
        case .double(let value): return value == 0
        case .string(let value): return value.isEmpty && type.shape == .string
        case .array(let value): return value.isEmpty
        case .object(let value): return value.isEmpty && (type.shape == .map || encoding.contains(.omitZero))
        case .null: return true
        }
    }
}

extension String {
    /// Without white space at both ends.
    var trimmingSpaces: String {
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
        guard utf8.first.map(isSpace) == true || utf8.last.map(isSpace) == true else { return self }
        var bytes = Array(utf8)[...]
        while let last = bytes.last, isSpace(last) { bytes.removeLast() }
        return String(decoding: bytes.drop(while: isSpace), as: UTF8.self)
    }
}
