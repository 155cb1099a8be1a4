// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Roles and their bindings: nobody grants what they do not hold, and decisions follow every change at once.
struct AccessControlBehaviour: ResourceBehaviour {
    let authorizer: Authorizer
    var traits: ResourceTraits { BehaviourTable.traits("roles.rbac.authorization.k8s.io") }

    func admit(_ change: Change, _ object: inout KubeObject) async throws {
        if object.kind.hasSuffix("Binding") {
            var reference = object.json["roleRef"] ?? .object([:])
            if reference["apiGroup"]?.string ?? "" == "" { reference["apiGroup"] = "rbac.authorization.k8s.io" }
            object.json["roleRef"] = reference
        }
        guard !change.isTrusted else { return }
        let policy = authorizer.policy
        if object.kind.hasSuffix("Binding") {
            try policy.checkBindingWrite(object, old: change.old, user: change.user)
        } else {
            try policy.checkRoleWrite(object, old: change.old, user: change.user)
        }
    }

    func problems(_ change: Change, _ object: KubeObject) -> [StatusError.Cause] {
        guard object.kind.hasSuffix("Binding"), let old = change.old, old.json["roleRef"] != object.json["roleRef"]
        else {
            return []
        }
        return [
            .init(
                reason: "FieldValueInvalid",
                message: "Invalid value: \(object.json["roleRef"] ?? .null): cannot change roleRef", field: "roleRef")
        ]
    }

    func written(_ change: Change, _ object: KubeObject) async { authorizer.invalidate() }
}
