// SPDX-License-Identifier: Apache-2.0

package import JSON

/// A document that does not follow its OCI specification: where and why.
package struct OCISpecError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The place in the document, `linux.namespaces[2].type`; empty for the document itself.
    package let path: String
    /// What is wrong there.
    package let reason: String

    package init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }

    package var description: String { path.isEmpty ? reason : "\(path): \(reason)" }
}

/// A part of an OCI document that can be read from and written as a JSON object.
///
/// Unknown members are ignored when reading, as the specifications demand of every consumer.
package protocol SpecValue: Hashable, Sendable {
    /// Reads the value; the error names the path of the member that is wrong.
    init(from reader: SpecReader) throws(OCISpecError)
    /// Adds the value's members in the order of the specification; empty optional members are left out.
    func write(to writer: inout SpecWriter)
}

extension SpecValue {
    /// Reads a whole document from JSON text.
    package init(parsing bytes: [UInt8]) throws(OCISpecError) {
        let json: JSON
        do { json = try JSON.parse(bytes) } catch { throw OCISpecError(path: "", reason: "\(error)") }
        try self.init(json: json)
    }

    /// Reads a whole document from a JSON value.
    package init(json: JSON) throws(OCISpecError) {
        guard case .object(let object) = json else {
            throw OCISpecError(path: "", reason: "expected an object, found \(json.typeName)")
        }
        try self.init(from: SpecReader(object, path: ""))
    }

    /// The value as a JSON object.
    package var json: JSON {
        var writer = SpecWriter()
        write(to: &writer)
        return .object(writer.object)
    }

    /// The value as compact JSON text.
    package func serialized() -> [UInt8] { json.serialized() }
}

/// Reads the members of one JSON object with the types that a specification gives them.
///
/// A member that is `null` counts as missing, as with Go's decoder, which writes most of these documents.
package struct SpecReader {
    /// The members.
    package let object: JSONObject
    /// The object's place in the document, for error messages.
    package let path: String

    package init(_ object: JSONObject, path: String) {
        self.object = object
        self.path = path
    }

    /// The place of a member in the document.
    package func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    private func member(_ key: String) -> JSON? {
        guard let value = object[key], !value.isNull else { return nil }
        return value
    }

    private func mismatch(_ path: String, _ expected: String, _ value: JSON) -> OCISpecError {
        OCISpecError(path: path, reason: "expected \(expected), found \(value.typeName)")
    }

    /// An optional string.
    package func string(_ key: String) throws(OCISpecError) -> String? {
        guard let value = member(key) else { return nil }
        guard case .string(let string) = value else { throw mismatch(path(of: key), "a string", value) }
        return string
    }

    /// A string that has to be there.
    package func requiredString(_ key: String) throws(OCISpecError) -> String {
        guard let value = try string(key) else { throw OCISpecError(path: path(of: key), reason: "is required") }
        return value
    }

    /// An optional Boolean.
    package func optionalBool(_ key: String) throws(OCISpecError) -> Bool? {
        guard let value = member(key) else { return nil }
        guard case .bool(let bool) = value else { throw mismatch(path(of: key), "a boolean", value) }
        return bool
    }

    /// A Boolean that is false when it is missing.
    package func bool(_ key: String) throws(OCISpecError) -> Bool { try optionalBool(key) ?? false }

    /// An optional integer of the type asked for.
    ///
    /// Numbers above 2^63, such as `RLIM_INFINITY`, arrive as doubles and are clamped to the type's largest value.
    package func integer<Integer: FixedWidthInteger>(
        _ key: String, as _: Integer.Type = Integer.self
    ) throws(OCISpecError) -> Integer? {
        guard let value = member(key) else { return nil }
        switch value {
        case .int(let number):
            if let integer = Integer(exactly: number) { return integer }
        case .double(let number):
            if let integer = Integer(exactly: number) { return integer }
            if number >= 9.2e18, Integer.self == UInt64.self { return Integer.max }
        default: throw mismatch(path(of: key), "an integer", value)
        }
        throw OCISpecError(path: path(of: key), reason: "\(value) is not in \(Integer.min)...\(Integer.max)")
    }

    /// An array of strings, empty when it is missing.
    package func strings(_ key: String) throws(OCISpecError) -> [String] { try optionalStrings(key) ?? [] }

    /// An array of strings, nil when it is missing.
    package func optionalStrings(_ key: String) throws(OCISpecError) -> [String]? {
        guard let value = member(key) else { return nil }
        guard case .array(let elements) = value else { throw mismatch(path(of: key), "an array", value) }
        var strings: [String] = []
        strings.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            guard case .string(let string) = element else {
                throw mismatch("\(path(of: key))[\(index)]", "a string", element)
            }
            strings.append(string)
        }
        return strings
    }

    /// An object of string members, empty when it is missing.
    package func stringMap(_ key: String) throws(OCISpecError) -> [String: String] {
        guard let value = member(key) else { return [:] }
        guard case .object(let members) = value else { throw mismatch(path(of: key), "an object", value) }
        var map: [String: String] = [:]
        map.reserveCapacity(members.count)
        for (name, element) in members {
            guard case .string(let string) = element else {
                throw mismatch("\(path(of: key)).\(name)", "a string", element)
            }
            map[name] = string
        }
        return map
    }

    /// The names of an object whose values are empty objects (a set, as Go writes it).
    package func nameSet(_ key: String) throws(OCISpecError) -> [String] {
        guard let value = member(key) else { return [] }
        guard case .object(let members) = value else { throw mismatch(path(of: key), "an object", value) }
        return members.keys
    }

    /// An optional string with a fixed set of values.
    package func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, of _: Choice.Type = Choice.self
    ) throws(OCISpecError) -> Choice? where Choice.RawValue == String {
        guard let text = try string(key) else { return nil }
        if let choice = Choice(rawValue: text) { return choice }
        let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
        throw OCISpecError(path: path(of: key), reason: "unknown value \"\(text)\", expected one of \(known)")
    }

    /// A string with a fixed set of values that has to be there.
    package func requiredChoice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, of type: Choice.Type = Choice.self
    ) throws(OCISpecError) -> Choice where Choice.RawValue == String {
        guard let choice = try choice(key, of: type) else {
            throw OCISpecError(path: path(of: key), reason: "is required")
        }
        return choice
    }

    /// An optional object.
    package func value<Value: SpecValue>(
        _ key: String, as _: Value.Type = Value.self
    ) throws(OCISpecError) -> Value? {
        guard let value = member(key) else { return nil }
        guard case .object(let object) = value else { throw mismatch(path(of: key), "an object", value) }
        return try Value(from: SpecReader(object, path: path(of: key)))
    }

    /// An object that has to be there.
    package func requiredValue<Value: SpecValue>(
        _ key: String, as type: Value.Type = Value.self
    ) throws(OCISpecError) -> Value {
        guard let value = try value(key, as: type) else {
            throw OCISpecError(path: path(of: key), reason: "is required")
        }
        return value
    }

    /// An array of objects, empty when it is missing.
    package func values<Value: SpecValue>(
        _ key: String, of _: Value.Type = Value.self
    ) throws(OCISpecError) -> [Value] {
        guard let value = member(key) else { return [] }
        guard case .array(let elements) = value else { throw mismatch(path(of: key), "an array", value) }
        var values: [Value] = []
        values.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            let place = "\(path(of: key))[\(index)]"
            guard case .object(let object) = element else { throw mismatch(place, "an object", element) }
            values.append(try Value(from: SpecReader(object, path: place)))
        }
        return values
    }
}

/// Collects the members of one JSON object, leaving out what is empty.
package struct SpecWriter {
    /// What was written so far.
    package private(set) var object = JSONObject()

    package init() {}

    /// Adds a member if there is a value.
    package mutating func add(_ key: String, _ value: String?) {
        if let value { object[key] = .string(value) }
    }

    /// Adds a member if there is a value.
    package mutating func add(_ key: String, _ value: Bool?) {
        if let value { object[key] = .bool(value) }
    }

    /// Adds a Boolean only if it is true (Go's `omitempty`).
    package mutating func addIfTrue(_ key: String, _ value: Bool) {
        if value { object[key] = .bool(true) }
    }

    /// Adds a member if there is a value; one above 2^63-1 is written as the nearest double.
    package mutating func add(_ key: String, _ value: (some FixedWidthInteger)?) {
        guard let value else { return }
        object[key] = Int64(exactly: value).map { .int($0) } ?? .double(Double(value))
    }

    /// Adds an array unless it is empty.
    package mutating func add(_ key: String, _ values: [String]) {
        if !values.isEmpty { object[key] = JSON(values) }
    }

    /// Adds an array of integers unless it is empty.
    package mutating func add(_ key: String, integers values: [UInt32]) {
        if !values.isEmpty { object[key] = .array(values.map { .int(Int64($0)) }) }
    }

    /// Adds a map of objects, sorted by key, unless it is empty.
    package mutating func add<Value: SpecValue>(_ key: String, map: [String: Value]) {
        guard !map.isEmpty else { return }
        object[key] = .object(JSONObject(map.sorted { $0.key < $1.key }.map { (key: $0.key, value: $0.value.json) }))
    }

    /// Adds an array if there is one, even an empty one.
    package mutating func add(_ key: String, optional values: [String]?) {
        if let values { object[key] = JSON(values) }
    }

    /// Adds a map, sorted by key, unless it is empty.
    package mutating func add(_ key: String, _ map: [String: String]) {
        if !map.isEmpty { object[key] = JSON(map) }
    }

    /// Adds a set of names as an object with empty objects for values, unless it is empty.
    package mutating func add(_ key: String, nameSet names: [String]) {
        guard !names.isEmpty else { return }
        object[key] = .object(JSONObject(names.lazy.map { (key: $0, value: JSON.object(JSONObject())) }))
    }

    /// Adds an object if there is one.
    package mutating func add<Value: SpecValue>(_ key: String, _ value: Value?) {
        if let value { object[key] = value.json }
    }

    /// Adds an array of objects unless it is empty.
    package mutating func add<Value: SpecValue>(_ key: String, _ values: [Value]) {
        if !values.isEmpty { object[key] = .array(values.map(\.json)) }
    }

    /// Adds an array of objects even if it is empty.
    package mutating func add<Value: SpecValue>(_ key: String, required values: [Value]) {
        object[key] = .array(values.map(\.json))
    }
}
