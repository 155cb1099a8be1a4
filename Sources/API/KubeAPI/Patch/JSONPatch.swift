// SPDX-License-Identifier: Apache-2.0

package import JSON

/// A JSON patch (RFC 6902): operations that are applied one after the other, all or none.
///
/// As upstream's, indices of arrays may be negative (-1 is the last element), and `test` of a missing member
/// succeeds for `null`.
package struct JSONPatch: Hashable, Sendable {
    /// How many operations one patch may hold, as upstream.
    package static let maximumOperations = 10_000
    /// How many bytes of JSON the `copy` operations of one patch may copy together, as upstream (3 MiB).
    static let maximumCopiedBytes = 3 << 20
    /// How deeply the result may nest: what the JSON parser accepts.
    static let maximumDepth = 512

    private enum Operation: Hashable, Sendable {
        case add(path: [String], value: JSON)
        case remove(path: [String])
        case replace(path: [String], value: JSON)
        case move(from: [String], path: [String])
        case copy(from: [String], path: [String])
        case test(path: [String], value: JSON)
    }

    /// Why an operation does not apply; clients are told no more than that the request is invalid, as upstream.
    private struct Failure: Error {}

    private let operations: [Operation]

    /// Reads a patch; throws 400 if it is malformed, 413 if it has too many operations.
    package init(_ json: JSON) throws(StatusError) {
        guard let elements = json.array else {
            throw .badRequest("json: cannot unmarshal \(json.typeName) into Go value of type jsonpatch.Patch")
        }
        guard elements.count <= Self.maximumOperations else {
            throw StatusError(
                code: 413, reason: StatusError.Reason.requestEntityTooLarge,
                message: "Request entity is too large: The allowed maximum operations in a JSON patch is "
                    + "\(Self.maximumOperations), got \(elements.count)")
        }
        var operations: [Operation] = []
        operations.reserveCapacity(elements.count)
        for element in elements {
            guard element.object != nil else {
                throw .badRequest(
                    "json: cannot unmarshal \(element.typeName) into Go value of type jsonpatch.Operation")
            }
            // Upstream finds out about malformed operations when it applies them, hence 422.
            guard let operation = Self.operation(element) else { throw Self.rejection }
            operations.append(operation)
        }
        self.operations = operations
    }

    /// The object with the patch applied; throws 422 if one of the operations does not apply.
    package func apply(to document: JSON) throws(StatusError) -> JSON {
        var result = document
        var copiedBytes = 0
        do throws(Failure) {
            for operation in operations { try Self.apply(operation, to: &result, copiedBytes: &copiedBytes) }
        } catch {
            throw Self.rejection
        }
        return result
    }

    /// 422, in the words in which upstream rejects patches that do not apply.
    private static var rejection: StatusError {
        StatusError(
            code: 422, reason: StatusError.Reason.invalid,
            message: "the server rejected our request due to an error in our request", details: .init())
    }

    // MARK: Reading

    private static func operation(_ json: JSON) -> Operation? {
        guard let path = json["path"]?.string.flatMap(tokens) else { return nil }
        let from = json["from"]?.string.flatMap(tokens)
        switch json["op"]?.string {
        case "add": return .add(path: path, value: json["value"] ?? .null)
        case "remove": return .remove(path: path)
        case "replace": return .replace(path: path, value: json["value"] ?? .null)
        case "move": return from.map { .move(from: $0, path: path) }
        case "copy": return from.map { .copy(from: $0, path: path) }
        case "test": return .test(path: path, value: json["value"] ?? .null)
        default: return nil
        }
    }

    /// The reference tokens of a JSON pointer (RFC 6901), unescaped; nil if it does not begin with a slash.
    static func tokens(_ pointer: String) -> [String]? {
        if pointer.isEmpty { return [] }
        guard pointer.utf8.first == UInt8(ascii: "/") else { return nil }
        return pointer.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map { unescape($0) }
    }

    /// `~1` stands for a slash and `~0` for a tilde.
    private static func unescape(_ token: Substring.UTF8View) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(token.count)
        var index = token.startIndex
        while index < token.endIndex {
            let next = token.index(after: index)
            if token[index] == UInt8(ascii: "~"), next < token.endIndex,
                token[next] == UInt8(ascii: "0") || token[next] == UInt8(ascii: "1")
            {
                bytes.append(token[next] == UInt8(ascii: "0") ? UInt8(ascii: "~") : UInt8(ascii: "/"))
                index = token.index(after: next)
            } else {
                bytes.append(token[index])
                index = next
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: Applying

    private static func apply(
        _ operation: Operation, to document: inout JSON, copiedBytes: inout Int
    ) throws(Failure) {
        switch operation {
        case .add(let path, let value): try add(value, at: path, to: &document)
        case .remove(let path): _ = try remove(at: path[...], from: &document)
        case .replace(let path, let value):
            try checkDepth(of: value, at: path)
            try edit(path[...], in: &document) { (target: inout JSON) in target = value }
        case .move(let from, let path):
            // Nothing moves below itself: its place is gone by then.
            try add(try remove(at: from[...], from: &document), at: path, to: &document)
        case .copy(let from, let path):
            guard let value = value(at: from, in: document) else { throw Failure() }
            copiedBytes += value.serialized().count
            guard copiedBytes <= maximumCopiedBytes else { throw Failure() }
            try add(value, at: path, to: &document)
        case .test(let path, let expected):
            guard (value(at: path, in: document) ?? .null) == expected else { throw Failure() }
        }
    }

    private static func value(at path: [String], in document: JSON) -> JSON? {
        var current = document
        for token in path {
            let next: JSON?
            switch current {
            case .object(let object): next = object[token]
            case .array(let array): next = index(token, count: array.count).map { array[$0] }
            default: next = nil
            }
            guard let next else { return nil }
            current = next
        }
        return current
    }

    private static func add(_ value: JSON, at path: [String], to document: inout JSON) throws(Failure) {
        try checkDepth(of: value, at: path)
        guard let last = path.last else {
            document = value
            return
        }
        try edit(path.dropLast(), in: &document) { (parent: inout JSON) throws(Failure) in
            switch parent {
            case .object: parent[last] = value
            case .array(var array):
                guard let position = last == "-" ? array.count : index(last, count: array.count + 1) else {
                    throw Failure()
                }
                parent = .null
                array.insert(value, at: position)
                parent = .array(array)
            default: throw Failure()
            }
        }
    }

    private static func remove(at path: ArraySlice<String>, from document: inout JSON) throws(Failure) -> JSON {
        guard let last = path.last else { throw Failure() }
        var removed: JSON?
        try edit(path.dropLast(), in: &document) { (parent: inout JSON) throws(Failure) in
            switch parent {
            case .object(let object):
                guard let value = object[last] else { throw Failure() }
                removed = value
                parent[last] = nil
            case .array(var array):
                guard let position = index(last, count: array.count) else { throw Failure() }
                parent = .null
                removed = array.remove(at: position)
                parent = .array(array)
            default: throw Failure()
            }
        }
        return removed ?? .null
    }

    /// Changes the value at a path, which must exist.
    private static func edit(
        _ path: ArraySlice<String>, in value: inout JSON, _ change: (inout JSON) throws(Failure) -> Void
    ) throws(Failure) {
        guard let token = path.first else {
            try change(&value)
            return
        }
        switch value {
        case .object(var object):
            guard var child = object[token] else { throw Failure() }
            value = .null
            object[token] = .null
            try edit(path.dropFirst(), in: &child, change)
            object[token] = child
            value = .object(object)
        case .array(var array):
            guard let position = index(token, count: array.count) else { throw Failure() }
            value = .null
            try edit(path.dropFirst(), in: &array[position], change)
            value = .array(array)
        default: throw Failure()
        }
    }

    /// The position that a token names in an array of `count` elements; negative ones count from the end.
    private static func index(_ token: String, count: Int) -> Int? {
        guard let number = Int(token) else { return nil }
        let position = number < 0 ? count + number : number
        return (0..<count).contains(position) ? position : nil
    }

    private static func checkDepth(of value: JSON, at path: [String]) throws(Failure) {
        guard path.count + value.depth <= maximumDepth else { throw Failure() }
    }
}

extension JSON {
    /// How many arrays and objects lie within one another, 0 for a scalar.
    var depth: Int {
        switch self {
        case .array(let array): 1 + (array.lazy.map(\.depth).max() ?? 0)
        case .object(let object): 1 + (object.lazy.map(\.value.depth).max() ?? 0)
        default: 0
        }
    }
}
