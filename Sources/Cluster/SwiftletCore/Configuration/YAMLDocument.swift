// SPDX-License-Identifier: Apache-2.0

package import JSON
import Yams

/// YAML as the JSON that it means (the core schema, as Kubernetes reads manifests).
package enum YAMLDocument {
    /// - Throws: ``ConfigurationError`` with the line of what is wrong.
    package static func parse(_ text: String) throws -> JSON {
        do {
            guard let node = try Yams.compose(yaml: text) else { return .null }
            return try json(of: node)
        } catch let error as YamlError {
            throw ConfigurationError(reason: "not valid YAML: \(error)")
        }
    }

    /// A value in YAML's block style, with a line feed at its end.
    package static func text(_ value: JSON) throws -> String { try Yams.serialize(node: node(of: value)) }

    private static func node(of value: JSON) -> Node {
        switch value {
        case .null: Node("null", Tag(.null))
        case .bool(let value): Node(value ? "true" : "false", Tag(.bool))
        case .int(let value): Node(String(value), Tag(.int))
        case .double(let value): Node(String(value), Tag(.float))
        // Without quotes an empty text would be null.
        case .string(let text): Node(text, Tag(.str), text.isEmpty ? .singleQuoted : .any)
        case .array(let values): Node(values.map(node), Tag(.seq))
        case .object(let members): Node(members.map { (Node($0.key), node(of: $0.value)) }, Tag(.map))
        }
    }

    private static func json(of node: Node) throws -> JSON {
        switch node {
        case .scalar(let scalar): return value(of: node, text: scalar.string)
        case .sequence(let sequence): return .array(try sequence.map(json))
        case .mapping(let mapping):
            var object = JSONObject()
            for (key, entry) in mapping {
                guard let name = key.scalar?.string else {
                    throw ConfigurationError(reason: "a mapping's key must be a string")
                }
                if object.contains(name) { throw ConfigurationError(field: name, reason: "is given twice") }
                object[name] = try json(of: entry)
            }
            return .object(object)
        case .alias: throw ConfigurationError(reason: "aliases are not supported")
        }
    }

    private static func value(of node: Node, text: String) -> JSON {
        // Quoted scalars resolve to strings; plain ones by their form.
        switch node.tag.description {
        case Tag.Name.null.rawValue: .null
        case Tag.Name.bool.rawValue: node.bool.map { .bool($0) } ?? .string(text)
        case Tag.Name.int.rawValue: node.int.map { JSON($0) } ?? .string(text)
        case Tag.Name.float.rawValue: node.float.map { .double($0) } ?? .string(text)
        default: .string(text)
        }
    }
}

/// YAML for commands.
package enum YAMLText {
    /// A value in YAML's block style, with a line feed at its end.
    package static func text(_ value: JSON) throws -> String { try YAMLDocument.text(value) }
}
