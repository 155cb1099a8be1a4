// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import PKI

extension SigningRequestRules {
    /// The conditions that stand once they are set.
    private static let lasting = ["Approved", "Denied", "Failed"]

    /// What is wrong with a change of the status: decisions come through `approval` alone, the certificate and a
    /// signer's failure through `status` alone, and none of them changes afterwards.
    static func problems(of object: KubeObject, old: KubeObject, subresource: String) -> [StatusError.Cause] {
        let addable: Set<String> = subresource == "approval" ? ["Approved", "Denied"] : ["Failed"]
        return conditionProblems(object) + lasting.flatMap { changeProblems($0, object, old, addable) }
            + certificateProblems(object, old, mayChange: subresource == "status")
    }

    private static func conditionProblems(_ object: KubeObject) -> [StatusError.Cause] {
        var problems: [StatusError.Cause] = []
        var seen: Set<String> = []
        for (index, json) in (object.status["conditions"]?.elements ?? []).enumerated() {
            let field = "status.conditions[\(index)]"
            let type = json["type"]?.string ?? ""
            let status = json["status"]?.string ?? ""
            if type.isEmpty { problems.append(cause("FieldValueRequired", field + ".type", "Required value")) }
            let allowed = lasting.contains(type) ? ["True"] : ["False", "True", "Unknown"]
            if status.isEmpty {
                problems.append(cause("FieldValueRequired", field + ".status", "Required value"))
            } else if !allowed.contains(status) {
                let supported = allowed.map { "\"\($0)\"" }.joined(separator: ", ")
                problems.append(
                    cause(
                        "FieldValueNotSupported", field + ".status",
                        "Unsupported value: \"\(status)\": supported values: \(supported)"))
            }
            if !seen.insert(type).inserted {
                problems.append(cause("FieldValueDuplicate", field + ".type", "Duplicate value: \"\(type)\""))
            }
            if (type == "Approved" && seen.contains("Denied")) || (type == "Denied" && seen.contains("Approved")) {
                problems.append(
                    invalid(
                        field + ".type", "\"\(type)\"", "Approved and Denied conditions are mutually exclusive"))
            }
        }
        return problems
    }

    private static func changeProblems(
        _ type: String, _ object: KubeObject, _ old: KubeObject, _ addable: Set<String>
    ) -> [StatusError.Cause] {
        let field = "status.conditions"
        guard let before = old.condition(type) else {
            guard object.condition(type) != nil, !addable.contains(type) else { return [] }
            return [forbidden(field, "updates may not add a condition of type \"\(type)\"")]
        }
        guard let after = object.condition(type) else {
            return [forbidden(field, "updates may not remove a condition of type \"\(type)\"")]
        }
        return before == after ? [] : [forbidden(field, "updates may not modify a condition of type \"\(type)\"")]
    }

    private static func certificateProblems(
        _ object: KubeObject, _ old: KubeObject, mayChange: Bool
    ) -> [StatusError.Cause] {
        let field = "status.certificate"
        let new = object.status["certificate"]?.string ?? ""
        let before = old.status["certificate"]?.string ?? ""
        if new == before { return [] }
        guard mayChange else { return [forbidden(field, "updates may not set certificate content")] }
        guard before.isEmpty else { return [forbidden(field, "updates may not modify existing certificate content")] }
        do throws(PKIError) {
            let certificates = try Certificate.bundle(pem: Base64.decode(new) ?? [])
            if !certificates.isEmpty { return [] }
            return [invalid(field, "\"<certificate data>\"", "must contain at least one CERTIFICATE PEM block")]
        } catch {
            return [invalid(field, "\"<certificate data>\"", error.reason)]
        }
    }
}
