// SPDX-License-Identifier: Apache-2.0

/// Reads the text form of a label selector, after the grammar of k8s.io/apimachinery/pkg/labels:
///
///     selector    = requirement *( "," requirement )
///     requirement = [ "!" ] key [ set | exact ]
///     set         = ( "in" | "notin" ) "(" values ")"
///     exact       = ( "=" | "==" | "!=" | "<" | ">" ) [ value ]
struct LabelSelectorParser {
    private enum Token: Equatable {
        case end, identifier, comma, open, close, not, `in`, notIn, equals, doubleEquals, notEquals, greater, less
        case error
    }

    private var items: [(token: Token, text: String)] = []
    private var position = 0

    init(_ text: String) {
        var lexer = Lexer(text)
        while let item = lexer.next() { items.append(item) }
    }

    mutating func parse() throws(StatusError) -> [LabelSelector.Requirement] {
        var requirements: [LabelSelector.Requirement] = []
        while true {
            let (token, text) = lookAhead()
            switch token {
            case .identifier, .not:
                do {
                    requirements.append(try parseRequirement())
                } catch {
                    throw .badRequest("unable to parse requirement: \(error.message)")
                }
                let (separator, found) = consume()
                if separator == .end { return requirements }
                guard separator == .comma else {
                    throw .badRequest("found '\(found)', expected: ',' or 'end of string'")
                }
                let (following, next) = lookAhead()
                guard following == .identifier || following == .not else {
                    throw .badRequest("found '\(next)', expected: identifier after ','")
                }
            case .end: return requirements
            default: throw .badRequest("found '\(text)', expected: !, identifier, or 'end of string'")
            }
        }
    }

    private mutating func parseRequirement() throws(StatusError) -> LabelSelector.Requirement {
        var (token, key) = consume()
        let isNegated = token == .not
        if isNegated { (token, key) = consume() }
        guard token == .identifier else { throw .badRequest("found '\(key)', expected: identifier") }
        let problems = LabelSyntax.problems(inKey: key)
        guard problems.isEmpty else {
            // Upstream has no path here, and says so.
            throw .badRequest("<nil>: Invalid value: \(goQuoted(key)): \(problems.joined(separator: "; "))")
        }
        let following = lookAhead().token
        if isNegated { return try .init(key, .doesNotExist, []) }
        if following == .end || following == .comma { return try .init(key, .exists, []) }
        let comparison = try parseOperator()
        switch comparison {
        case .in, .notIn: return try .init(key, comparison, try parseValues())
        default: return try .init(key, comparison, [try parseExactValue()])
        }
    }

    private mutating func parseOperator() throws(StatusError) -> LabelSelector.Requirement.Operator {
        // Between key and value, `in` and `notin` are keywords.
        let (token, text) = consume(keywords: true)
        switch token {
        case .in: return .in
        case .notIn: return .notIn
        case .equals: return .equals
        case .doubleEquals: return .doubleEquals
        case .notEquals: return .notEquals
        case .greater: return .greaterThan
        case .less: return .lessThan
        default: throw .badRequest("found '\(text)', expected: in, notin, =, ==, !=, gt, lt")
        }
    }

    private mutating func parseValues() throws(StatusError) -> [String] {
        let (opening, text) = consume()
        guard opening == .open else { throw .badRequest("found '\(text)' expected: '('") }
        let (token, found) = lookAhead()
        switch token {
        case .close:
            _ = consume()
            return []
        case .identifier, .comma:
            let values = try parseIdentifiers()
            guard consume().token == .close else { throw .badRequest("found '\(found)', expected: ')'") }
            return values
        default: throw .badRequest("found '\(found)', expected: ',', ')' or identifier")
        }
    }

    /// Names between commas; nothing before or after a comma stands for the empty value.
    private mutating func parseIdentifiers() throws(StatusError) -> [String] {
        var values: [String] = []
        while true {
            let (token, text) = consume()
            switch token {
            case .identifier:
                values.append(text)
                let (following, next) = lookAhead()
                if following == .close { return values }
                guard following == .comma else { throw .badRequest("found '\(next)', expected: ',' or ')'") }
            case .comma:
                if values.isEmpty { values.append("") }
                let following = lookAhead().token
                if following == .close || following == .comma { values.append("") }
                if following == .close { return values }
                if following == .comma { _ = consume() }
            default: throw .badRequest("found '\(text)', expected: ',', or identifier")
            }
        }
    }

    private mutating func parseExactValue() throws(StatusError) -> String {
        let following = lookAhead().token
        if following == .end || following == .comma { return "" }
        let (token, text) = consume()
        guard token == .identifier else { throw .badRequest("found '\(text)', expected: identifier") }
        return text
    }

    private func lookAhead(keywords: Bool = false) -> (token: Token, text: String) {
        guard position < items.count else { return (.end, "") }
        let item = items[position]
        if !keywords, item.token == .in || item.token == .notIn { return (.identifier, item.text) }
        return item
    }

    private mutating func consume(keywords: Bool = false) -> (token: Token, text: String) {
        let item = lookAhead(keywords: keywords)
        position += 1
        return item
    }

    private struct Lexer {
        private let bytes: [UInt8]
        private var position = 0

        init(_ text: String) { bytes = Array(text.utf8) }

        mutating func next() -> (token: Token, text: String)? {
            while position < bytes.count, Self.isSpace(bytes[position]) { position += 1 }
            guard position < bytes.count else { return nil }
            return Self.isSpecial(bytes[position]) ? symbol() : identifier()
        }

        private mutating func identifier() -> (token: Token, text: String) {
            let start = position
            while position < bytes.count, !Self.isSpace(bytes[position]), !Self.isSpecial(bytes[position]) {
                position += 1
            }
            let text = String(decoding: bytes[start..<position], as: UTF8.self)
            switch text {
            case "in": return (.in, text)
            case "notin": return (.notIn, text)
            default: return (.identifier, text)
            }
        }

        /// The longest operator that begins here.
        private mutating func symbol() -> (token: Token, text: String) {
            let start = position
            var found = Token.error
            while position < bytes.count, Self.isSpecial(bytes[position]) {
                let candidate = Self.token(bytes[start...position])
                if let candidate { found = candidate } else if found != .error { break }
                position += 1
            }
            return (found, String(decoding: bytes[start..<position], as: UTF8.self))
        }

        private static func token(_ bytes: ArraySlice<UInt8>) -> Token? {
            switch String(decoding: bytes, as: UTF8.self) {
            case ")": .close
            case ",": .comma
            case "!": .not
            case "==": .doubleEquals
            case "=": .equals
            case ">": .greater
            case "<": .less
            case "!=": .notEquals
            case "(": .open
            default: nil
            }
        }

        private static func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0D].contains(byte) }
        private static func isSpecial(_ byte: UInt8) -> Bool { "=!(),><".utf8.contains(byte) }
    }
}
