// SPDX-License-Identifier: Apache-2.0

package import JSON

/// A selection of objects by the values of a few fields: `spec.nodeName=pi-1,status.phase!=Running`.
///
/// The text form is that of k8s.io/apimachinery/pkg/fields: terms joined by commas, with `\`, `,` and `=` in values
/// escaped by a backslash. Which fields a kind offers is in ``SelectableFields``.
package struct FieldSelector: Hashable, Sendable, CustomStringConvertible {
    /// One condition: the field has, or has not, this value.
    package struct Term: Hashable, Sendable {
        package var field: String
        package var value: String
        package var isNegated: Bool

        package init(_ field: String, _ value: String, isNegated: Bool = false) {
            self.field = field
            self.value = value
            self.isNegated = isNegated
        }
    }

    /// All must hold; none selects everything.
    package var terms: [Term]

    package static let everything = FieldSelector(terms: [])

    package init(terms: [Term]) { self.terms = terms }

    /// Parses the text form without asking which fields exist; throws 400 with upstream's words.
    package init(parsing text: String) throws(StatusError) {
        var terms: [Term] = []
        for part in Self.split(text) where !part.isEmpty {
            terms.append(try Self.parseTerm(part))
        }
        self.terms = terms.sorted { $0.field < $1.field }
    }

    /// Parses the text form for a kind; throws 400 if the kind does not offer one of the fields.
    package init(parsing text: String, for kind: GroupVersionKind, fields: SelectableFields) throws(StatusError) {
        try self.init(parsing: text)
        for index in terms.indices { terms[index].field = try fields.resolve(terms[index].field, kind: kind) }
    }

    package var isEverything: Bool { terms.isEmpty }

    /// The value that objects must have in a field, nil if the selector leaves it open: for choosing an index.
    package func requiredValue(of field: String) -> String? {
        terms.first { $0.field == field && !$0.isNegated }?.value
    }

    /// Whether an object is selected; the fields are read as ``SelectableFields/value(of:in:)`` says.
    package func matches(_ object: JSON) -> Bool {
        terms.allSatisfy { (SelectableFields.value(of: $0.field, in: object) == $0.value) != $0.isNegated }
    }

    package var description: String {
        terms.map { "\($0.field)\($0.isNegated ? "!=" : "=")\(Self.escape($0.value))" }.joined(separator: ",")
    }

    /// A value with the characters escaped that separate terms.
    package static func escape(_ value: String) -> String {
        var result = ""
        for character in value.unicodeScalars {
            if character == "\\" || character == "," || character == "=" { result.unicodeScalars.append("\\") }
            result.unicodeScalars.append(character)
        }
        return result
    }

    /// The parts between commas that no backslash escapes.
    private static func split(_ text: String) -> [Substring.UnicodeScalarView] {
        let scalars = text.unicodeScalars
        var parts: [Substring.UnicodeScalarView] = []
        var start = scalars.startIndex
        var isEscaped = false
        for index in scalars.indices {
            if isEscaped {
                isEscaped = false
            } else if scalars[index] == "\\" {
                isEscaped = true
            } else if scalars[index] == "," {
                parts.append(scalars[start..<index])
                start = scalars.index(after: index)
            }
        }
        parts.append(scalars[start...])
        return parts
    }

    private static func parseTerm(_ part: Substring.UnicodeScalarView) throws(StatusError) -> Term {
        guard let (position, length, isNegated) = findOperator(part) else {
            throw .badRequest("invalid selector: '\(Substring(part))'; can't understand '\(Substring(part))'")
        }
        let field = String(Substring(part[..<position]))
        let value = part[part.index(position, offsetBy: length)...]
        return Term(field, try unescape(value), isNegated: isNegated)
    }

    /// The first of `!=`, `==` and `=`.
    private static func findOperator(
        _ part: Substring.UnicodeScalarView
    ) -> (position: Substring.UnicodeScalarView.Index, length: Int, isNegated: Bool)? {
        for index in part.indices {
            let next = part.index(after: index)
            let isFollowedByEquals = next < part.endIndex && part[next] == "="
            if part[index] == "!", isFollowedByEquals { return (index, 2, true) }
            if part[index] == "=" { return (index, isFollowedByEquals ? 2 : 1, false) }
        }
        return nil
    }

    private static func unescape(_ value: Substring.UnicodeScalarView) throws(StatusError) -> String {
        var result = String.UnicodeScalarView()
        var isEscaped = false
        for scalar in value {
            if isEscaped {
                guard scalar == "\\" || scalar == "," || scalar == "=" else {
                    throw .badRequest("invalid field selector: invalid escape sequence: \\\(scalar)")
                }
                result.append(scalar)
                isEscaped = false
            } else if scalar == "\\" {
                isEscaped = true
            } else if scalar == "," || scalar == "=" {
                throw .badRequest("invalid field selector: unescaped character in value: \(scalar.value)")
            } else {
                result.append(scalar)
            }
        }
        if isEscaped { throw .badRequest("invalid field selector: invalid escape sequence: \\") }
        return String(result)
    }
}
