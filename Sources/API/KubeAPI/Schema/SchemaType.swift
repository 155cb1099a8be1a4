// SPDX-License-Identifier: Apache-2.0

package import JSON

/// The type of a value in an API object: its shape, fields, and how lists and patches of it merge.
///
/// A cheap handle: for built-in kinds an index into the generated table, for custom kinds a reference to a node.
package struct SchemaType: Sendable, Hashable {
    enum Backing: Sendable, Hashable {
        /// A node of the generated table.
        case node(UInt16)
        /// A definition of the generated table, outside any field.
        case definition(UInt16)
        case custom(CustomSchema)
    }

    let backing: Backing

    /// What a value looks like in JSON.
    package enum Shape: UInt8, Sendable, Hashable {
        /// Anything at all; unknown fields are kept.
        case any
        /// An object with declared fields.
        case object
        /// An object with arbitrary keys and values of one type, see ``SchemaType/element``.
        case map
        case list
        case string
        case integer
        case number
        case boolean
        /// `apimachinery/pkg/util/intstr`.
        case intOrString
        /// `apimachinery/pkg/api/resource`.
        case quantity
    }

    /// How a string or number is to be read.
    package enum Format: UInt8, Sendable, Hashable {
        case none, int32, int64, double
        /// Base64 of bytes.
        case byte
        /// RFC 3339 with seconds (`metav1.Time`).
        case dateTime
        /// RFC 3339 with microseconds (`metav1.MicroTime`).
        case microTime
        /// Go's `time.Duration` text, `1m30s`.
        case duration
        /// JSON that the API carries without looking at it.
        case raw
    }

    /// How a list merges (`x-kubernetes-list-type`).
    package enum ListType: Sendable, Hashable {
        case atomic
        case set
        case map(keys: [String])
    }

    /// How strategic merge patch treats a field (`x-kubernetes-patch-strategy`); empty where nothing is declared.
    package struct PatchStrategy: OptionSet, Sendable, Hashable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let merge = PatchStrategy(rawValue: 1)
        package static let replace = PatchStrategy(rawValue: 2)
        package static let retainKeys = PatchStrategy(rawValue: 4)
    }

    /// A type from an OpenAPI structural schema, for kinds that are defined at run time.
    package init(_ custom: CustomSchema) { backing = .custom(custom) }

    init(node: Int) { backing = .node(UInt16(node)) }
    init(definition: Int) { backing = .definition(UInt16(definition)) }
}

// MARK: - What the type is

extension SchemaType {
    package var shape: Shape {
        switch backing {
        case .node(let node): Shape(rawValue: UInt8(number(node, at: 0, 1))) ?? .any
        case .definition: .object
        case .custom(let schema): schema.shape
        }
    }

    package var format: Format {
        switch backing {
        case .node(let node): Format(rawValue: UInt8(number(node, at: 3, 1))) ?? .none
        case .definition: .none
        case .custom(let schema): schema.format
        }
    }

    /// The full name of an object's definition, `io.k8s.api.core.v1.Pod`; nil for other shapes and custom kinds.
    package var definitionName: String? {
        definition.map { SchemaTable.string(at: SchemaTable.definitionOffset($0)) }
    }

    /// The name of the Go type where a string or number has one, `v1.DNSPolicy`, or the definition that a scalar
    /// has of its own; nil for others.
    package var scalarName: String? {
        guard case .node(let node) = backing, shape != .object else { return nil }
        let name = string(node, at: 15)
        return name.isEmpty ? nil : name
    }

    /// The values that a string may have, sorted; empty where it is free.
    package var enumValues: [String] {
        switch backing {
        case .node(let node):
            string(node, at: 12).split(separator: "|", omittingEmptySubsequences: false).map(String.init).filter {
                !$0.isEmpty
            }
        case .definition: []
        case .custom(let schema): schema.enumValues
        }
    }

    /// The type of a list's items or of a map's values; nil for other shapes.
    package var element: SchemaType? {
        switch backing {
        case .node(let node):
            shape == .list || shape == .map ? SchemaType(node: number(node, at: 4, 2)) : nil
        case .definition: nil
        case .custom(let schema): schema.element
        }
    }

    var definition: Int? {
        switch backing {
        case .node(let node): shape == .object ? number(node, at: 4, 2) : nil
        case .definition(let definition): Int(definition)
        case .custom: nil
        }
    }

    private func number(_ node: UInt16, at offset: Int, _ width: Int) -> Int {
        SchemaTable.number(SchemaTable.nodeOffset(Int(node)) + offset, width)
    }

    private func string(_ node: UInt16, at offset: Int) -> String {
        SchemaTable.string(at: SchemaTable.nodeOffset(Int(node)) + offset)
    }

    private var flags: Int {
        let own: Int =
            switch backing {
            case .node(let node): number(node, at: 1, 1)
            case .definition, .custom: 0
            }
        guard let definition else { return own }
        return own | SchemaTable.number(SchemaTable.definitionOffset(definition) + 8, 1)
    }
}

// MARK: - Merging

extension SchemaType {
    /// How a list merges under server-side apply; `atomic` where nothing is declared, and for other shapes.
    package var listType: ListType {
        switch backing {
        case .node(let node):
            switch number(node, at: 2, 1) {
            case 2: .set
            case 3: .map(keys: string(node, at: 6).split(separator: ",").map(String.init))
            default: .atomic
            }
        case .definition: .atomic
        case .custom(let schema): schema.listType
        }
    }

    /// Whether an object or map is replaced as a whole by server-side apply (`x-kubernetes-map-type: atomic`).
    package var isMapAtomic: Bool {
        if case .custom(let schema) = backing { return schema.isMapAtomic }
        return flags & 1 != 0
    }

    /// Empty for custom kinds, which know no strategic merge patch.
    package var patchStrategy: PatchStrategy {
        PatchStrategy(rawValue: UInt8(flags >> 1))
    }

    /// The field by which strategic merge patch tells list items apart.
    package var patchMergeKey: String? {
        guard case .node(let node) = backing else { return nil }
        let key = string(node, at: 9)
        return key.isEmpty ? nil : key
    }
}

// MARK: - Fields

extension SchemaType {
    /// A declared field of an object; nil for unknown ones and other shapes.
    package func field(_ name: String) -> SchemaField? {
        if case .custom(let schema) = backing { return schema.fields[name] }
        return definition.flatMap { SchemaTable.field(name, ofDefinition: $0) }.map { SchemaField(index: $0) }
    }

    /// All declared fields, sorted by name.
    package var fields: [SchemaField] {
        if case .custom(let schema) = backing { return schema.fields.values.sorted { $0.name < $1.name } }
        return definition.map { SchemaTable.fields(ofDefinition: $0).map { SchemaField(index: $0) } } ?? []
    }

    /// The names of the fields that must be there, sorted.
    package var required: [String] { fields.filter(\.isRequired).map(\.name) }

    /// Whether fields that are not declared are kept.
    package var preservesUnknownFields: Bool {
        if case .custom(let schema) = backing { return schema.preservesUnknownFields }
        return shape == .any
    }
}

/// A declared field of an object.
package struct SchemaField: Sendable, Hashable {
    package let name: String
    package let type: SchemaType
    package let isRequired: Bool
    /// The field's number in the protobuf form; nil where it has none (custom kinds, `apiVersion`, `kind`).
    package let protobufNumber: Int?
    /// The numbers of the messages between the object's and the field, outermost first: structs that JSON inlines.
    package let protobufPath: [Int]
    /// How Go writes the field's zero value.
    package let encoding: Encoding
    private let defaultText: String

    /// How Go's JSON encoder treats a field.
    package struct Encoding: OptionSet, Sendable, Hashable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        /// A pointer: only an absent value is left out, and a present zero value is kept.
        package static let pointer = Encoding(rawValue: 2)
        /// `omitempty`: false, 0, "", and empty lists and maps are left out, structs are not.
        package static let omitEmpty = Encoding(rawValue: 4)
        /// `omitzero`: zero structs are left out as well.
        package static let omitZero = Encoding(rawValue: 8)
        /// Go writes the field even when it was absent: a struct's `{}`, a required string's `""`.
        package static let writtenWhenAbsent = Encoding(rawValue: 16)
        /// The field has a default that differs from the zero value.
        package static let hasDefault = Encoding(rawValue: 32)
    }

    /// What an absent field means (`+default`); nil where nothing is declared.
    package var `default`: JSON? {
        // The text comes from the table, whose generator has checked it.
        defaultText.isEmpty ? nil : try? JSON.parse(defaultText)
    }

    init(index: Int) {
        let offset = SchemaTable.fieldOffset(index)
        name = SchemaTable.string(at: offset)
        type = SchemaType(node: SchemaTable.number(offset + 3, 2))
        let number = SchemaTable.number(offset + 5, 2)
        protobufNumber = number == 0 ? nil : number
        protobufPath = [SchemaTable.number(offset + 7, 1), SchemaTable.number(offset + 8, 1)].filter { $0 != 0 }
        let flags = SchemaTable.number(offset + 9, 1)
        isRequired = flags & 1 != 0
        encoding = Encoding(rawValue: UInt8(flags & ~1))
        defaultText = SchemaTable.string(at: offset + 10)
    }

    /// A field of a custom kind.
    package init(name: String, type: SchemaType, isRequired: Bool, default: JSON? = nil) {
        self.name = name
        self.type = type
        self.isRequired = isRequired
        protobufNumber = nil
        protobufPath = []
        encoding = .pointer
        defaultText = `default`?.text() ?? ""
    }
}
