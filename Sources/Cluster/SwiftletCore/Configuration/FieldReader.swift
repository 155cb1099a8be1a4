// SPDX-License-Identifier: Apache-2.0

import JSON

/// Reads the fields of a mapping and refuses those that nobody asked for.
struct FieldReader {
    private let object: JSONObject
    private let path: String
    private var known: [String] = []

    /// - Throws: ``ConfigurationError`` unless `json` is a mapping.
    init(_ json: JSON, path: String) throws {
        guard let object = json.object else {
            throw ConfigurationError(field: path, reason: "must be a mapping, not a \(json.typeName)")
        }
        self.object = object
        self.path = path
    }

    private func field(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    private mutating func value(_ name: String) -> JSON? {
        known.append(name)
        guard let value = object[name], !value.isNull else { return nil }
        return value
    }

    private func mismatch(_ name: String, _ wanted: String, _ value: JSON) -> ConfigurationError {
        ConfigurationError(field: field(name), reason: "must be \(wanted), not \(value.text())")
    }

    mutating func string(_ name: String, _ target: inout String) throws {
        guard let value = value(name) else { return }
        guard let string = value.string else { throw mismatch(name, "a string", value) }
        target = string
    }

    /// An absolute path.
    mutating func path(_ name: String, _ target: inout String) throws {
        try string(name, &target)
        guard target.hasPrefix("/") else {
            throw ConfigurationError(field: field(name), reason: "\"\(target)\" must be an absolute path")
        }
        while target.count > 1, target.hasSuffix("/") { target.removeLast() }
    }

    mutating func integer(_ name: String, _ target: inout Int, in range: ClosedRange<Int>) throws {
        guard let value = value(name) else { return }
        guard let integer = value.int, range.contains(integer) else {
            throw mismatch(name, "a number from \(range.lowerBound) to \(range.upperBound)", value)
        }
        target = integer
    }

    /// A time as Go writes it: `30s`, `1m30s`, `2h`; 0 needs no unit.
    mutating func duration(_ name: String, _ target: inout Duration, upTo limit: Duration) throws {
        guard let value = value(name) else { return }
        let text = value.string ?? value.int.map(String.init) ?? ""
        guard let duration = Duration(goText: text), duration <= limit else {
            throw mismatch(
                name, "a time such as 30s or 1m30s, and not more than \(limit.components.seconds)s", value)
        }
        target = duration
    }

    /// One of some words.
    mutating func choice<Choice: RawRepresentable & CaseIterable>(
        _ name: String, _ target: inout Choice
    ) throws where Choice.RawValue == String {
        guard let value = value(name) else { return }
        guard let choice = value.string.flatMap({ Choice(rawValue: $0) }) else {
            throw mismatch(name, "one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))", value)
        }
        target = choice
    }

    mutating func flag(_ name: String, _ target: inout Bool) throws {
        guard let value = value(name) else { return }
        guard let flag = value.bool else { throw mismatch(name, "true or false", value) }
        target = flag
    }

    mutating func list(_ name: String, _ body: (_ text: String, _ field: String) throws -> Void) throws {
        guard let value = value(name) else { return }
        guard let elements = value.array else { throw mismatch(name, "a list", value) }
        for (index, element) in elements.enumerated() {
            let place = "\(field(name))[\(index)]"
            guard let text = element.string else {
                throw ConfigurationError(field: place, reason: "must be a string, not \(element.text())")
            }
            try body(text, place)
        }
    }

    /// A mapping of known fields.
    mutating func section(_ name: String, _ body: (inout FieldReader) throws -> Void) throws {
        guard let value = value(name) else { return }
        var reader = try FieldReader(value, path: field(name))
        try body(&reader)
        try reader.finish()
    }

    /// A mapping whose keys are the user's and whose values are mappings.
    mutating func map(_ name: String, _ body: (_ key: String, inout FieldReader) throws -> Void) throws {
        guard let value = value(name) else { return }
        guard let object = value.object else { throw mismatch(name, "a mapping", value) }
        for (key, entry) in object {
            var reader = try FieldReader(entry, path: "\(field(name)).\(key)")
            try body(key, &reader)
            try reader.finish()
        }
    }

    /// Refuses fields that were not read.
    func finish() throws {
        guard let unknown = object.keys.first(where: { !known.contains($0) }) else { return }
        throw ConfigurationError(
            field: field(unknown), reason: "unknown field; known here: \(known.sorted().joined(separator: ", "))")
    }
}

extension Duration {
    /// Reads whole hours, minutes and seconds, the largest first; nil for anything else.
    init?(goText text: String) {
        if text == "0" {
            self = .zero
            return
        }
        var seconds: Int64 = 0
        var number: Int64?
        var units = Substring("hms")
        for character in text {
            if let digit = character.wholeNumberValue, character.isASCII {
                let (product, isTooLarge) = (number ?? 0).multipliedReportingOverflow(by: 10)
                guard !isTooLarge, product <= 1 << 40 else { return nil }
                number = product + Int64(digit)
                continue
            }
            guard let amount = number, let place = units.firstIndex(of: character) else { return nil }
            units = units[units.index(after: place)...]
            number = nil
            seconds += amount * (character == "h" ? 3600 : character == "m" ? 60 : 1)
        }
        guard number == nil, !text.isEmpty else { return nil }
        self = .seconds(seconds)
    }
}
