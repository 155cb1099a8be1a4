// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOCore
import NIOHTTP1
import Yams

/// A decoded request body.
struct RequestBody: Sendable {
    var json: JSON
    /// The members that occur twice.
    var duplicates: [JSON.DuplicateMember] = []

    /// Decodes the body by its content type, JSON if there is none.
    ///
    /// - Parameter expected: the kind that the URL names, nil for options; custom kinds have no protobuf form.
    /// - Throws: `UnsupportedMediaType` (415), `BadRequest` for a text that is not what it should be.
    init(_ request: HTTPRequest, expecting expected: GroupVersionKind? = nil) throws(StatusError) {
        let type = MediaType(request.headers.first(name: "Content-Type") ?? "application/json")
        switch type.type {
        case "", "application/json", "text/plain", "application/x-www-form-urlencoded", "*/*":
            try self.init(json: request.body)
        case "application/yaml", "text/yaml", "application/x-yaml": try self.init(yaml: request.body)
        case KubeProtobuf.mediaType where expected.map(KubeProtobuf.supports) ?? true:
            try self.init(protobuf: request.body, expecting: expected)
        default:
            throw StatusError(
                code: 415, reason: StatusError.Reason.unsupportedMediaType,
                message: "the body of the request was in an unknown format - accepted media types include: "
                    + Self.acceptedTypes(expected))
        }
    }

    private static func acceptedTypes(_ expected: GroupVersionKind?) -> String {
        let always = "application/json, application/yaml"
        return expected.map(KubeProtobuf.supports) ?? true ? "\(always), \(KubeProtobuf.mediaType)" : always
    }

    init(protobuf body: ByteBuffer, expecting expected: GroupVersionKind?) throws(StatusError) {
        do throws(ProtobufError) {
            json = try KubeProtobuf.decode(Array(body.readableBytesView), expecting: expected)
        } catch {
            throw .badRequest(error.description)
        }
    }

    init(json body: ByteBuffer) throws(StatusError) {
        var options = JSON.ParseOptions()
        options.reportsDuplicates = true
        var found: [JSON.DuplicateMember] = []
        do throws(JSONError) {
            json = try JSON.parse(Array(body.readableBytesView), options: options, duplicates: &found)
        } catch {
            throw .badRequest("couldn't get version/kind; json parse error: \(error.reason)")
        }
        duplicates = found
    }

    /// JSON is YAML too, and what kubectl sends for an apply.
    init(yaml body: ByteBuffer) throws(StatusError) {
        let first = body.readableBytesView.first { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }
        if first == UInt8(ascii: "{") {
            try self.init(json: body)
            return
        }
        self.init(parsed: try Self.parse(yaml: String(buffer: body)))
    }

    private init(parsed: JSON) { json = parsed }

    private static func parse(yaml text: String) throws(StatusError) -> JSON {
        try YAMLAliases.check(text)
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch {
            throw .badRequest("error converting YAML to JSON: \(error)")
        }
        guard let node else { throw .badRequest("the request body is empty") }
        return try YAMLConversion.json(node, depth: 0)
    }
}

/// YAML as Kubernetes reads it: into JSON (`sigs.k8s.io/yaml`).
private enum YAMLConversion {
    private static let maximumDepth = 200

    static func json(_ node: Node, depth: Int) throws(StatusError) -> JSON {
        guard depth < maximumDepth else { throw .badRequest("the YAML text is nested too deeply") }
        switch node {
        case .mapping(let mapping):
            var members = JSONObject()
            for (key, value) in mapping {
                guard let name = key.scalar?.string else { throw .badRequest("a key of a YAML map is not a scalar") }
                members[name] = try json(value, depth: depth + 1)
            }
            return .object(members)
        case .sequence(let sequence):
            var elements: [JSON] = []
            for element in sequence { elements.append(try json(element, depth: depth + 1)) }
            return .array(elements)
        case .scalar(let scalar): return Self.scalar(node, scalar)
        case .alias: throw .badRequest("YAML aliases are not accepted")
        }
    }

    private static func scalar(_ node: Node, _ scalar: Node.Scalar) -> JSON {
        guard scalar.style == .plain || scalar.style == .any else { return .string(scalar.string) }
        if node.null != nil { return .null }
        if let value = node.bool { return .bool(value) }
        if let value = node.int { return .int(Int64(value)) }
        if let value = node.float, value.isFinite { return .double(value) }
        return .string(scalar.string)
    }
}
