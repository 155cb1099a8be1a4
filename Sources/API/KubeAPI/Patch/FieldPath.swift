// SPDX-License-Identifier: Apache-2.0

package import JSON

/// One step of a path into an object, as managed fields know it (structured-merge-diff's PathElement).
package enum PathElement: Hashable, Sendable {
    /// A member of an object: `f:name`.
    case field(String)
    /// The item of a list that has these values in its key fields, sorted by field: `k:{"name":"a"}`.
    case key([KeyField])
    /// The item of a set: `v:"a"`.
    case value(JSON)
    /// A position in a list: `i:0`.
    case index(Int)

    package struct KeyField: Hashable, Sendable {
        package var name: String
        package var value: JSON

        package init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }
}

extension PathElement: Comparable {
    package static func < (left: PathElement, right: PathElement) -> Bool {
        switch (left, right) {
        case (.field(let left), .field(let right)): return left < right
        case (.key(let left), .key(let right)):
            for (one, other) in zip(left, right) {
                if one.name != other.name { return one.name < other.name }
                if one.value != other.value { return isLess(one.value, other.value) }
            }
            return left.count < right.count
        case (.value(let left), .value(let right)): return isLess(left, right)
        case (.index(let left), .index(let right)): return left < right
        default: return left.rank < right.rank
        }
    }

    private var rank: Int {
        switch self {
        case .field: 0
        case .key: 1
        case .value: 2
        case .index: 3
        }
    }

    /// The order of values: numbers, strings, Booleans, and all else by its text.
    private static func isLess(_ left: JSON, _ right: JSON) -> Bool {
        if let left = left.double, let right = right.double { return left < right }
        if let left = left.string, let right = right.string { return left < right }
        func rank(_ value: JSON) -> Int {
            switch value {
            case .int, .double: 0
            case .string: 1
            case .bool: 2
            case .array: 3
            case .object: 4
            case .null: 5
            }
        }
        return rank(left) == rank(right) ? left.text() < right.text() : rank(left) < rank(right)
    }
}

extension PathElement: CustomStringConvertible {
    /// `.spec`, `[name="a"]`, `[="x"]` or `[0]`: how conflicts show it.
    package var description: String {
        switch self {
        case .field(let name): ".\(name)"
        case .key(let fields): "[\(fields.map { "\($0.name)=\($0.value.text())" }.joined(separator: ","))]"
        case .value(let value): "[=\(value.text())]"
        case .index(let index): "[\(index)]"
        }
    }

    /// The member name in FieldsV1.
    var wire: String {
        switch self {
        case .field(let name): return "f:" + name
        case .key(let fields):
            return "k:" + JSON.object(JSONObject(fields.lazy.map { (key: $0.name, value: $0.value) })).text()
        case .value(let value): return "v:" + value.text()
        case .index(let index): return "i:\(index)"
        }
    }

    /// Reads a member name of FieldsV1; nil if it is none.
    init?(wire: String) {
        // By bytes: a combining character after the colon must not hide it.
        guard let kind = wire.utf8.first, wire.utf8.dropFirst().first == UInt8(ascii: ":"),
            let content = String(wire.utf8.dropFirst(2))
        else { return nil }
        switch Unicode.Scalar(kind) {
        case "f": self = .field(content)
        case "k":
            // What is not JSON is no path element.
            guard let object = (try? JSON.parse(content))?.object else { return nil }
            self = .key(object.map { .init($0.key, $0.value) }.sorted { $0.name < $1.name })
        case "v":
            guard let value = try? JSON.parse(content) else { return nil }
            self = .value(value)
        case "i":
            guard let index = Int(content) else { return nil }
            self = .index(index)
        default: return nil
        }
    }
}
