// SPDX-License-Identifier: Apache-2.0

package import JSON

/// One entry of `metadata.managedFields`: what a manager owns (meta/v1 ManagedFieldsEntry).
package struct ManagedFieldsEntry: Hashable, Sendable {
    /// By what a manager came to own its fields.
    package enum Operation: String, Hashable, Sendable {
        case apply = "Apply"
        case update = "Update"
    }

    package var manager: String
    package var operation: Operation
    package var apiVersion: String
    /// Empty for the object itself.
    package var subresource: String
    /// RFC 3339, nil if unknown.
    package var time: String?
    /// FieldsV1; read into a set only where something changes.
    private var fieldsV1: JSON

    /// The fields that the manager owns.
    package var fields: FieldSet {
        get { FieldSet(fieldsV1) ?? FieldSet() }
        set { fieldsV1 = newValue.json }
    }

    package var isEmpty: Bool { fieldsV1.object?.isEmpty ?? true }

    package init(
        manager: String, operation: Operation, apiVersion: String, subresource: String = "", time: String? = nil,
        fields: FieldSet = .init()
    ) {
        self.manager = manager
        self.operation = operation
        self.apiVersion = apiVersion
        self.subresource = subresource
        self.time = time
        fieldsV1 = fields.json
    }

    /// Reads an entry; nil if it is malformed.
    package init?(_ json: JSON) {
        guard let operation = json["operation"]?.string.flatMap(Operation.init),
            let fields = json["fieldsV1"], fields.object != nil
        else { return nil }
        manager = json["manager"]?.string ?? ""
        self.operation = operation
        apiVersion = json["apiVersion"]?.string ?? ""
        subresource = json["subresource"]?.string ?? ""
        time = json["time"]?.string
        fieldsV1 = fields
    }

    package var json: JSON {
        var result: JSON = [
            "apiVersion": .string(apiVersion), "fieldsType": "FieldsV1", "fieldsV1": fieldsV1,
            "manager": .string(manager), "operation": .string(operation.rawValue),
        ]
        if !subresource.isEmpty { result["subresource"] = .string(subresource) }
        if let time { result["time"] = .string(time) }
        return result
    }

    /// Whether the entry is the one of a manager and operation. An applier is the same in every version.
    func isSame(as other: ManagedFieldsEntry) -> Bool {
        manager == other.manager && operation == other.operation && subresource == other.subresource
            && (operation == .apply || apiVersion == other.apiVersion)
    }

    func intersects(_ set: FieldSet) -> Bool { !set.isEmpty && set.intersects(fieldsV1: fieldsV1) }
    func contains(_ set: FieldSet) -> Bool { set.isContained(inFieldsV1: fieldsV1) }

    /// The owner as conflict messages name it.
    var description: String {
        let name =
            subresource.isEmpty ? goQuoted(manager) : "\(goQuoted(manager)) with subresource \(goQuoted(subresource))"
        return operation == .update ? "\(name) using \(apiVersion)" : name
    }

    /// The order in which objects list their entries.
    static func isBefore(_ left: ManagedFieldsEntry, _ right: ManagedFieldsEntry) -> Bool {
        if left.operation != right.operation { return left.operation.rawValue < right.operation.rawValue }
        if left.time != right.time { return (left.time ?? "") < (right.time ?? "") }
        if left.manager != right.manager { return left.manager < right.manager }
        if left.apiVersion != right.apiVersion { return left.apiVersion < right.apiVersion }
        return left.subresource < right.subresource
    }
}
