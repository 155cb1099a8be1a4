// SPDX-License-Identifier: Apache-2.0

import JSON

/// Collects what is wrong with an object. Its rules stand in extensions, one file for each area of the API.
struct Validator {
    private(set) var errors: [FieldError] = []

    /// Errors beyond so many are not collected, so that no input makes an answer of its size's square.
    static let maximumErrors = 1_000

    mutating func add(_ error: FieldError) {
        if errors.count < Self.maximumErrors { errors.append(error) }
    }

    mutating func add(_ problems: [String], _ path: FieldPath, _ value: JSON) {
        for problem in problems { add(.invalid(path, value, problem)) }
    }

    // MARK: Values

    /// A text that must be there and follow a syntax.
    mutating func text(_ json: JSON, _ key: String, _ path: FieldPath, _ syntax: ((String) -> [String])? = nil) {
        let value = json.text(key)
        if value.isEmpty {
            add(.required(path.child(key)))
        } else if let syntax {
            add(syntax(value), path.child(key), .string(value))
        }
    }

    /// A text that may be missing.
    mutating func optionalText(_ json: JSON, _ key: String, _ path: FieldPath, _ syntax: @escaping (String) -> [String])
    {
        if !json.text(key).isEmpty { text(json, key, path, syntax) }
    }

    mutating func choice(_ json: JSON, _ key: String, _ path: FieldPath, _ supported: [String], optional: Bool = false)
    {
        let value = json.text(key)
        if value.isEmpty {
            if !optional { add(.required(path.child(key))) }
        } else if !supported.contains(value) {
            add(.unsupported(path.child(key), .string(value), supported))
        }
    }

    mutating func nonNegative(_ json: JSON, _ keys: String..., at path: FieldPath) {
        for key in keys {
            if let value = json.value(key)?.int, value < 0 {
                add(.invalid(path.child(key), JSON(value), "must be greater than or equal to 0"))
            }
        }
    }

    mutating func unchanged(_ new: JSON?, _ old: JSON?, _ path: FieldPath, _ reason: String = "field is immutable") {
        if (new ?? .null) != (old ?? .null) { add(.invalid(path, new ?? .null, reason)) }
    }

    // MARK: Labels and selectors

    mutating func labels(_ json: JSON?, _ path: FieldPath) {
        for (key, value) in json?.members ?? [:] {
            add(LabelSyntax.problems(inKey: key), path, .string(key))
            add(LabelSyntax.problems(inValue: value.string ?? ""), path, value)
        }
    }

    mutating func labelSelector(_ json: JSON?, _ path: FieldPath) {
        guard let json, !json.isNull else { return }
        labels(json["matchLabels"], path.child("matchLabels"))
        for (index, requirement) in json.list("matchExpressions").enumerated() {
            let path = path.child("matchExpressions").index(index)
            let values = requirement.list("values")
            switch requirement.text("operator") {
            case "In", "NotIn":
                if values.isEmpty {
                    add(.required(path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'"))
                }
            case "Exists", "DoesNotExist":
                if !values.isEmpty {
                    let reason = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                    add(.forbidden(path.child("values"), reason))
                }
            default:
                let operation = JSON.string(requirement.text("operator"))
                add(.invalid(path.child("operator"), operation, "not a valid selector operator"))
            }
            let key = requirement.text("key")
            add(LabelSyntax.problems(inKey: key), path.child("key"), .string(key))
            for (position, value) in values.enumerated() {
                add(LabelSyntax.problems(inValue: value.string ?? ""), path.child("values").index(position), value)
            }
        }
    }

    static func isEmptySelector(_ json: JSON?) -> Bool {
        (json?["matchLabels"]?.members ?? [:]).isEmpty && (json?.list("matchExpressions") ?? []).isEmpty
    }

    /// Whether a selector selects these labels; false for malformed ones.
    static func selects(_ selector: JSON, _ labels: JSON?) -> Bool {
        let labels = labels?.stringMap ?? [:]
        for (key, value) in selector["matchLabels"]?.stringMap ?? [:] where labels[key] != value { return false }
        for requirement in selector.list("matchExpressions") {
            let value = labels[requirement.text("key")]
            let values = requirement.list("values").compactMap(\.string)
            let isMet: Bool =
                switch requirement.text("operator") {
                case "In": value.map(values.contains) ?? false
                case "NotIn": !(value.map(values.contains) ?? false)
                case "Exists": value != nil
                case "DoesNotExist": value == nil
                default: false
                }
            if !isMet { return false }
        }
        return true
    }

    // MARK: Quantities

    /// A resource amount that must not be negative, and whole for resources that cannot be divided.
    mutating func amount(_ json: JSON, of resource: String, _ path: FieldPath) {
        guard let quantity = Quantity(json) else { return }
        if quantity.isNegative { add(.invalid(path, json, "must be greater than or equal to 0")) }
        let isStandard = !resource.contains("/") || resource.hasSuffix("kubernetes.io/")
        let isDivisible = ["cpu", "memory", "ephemeral-storage", "storage"].contains(resource)
        if (!isStandard || !isDivisible && resource.hasPrefix("hugepages-")) && !quantity.isInteger {
            add(.invalid(path, json, "must be an integer"))
        }
    }

    mutating func positive(_ json: JSON, _ path: FieldPath) {
        if let quantity = Quantity(json), quantity <= .zero { add(.invalid(path, json, "must be greater than zero")) }
    }

    /// A count or a percentage that must not be negative.
    mutating func countOrPercent(_ json: JSON?, _ path: FieldPath, atMostAll: Bool = false) {
        switch IntOrString(json) {
        case .int(let value)?:
            if value < 0 { add(.invalid(path, JSON(value), "must be greater than or equal to 0")) }
        case .string(let text)?:
            guard let percent = IntOrString.string(text).percent else {
                let reason = NameSyntax.regex(
                    "a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%", "1%",
                    "93%")
                add(.invalid(path, .string(text), reason))
                return
            }
            if atMostAll, percent > 100 { add(.invalid(path, .string(text), "must not be greater than 100%")) }
        case nil: break
        }
    }
}
