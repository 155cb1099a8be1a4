// SPDX-License-Identifier: Apache-2.0

package import JSON

/// Reads API objects in Kubernetes' protobuf form, in which kubectl and Go clients send built-in kinds
/// (`application/vnd.kubernetes.protobuf`, `apimachinery/pkg/runtime/serializer/protobuf`).
///
/// The schema table knows the numbers of all fields, so a message becomes the JSON that a client would have sent.
package enum ProtobufObject {
    package static let mediaType = "application/vnd.kubernetes.protobuf"

    private static let magic = Array("k8s\0".utf8)
    private static let maximumDepth = 100

    /// Decodes an enveloped object.
    ///
    /// - Throws: `BadRequest` for bytes that are not an object, and for kinds without a schema.
    package static func decode(_ bytes: [UInt8]) throws(StatusError) -> JSON {
        guard bytes.starts(with: magic) else {
            throw .badRequest("provided data does not appear to be a protobuf message, expected prefix \(magic)")
        }
        do {
            var apiVersion = ""
            var kind = ""
            var raw: ArraySlice<UInt8> = []
            var reader = ProtobufReader(bytes.dropFirst(magic.count))
            while let field = try reader.next() {
                guard case .bytes(let content) = field.value else { continue }
                switch field.number {
                case 1: (apiVersion, kind) = try typeMeta(content)
                case 2: raw = content
                default: break
                }
            }
            guard let version = GroupVersion(apiVersion: apiVersion), let type = Schema.type(for: version.kind(kind))
            else {
                throw StatusError.badRequest(
                    "no kind \"\(kind)\" is registered for version \"\(apiVersion)\"")
            }
            var members: JSONObject = ["kind": .string(kind), "apiVersion": .string(apiVersion)]
            try decode(raw, type, path: [], into: &members, depth: 0)
            return .object(members)
        } catch let error as StatusError {
            throw error
        } catch {
            throw .badRequest("the body of the request is not a valid protobuf message")
        }
    }

    private static func typeMeta(_ bytes: ArraySlice<UInt8>) throws -> (apiVersion: String, kind: String) {
        var result = (apiVersion: "", kind: "")
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            guard case .bytes(let content) = field.value else { continue }
            if field.number == 1 { result.apiVersion = String(decoding: content, as: UTF8.self) }
            if field.number == 2 { result.kind = String(decoding: content, as: UTF8.self) }
        }
        return result
    }

    // MARK: Objects

    /// Decodes a message of an object's type, or of a struct within it that JSON inlines and that `path` leads to.
    private static func decode(
        _ bytes: ArraySlice<UInt8>, _ type: SchemaType, path: [Int], into members: inout JSONObject, depth: Int
    ) throws {
        guard depth < maximumDepth else { throw ProtobufReader.Malformed() }
        let fields = type.fields
        var reader = ProtobufReader(bytes)
        while let wire = try reader.next() {
            if let field = fields.first(where: { $0.protobufNumber == wire.number && $0.protobufPath == path }) {
                try decode(wire.value, field, into: &members, depth: depth)
                continue
            }
            let inner = path + [wire.number]
            if case .bytes(let content) = wire.value, fields.contains(where: { $0.protobufPath.starts(with: inner) }) {
                try decode(content, type, path: inner, into: &members, depth: depth + 1)
            }
        }
    }

    private static func decode(
        _ wire: ProtobufReader.Value, _ field: SchemaField, into members: inout JSONObject, depth: Int
    ) throws {
        switch field.type.shape {
        case .list:
            guard let element = field.type.element else { return }
            var list = members[field.name]?.array ?? []
            if case .bytes(let content) = wire, element.shape == .integer {
                list += try ProtobufReader.packed(content).map { .int(Int64(bitPattern: $0)) }
            } else {
                list.append(try value(wire, element, depth: depth) ?? .null)
            }
            members[field.name] = .array(list)
        case .map:
            guard let element = field.type.element, case .bytes(let entry) = wire else { return }
            var map = members[field.name]?.object ?? [:]
            try decodeEntry(entry, element, into: &map, depth: depth)
            members[field.name] = .object(map)
        default:
            if let decoded = try value(wire, field.type, depth: depth) { members[field.name] = decoded }
        }
    }

    private static func decodeEntry(
        _ bytes: ArraySlice<UInt8>, _ element: SchemaType, into map: inout JSONObject, depth: Int
    ) throws {
        var key = ""
        var content: JSON?
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            if field.number == 1, case .bytes(let text) = field.value { key = String(decoding: text, as: UTF8.self) }
            if field.number == 2 { content = try value(field.value, element, depth: depth) }
        }
        map[key] = content ?? (element.shape == .string ? "" : .null)
    }

    // MARK: Values

    /// One value; nil for a time that is not set.
    private static func value(_ wire: ProtobufReader.Value, _ type: SchemaType, depth: Int) throws -> JSON? {
        switch (wire, type.shape) {
        case (.varint(let number), .boolean): return .bool(number != 0)
        case (.varint(let number), _): return .int(Int64(bitPattern: number))
        case (.fixed64(let bits), _): return .double(Double(bitPattern: bits))
        case (.fixed32(let bits), _): return .double(Double(Float(bitPattern: bits)))
        case (.bytes(let content), .string): return try string(content, type.format)
        case (.bytes(let content), .object):
            var members = JSONObject()
            try decode(content, type, path: [], into: &members, depth: depth + 1)
            return .object(members)
        case (.bytes(let content), .quantity): return .string(try text(in: content, field: 1))
        case (.bytes(let content), .intOrString): return try intOrString(content)
        case (.bytes(let content), .list):
            // A list that is a map's value is a message of its own, with its items in field 1.
            guard let element = type.element else { return nil }
            var list: [JSON] = []
            var reader = ProtobufReader(content)
            while let field = try reader.next() { list.append(try value(field.value, element, depth: depth) ?? .null) }
            return .array(list)
        case (.bytes(let content), _):
            if type.format == .dateTime || type.format == .microTime || type.format == .duration {
                return try string(content, type.format)
            }
            return try raw(content)
        }
    }

    private static func string(_ content: ArraySlice<UInt8>, _ format: SchemaType.Format) throws -> JSON? {
        switch format {
        case .byte: return .string(Base64.encode(content))
        case .dateTime, .microTime:
            let (seconds, nanoseconds) = try numbers(in: content)
            guard seconds != 0 || nanoseconds != 0 else { return nil }
            let time = KubeTime(seconds: Int(seconds), nanoseconds: Int(nanoseconds))
            return .string(format == .dateTime ? time.text : time.microText)
        case .duration: return .string(durationText(try numbers(in: content).first))
        default:
            guard let text = String(validating: content, as: UTF8.self) else { throw ProtobufReader.Malformed() }
            return .string(text)
        }
    }

    /// The varints in the fields 1 and 2 of a message.
    private static func numbers(in content: ArraySlice<UInt8>) throws -> (first: Int64, second: Int64) {
        var result: (Int64, Int64) = (0, 0)
        var reader = ProtobufReader(content)
        while let field = try reader.next() {
            guard case .varint(let number) = field.value else { continue }
            if field.number == 1 { result.0 = Int64(bitPattern: number) }
            if field.number == 2 { result.1 = Int64(bitPattern: number) }
        }
        return result
    }

    private static func text(in content: ArraySlice<UInt8>, field wanted: Int) throws -> String {
        var reader = ProtobufReader(content)
        while let field = try reader.next() {
            if field.number == wanted, case .bytes(let text) = field.value {
                return String(decoding: text, as: UTF8.self)
            }
        }
        return ""
    }

    /// `intstr.IntOrString`: 1 the type, 2 the number, 3 the string.
    private static func intOrString(_ content: ArraySlice<UInt8>) throws -> JSON {
        var isString = false
        var number: Int64 = 0
        var reader = ProtobufReader(content)
        while let field = try reader.next() {
            guard case .varint(let value) = field.value else { continue }
            if field.number == 1 { isString = value == 1 }
            if field.number == 2 { number = Int64(bitPattern: value) }
        }
        return isString ? .string(try text(in: content, field: 3)) : .int(number)
    }

    /// JSON that the API carries without looking at it: `RawExtension`, `FieldsV1`, `JSON`.
    private static func raw(_ content: ArraySlice<UInt8>) throws -> JSON {
        var reader = ProtobufReader(content)
        while let field = try reader.next() {
            if field.number == 1, case .bytes(let text) = field.value, !text.isEmpty {
                return try JSON.parse(Array(text))
            }
        }
        return .null
    }

    /// Go's `time.Duration` text of whole seconds and milliseconds.
    private static func durationText(_ nanoseconds: Int64) -> String {
        let seconds = nanoseconds / 1_000_000_000
        let fraction = nanoseconds % 1_000_000_000
        guard fraction == 0 else { return "\(nanoseconds / 1_000_000)ms" }
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60)
        if hours > 0 { return "\(hours)h\(minutes)m\(rest)s" }
        return minutes > 0 ? "\(minutes)m\(rest)s" : "\(rest)s"
    }
}
