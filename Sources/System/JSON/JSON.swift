// SPDX-License-Identifier: Apache-2.0

/// A JSON value (RFC 8259).
///
/// Integers that fit 64 bits stay integers and every other number is a `Double`, as in Kubernetes' own decoder;
/// objects keep the order of their members, so that parsing and serialising again changes nothing but white space.
package enum JSON: Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case array([JSON])
    case object(JSONObject)
}

// MARK: - Reading

extension JSON {
    /// The string, or nil if this is not a string.
    package var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The Boolean, or nil if this is not one.
    package var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The integer; a double counts when it has no fraction and fits. Nil for everything else.
    package var int: Int? {
        switch self {
        case .int(let value): Int(value)
        case .double(let value): Int(exactly: value)
        default: nil
        }
    }

    /// The number as a double, or nil if this is not a number.
    package var double: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    /// The elements, or nil if this is not an array.
    package var array: [JSON]? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The members, or nil if this is not an object.
    package var object: JSONObject? {
        if case .object(let value) = self { value } else { nil }
    }

    /// Whether this is `null`.
    package var isNull: Bool {
        if case .null = self { true } else { false }
    }

    /// The elements, empty where this is not an array: for reading optional lists.
    package var elements: [JSON] { array ?? [] }

    /// The members, empty where this is not an object: for reading optional maps.
    package var members: JSONObject { object ?? JSONObject() }

    /// The string members of an object as a dictionary; members of another type are left out.
    package var stringMap: [String: String] {
        guard case .object(let object) = self else { return [:] }
        var result: [String: String] = [:]
        result.reserveCapacity(object.count)
        for (key, value) in object {
            if case .string(let string) = value { result[key] = string }
        }
        return result
    }

    /// What a type error calls this value: `null`, `boolean`, `number`, `string`, `array` or `object`.
    package var typeName: String {
        switch self {
        case .null: "null"
        case .bool: "boolean"
        case .int, .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}

// MARK: - Access by key, path and position

extension JSON {
    /// The member of an object; nil where this is no object or has no such member.
    ///
    /// Setting a value turns a non-object (a missing parent's `null`, say) into an object; setting nil removes the member.
    package subscript(key: String) -> JSON? {
        get {
            if case .object(let object) = self { object[key] } else { nil }
        }
        set {
            if case .object(var object) = self {
                // Giving up our reference first lets the member be changed in place.
                self = .null
                object[key] = newValue
                self = .object(object)
            } else if let newValue {
                self = .object([key: newValue])
            }
        }
    }

    /// The value below a path of object keys; setting creates the objects on the way.
    package subscript(first: String, second: String, rest: String...) -> JSON? {
        get { self[path: [first, second] + rest] }
        set { self[path: [first, second] + rest] = newValue }
    }

    /// The value below a path of object keys, see ``subscript(_:_:_:)``; an empty path is the value itself.
    package subscript(path path: some Collection<String>) -> JSON? {
        get {
            var current = self
            for key in path {
                guard case .object(let object) = current, let next = object[key] else { return nil }
                current = next
            }
            return current
        }
        set {
            guard let key = path.first else {
                self = newValue ?? .null
                return
            }
            if path.count == 1 {
                self[key] = newValue
                return
            }
            var child = self[key] ?? .null
            if newValue == nil, child.object == nil { return }
            self[key] = .null
            child[path: path.dropFirst()] = newValue
            self[key] = child
        }
    }

    /// The element of an array; nil where this is no array or the index is outside it.
    package subscript(index: Int) -> JSON? {
        guard case .array(let array) = self, array.indices.contains(index) else { return nil }
        return array[index]
    }

    /// Appends to the array at `path`, creating it if it is missing or not an array.
    package mutating func append(_ value: JSON, at path: String...) {
        var array = self[path: path]?.array ?? []
        array.append(value)
        self[path: path] = .array(array)
    }
}

// MARK: - Literals

extension JSON: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    package init(nilLiteral: ()) { self = .null }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(integerLiteral value: Int64) { self = .int(value) }
    package init(floatLiteral value: Double) { self = .double(value) }
    package init(stringLiteral value: String) { self = .string(value) }
    package init(arrayLiteral elements: JSON...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(JSONObject(elements.lazy.map { (key: $0.0, value: $0.1) }))
    }

    package init(_ value: Int) { self = .int(Int64(value)) }

    /// An object of string members, sorted by key so that the same map gives the same bytes.
    package init(_ map: [String: String]) {
        self = .object(
            JSONObject(map.sorted { $0.key < $1.key }.lazy.map { (key: $0.key, value: JSON.string($0.value)) }))
    }

    /// An array of strings.
    package init(_ strings: some Sequence<String>) { self = .array(strings.map { .string($0) }) }
}
