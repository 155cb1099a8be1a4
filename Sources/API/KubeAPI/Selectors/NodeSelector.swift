// SPDX-License-Identifier: Apache-2.0

package import JSON

/// A selection of nodes: a core/v1 NodeSelector, whose terms are alternatives.
///
/// Semantics of k8s.io/component-helpers/scheduling/corev1/nodeaffinity: no term, or only empty ones, selects no
/// node, and neither does a term with an invalid expression.
package struct NodeSelector: Hashable, Sendable {
    package let terms: [Term]

    package init(_ json: JSON) { terms = (json["nodeSelectorTerms"]?.elements ?? []).map(Term.init) }

    /// Whether one of the terms selects the node.
    package func matches(_ node: KubeObject) -> Bool { terms.contains { $0.matches(node) } }

    /// A core/v1 NodeSelectorTerm; all of its expressions must hold.
    package struct Term: Hashable, Sendable {
        /// nil for a term that selects nothing: empty or invalid.
        private let labels: LabelSelector?
        private let nameRequirements: [LabelSelector.Requirement]

        package init(_ json: JSON) {
            let expressions = json["matchExpressions"]?.elements ?? []
            let fields = json["matchFields"]?.elements ?? []
            let requirements = expressions.compactMap(Self.requirement)
            let names = fields.compactMap(Self.nameRequirement)
            let isValid = requirements.count == expressions.count && names.count == fields.count
            labels =
                isValid && !(requirements.isEmpty && names.isEmpty) ? .init(requirements: requirements) : nil
            nameRequirements = names
        }

        /// Whether the node's labels and name satisfy the term.
        package func matches(_ node: KubeObject) -> Bool {
            guard let labels else { return false }
            return labels.matches(node) && nameRequirements.allSatisfy { $0.matches(node.name) }
        }

        private static func requirement(_ json: JSON) -> LabelSelector.Requirement? {
            let comparison: LabelSelector.Requirement.Operator
            switch json["operator"]?.string {
            case "In": comparison = .in
            case "NotIn": comparison = .notIn
            case "Exists": comparison = .exists
            case "DoesNotExist": comparison = .doesNotExist
            case "Gt": comparison = .greaterThan
            case "Lt": comparison = .lessThan
            default: return nil
            }
            let values = json["values"]?.elements.compactMap(\.string) ?? []
            // An invalid expression is what nil stands for; its message belongs to validation, not to matching.
            return try? .init(json["key"]?.string ?? "", comparison, values)
        }

        /// The only field is the name, compared with exactly one value.
        private static func nameRequirement(_ json: JSON) -> LabelSelector.Requirement? {
            let values = json["values"]?.elements.compactMap(\.string) ?? []
            guard json["key"]?.string == "metadata.name", values.count == 1 else { return nil }
            switch json["operator"]?.string {
            case "In": return .init(unchecked: "metadata.name", .in, values)
            case "NotIn": return .init(unchecked: "metadata.name", .notIn, values)
            default: return nil
            }
        }
    }
}
