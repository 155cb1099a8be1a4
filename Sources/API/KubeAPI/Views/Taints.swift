// SPDX-License-Identifier: Apache-2.0

package import JSON

/// An entry of a Node's `spec.taints`.
package struct Taint: Hashable, Sendable {
    package var key: String
    package var value: String
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    package var effect: String

    package init(_ json: JSON) {
        key = json["key"]?.string ?? ""
        value = json["value"]?.string ?? ""
        effect = json["effect"]?.string ?? ""
    }

    /// Whether one of a pod's tolerations bears this taint.
    package func isTolerated(by tolerations: [JSON]) -> Bool {
        tolerations.contains { toleration in
            let effect = toleration["effect"]?.string ?? ""
            guard effect.isEmpty || effect == self.effect else { return false }
            let key = toleration["key"]?.string ?? ""
            guard key.isEmpty || key == self.key else { return false }
            switch toleration["operator"]?.string ?? "Equal" {
            case "Exists": return true
            case "Equal", "": return !key.isEmpty && toleration["value"]?.string ?? "" == value
            default: return false
            }
        }
    }
}
