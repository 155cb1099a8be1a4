// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import PKI

/// Secrets: `stringData` becomes `data`, and types keep what they promise.
struct SecretBehaviour: ResourceBehaviour {
    var traits: ResourceTraits { BehaviourTable.traits("secrets") }

    func prepare(_ change: Change, _ object: inout KubeObject) async throws {
        for (key, value) in object.json["stringData"]?.members ?? [:] {
            guard let text = value.string else { continue }
            object.json["data", key] = .string(Base64.encode(Array(text.utf8)))
        }
        object.json["stringData"] = nil
        if object.json["type"]?.string ?? "" == "" { object.json["type"] = "Opaque" }
    }

    func problems(_ change: Change, _ object: KubeObject) -> [StatusError.Cause] {
        var problems = ImmutableDataBehaviour.problems(change.old, object)
        if let old = change.old, old.json["type"] != object.json["type"] {
            problems.append(
                .init(
                    reason: "FieldValueInvalid",
                    message: "Invalid value: \(object.json["type"] ?? .null): field is immutable", field: "type"))
        }
        return problems
    }
}

/// Objects whose data stands once they are marked as immutable.
struct ImmutableDataBehaviour: ResourceBehaviour {
    let traits: ResourceTraits

    func problems(_ change: Change, _ object: KubeObject) -> [StatusError.Cause] {
        Self.problems(change.old, object)
    }

    static func problems(_ old: KubeObject?, _ object: KubeObject) -> [StatusError.Cause] {
        guard let old, old.json["immutable"]?.bool == true else { return [] }
        var fields = ["data", "binaryData"].filter { old.json[$0] != object.json[$0] }
        if object.json["immutable"]?.bool != true { fields.append("immutable") }
        return fields.map {
            .init(
                reason: "FieldValueForbidden", message: "Forbidden: field is immutable when `immutable` is set",
                field: $0)
        }
    }
}
