// SPDX-License-Identifier: Apache-2.0

package import JSON

/// A selection of objects by their labels: requirements that must all hold.
///
/// Read from the text that clients send (`app=web,tier in (a,b)`) or from a meta/v1 LabelSelector object. The
/// semantics are those of k8s.io/apimachinery/pkg/labels.
package struct LabelSelector: Hashable, Sendable, CustomStringConvertible {
    /// In the order of their keys; empty selects everything.
    package private(set) var requirements: [Requirement]
    /// Set for the selector that an absent meta/v1 LabelSelector stands for.
    package private(set) var matchesNothing = false

    /// Selects every object.
    package static let everything = LabelSelector(requirements: [])
    /// Selects no object.
    package static let nothing = LabelSelector(matchesNothing: ())

    /// Selects what satisfies all requirements.
    package init(requirements: [Requirement]) {
        self.requirements = requirements.sorted { $0.key < $1.key }
    }

    private init(matchesNothing: ()) {
        requirements = []
        self.matchesNothing = true
    }

    /// Selects the objects that have all these labels, as the `selector` map of a Service or ReplicationController.
    package init(matchLabels: [String: String]) {
        self.init(requirements: matchLabels.map { .init(unchecked: $0.key, .equals, [$0.value]) })
    }

    /// Parses the text form; throws 400 with upstream's words.
    package init(parsing text: String) throws(StatusError) {
        if text.isEmpty {
            self = .everything
            return
        }
        var parser = LabelSelectorParser(text)
        self.init(requirements: try parser.parse())
    }

    /// Reads a meta/v1 LabelSelector: nil or null selects nothing, an empty object everything; throws 400 if invalid.
    package init(json: JSON?) throws(StatusError) {
        guard let json, !json.isNull else {
            self = .nothing
            return
        }
        var requirements: [Requirement] = []
        for (key, value) in json["matchLabels"]?.members ?? [:] {
            requirements.append(try .init(key, .equals, [value.string ?? ""]))
        }
        for expression in json["matchExpressions"]?.elements ?? [] {
            let text = expression["operator"]?.string ?? ""
            guard let comparison = Requirement.Operator(labelSelectorName: text) else {
                throw .badRequest("\"\(text)\" is not a valid label selector operator")
            }
            let values = expression["values"]?.elements.compactMap(\.string) ?? []
            requirements.append(try .init(expression["key"]?.string ?? "", comparison, values))
        }
        self.init(requirements: requirements)
    }

    /// Whether every object is selected.
    package var isEverything: Bool { requirements.isEmpty && !matchesNothing }

    /// Whether the `metadata.labels` of an object (nil if it has none) are selected.
    package func matches(_ labels: JSON?) -> Bool {
        if matchesNothing { return false }
        return requirements.allSatisfy { $0.matches(labels?[$0.key]?.string) }
    }

    /// Whether these labels are selected.
    package func matches(_ labels: [String: String]) -> Bool {
        if matchesNothing { return false }
        return requirements.allSatisfy { $0.matches(labels[$0.key]) }
    }

    /// Whether the labels of an object are selected.
    package func matches(_ object: KubeObject) -> Bool { matches(object.json["metadata"]?["labels"]) }

    /// The canonical text form, which ``init(parsing:)`` reads.
    package var description: String { requirements.map(\.description).joined(separator: ",") }
}

extension LabelSelector {
    /// One condition on the value of one label.
    package struct Requirement: Hashable, Sendable, CustomStringConvertible {
        /// How the label's value relates to the requirement's values.
        package enum Operator: String, Sendable, Hashable {
            case equals = "="
            case doubleEquals = "=="
            case notEquals = "!="
            case `in` = "in"
            case notIn = "notin"
            case exists = "exists"
            case doesNotExist = "!"
            case greaterThan = "gt"
            case lessThan = "lt"

            /// The operator of a meta/v1 LabelSelectorRequirement.
            init?(labelSelectorName name: String) {
                switch name {
                case "In": self = .in
                case "NotIn": self = .notIn
                case "Exists": self = .exists
                case "DoesNotExist": self = .doesNotExist
                default: return nil
                }
            }
        }

        package let key: String
        package let comparison: Operator
        /// Sorted, without duplicates.
        package let values: [String]
        /// The bound of `gt` and `lt`.
        private let bound: Int64?

        /// A requirement whose key, values and their number are valid; throws 400 otherwise.
        package init(_ key: String, _ comparison: Operator, _ values: [String]) throws(StatusError) {
            self.init(unchecked: key, comparison, Set(values).sorted())
            if let problem = problem { throw .badRequest(problem) }
        }

        init(unchecked key: String, _ comparison: Operator, _ values: [String]) {
            self.key = key
            self.comparison = comparison
            self.values = values
            let isBounded = comparison == .greaterThan || comparison == .lessThan
            bound = isBounded && values.count == 1 ? Int64(values[0]) : nil
        }

        private var problem: String? {
            let keyProblems = LabelSyntax.problems(inKey: key)
            if !keyProblems.isEmpty {
                return "key: Invalid value: \(goQuoted(key)): \(keyProblems.joined(separator: "; "))"
            }
            if let problem = problemWithCount { return problem }
            for (index, value) in values.enumerated() {
                let problems = LabelSyntax.problems(inValue: value)
                guard problems.isEmpty else {
                    return "values[\(index)][\(key)]: Invalid value: \(goQuoted(value)): "
                        + problems.joined(separator: "; ")
                }
            }
            return nil
        }

        private var problemWithCount: String? {
            let list = "[" + values.map(goQuoted).joined(separator: ",") + "]"
            switch comparison {
            case .in, .notIn:
                return values.isEmpty
                    ? "values: Invalid value: \(list): for 'in', 'notin' operators, values set can't be empty" : nil
            case .equals, .doubleEquals, .notEquals:
                return values.count == 1
                    ? nil : "values: Invalid value: \(list): exact-match compatibility requires one single value"
            case .exists, .doesNotExist:
                return values.isEmpty
                    ? nil : "values: Invalid value: \(list): values set must be empty for exists and does not exist"
            case .greaterThan, .lessThan:
                if values.count != 1 {
                    return "values: Invalid value: \(list): for 'Gt', 'Lt' operators, exactly one value is required"
                }
                return bound == nil
                    ? "values[0]: Invalid value: \(goQuoted(values[0])): for 'Gt', 'Lt' operators, the value must be "
                        + "an integer" : nil
            }
        }

        /// Whether a label with this value (nil: the object lacks the label) satisfies the requirement.
        package func matches(_ value: String?) -> Bool {
            switch comparison {
            case .equals, .doubleEquals, .in:
                guard let value else { return false }
                return values.contains(value)
            case .notEquals, .notIn:
                guard let value else { return true }
                return !values.contains(value)
            case .exists: return value != nil
            case .doesNotExist: return value == nil
            case .greaterThan:
                guard let number = value.flatMap({ Int64($0) }), let bound else { return false }
                return number > bound
            case .lessThan:
                guard let number = value.flatMap({ Int64($0) }), let bound else { return false }
                return number < bound
            }
        }

        package var description: String {
            switch comparison {
            case .exists: return key
            case .doesNotExist: return "!\(key)"
            case .greaterThan: return "\(key)>\(values.joined())"
            case .lessThan: return "\(key)<\(values.joined())"
            case .in, .notIn: return "\(key) \(comparison.rawValue) (\(values.joined(separator: ",")))"
            case .equals, .doubleEquals, .notEquals: return "\(key)\(comparison.rawValue)\(values.joined())"
            }
        }
    }
}

/// A string as Go's `%q` shows it: quoted, with JSON's escapes.
func goQuoted(_ text: String) -> String { JSON.string(text).text() }
