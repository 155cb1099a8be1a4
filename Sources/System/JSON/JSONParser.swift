// SPDX-License-Identifier: Apache-2.0

extension JSON {
    /// What the parser accepts and reports.
    package struct ParseOptions: Sendable {
        /// Arrays and objects within one another; deeper texts are refused, so that no input can exhaust the stack.
        package var maximumDepth = 512
        /// Whether duplicate object members are collected (at most ``maximumDuplicates``).
        package var reportsDuplicates = false
        /// How many duplicate members are reported.
        package var maximumDuplicates = 100

        package init() {}
    }

    /// A member whose key its object has already.
    package struct DuplicateMember: Sendable, Hashable {
        /// The path of the object, `spec.containers[0]`; empty for the whole text.
        package let parent: String
        package let key: String
        /// How many different members of the object come before it.
        package let position: Int

        /// `spec.containers[0].image`
        package var path: String { parent.isEmpty ? key : "\(parent).\(key)" }
    }

    /// Parses one JSON text; of duplicate members the last wins.
    package static func parse(_ text: String) throws(JSONError) -> JSON {
        try parse(Array(text.utf8))
    }

    /// Parses one JSON text; of duplicate members the last wins.
    package static func parse(_ bytes: [UInt8], options: ParseOptions = .init()) throws(JSONError) -> JSON {
        var duplicates: [DuplicateMember] = []
        return try parse(bytes, options: options, duplicates: &duplicates)
    }

    /// Parses one JSON text and appends its duplicate members to `duplicates`, in their order.
    package static func parse(
        _ bytes: [UInt8], options: ParseOptions, duplicates: inout [DuplicateMember]
    ) throws(JSONError) -> JSON {
        var found: [DuplicateMember] = []
        let result = bytes.withUnsafeBytes { buffer -> Result<JSON, JSONError> in
            var parser = JSONParser(buffer, options: options)
            do throws(JSONError) {
                let value = try parser.parseText()
                found = parser.duplicates
                return .success(value)
            } catch {
                return .failure(error)
            }
        }
        duplicates += found
        return try result.get()
    }

    /// Parses the JSON text in a buffer, which is only read during the call.
    package static func parse(
        _ buffer: UnsafeRawBufferPointer, options: ParseOptions = .init()
    ) throws(JSONError) -> JSON {
        var parser = JSONParser(buffer, options: options)
        return try parser.parseText()
    }
}

/// A recursive-descent parser over a byte buffer that outlives it.
struct JSONParser {
    private let input: UnsafeRawBufferPointer
    private let options: JSON.ParseOptions
    private var position = 0
    private var depth = 0
    private var path: [PathElement] = []
    private(set) var duplicates: [JSON.DuplicateMember] = []

    private enum PathElement {
        case key(String)
        case index(Int)
    }

    init(_ input: UnsafeRawBufferPointer, options: JSON.ParseOptions) {
        self.input = input
        self.options = options
    }

    /// Parses the whole input as one value with nothing but white space around it.
    mutating func parseText() throws(JSONError) -> JSON {
        skipWhiteSpace()
        let value = try parseValue()
        skipWhiteSpace()
        guard position == input.count else { throw unexpected("after top-level value") }
        return value
    }

    private mutating func parseValue() throws(JSONError) -> JSON {
        guard position < input.count else { throw error("unexpected end of JSON input") }
        switch input[position] {
        case UInt8(ascii: "{"): return try parseObject()
        case UInt8(ascii: "["): return try parseArray()
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"): return try parseLiteral("true", .bool(true))
        case UInt8(ascii: "f"): return try parseLiteral("false", .bool(false))
        case UInt8(ascii: "n"): return try parseLiteral("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
        default: throw unexpected("looking for beginning of value")
        }
    }

    private mutating func skipWhiteSpace() {
        while position < input.count {
            switch input[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    private mutating func parseLiteral(_ text: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        for offset in 0..<text.utf8CodeUnitCount {
            guard position < input.count else { throw error("unexpected end of JSON input") }
            guard input[position] == text.utf8Start[offset] else { throw unexpected("in literal \(text)") }
            position += 1
        }
        return value
    }

    // MARK: Arrays and objects

    private mutating func enter() throws(JSONError) {
        depth += 1
        position += 1
        if depth > options.maximumDepth { throw error("exceeded max depth of \(options.maximumDepth)") }
        skipWhiteSpace()
    }

    private mutating func parseArray() throws(JSONError) -> JSON {
        try enter()
        defer { depth -= 1 }
        var elements: [JSON] = []
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            if options.reportsDuplicates { path.append(.index(elements.count)) }
            elements.append(try parseValue())
            if options.reportsDuplicates { path.removeLast() }
            skipWhiteSpace()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw unexpected("after array element") }
            skipWhiteSpace()
        }
    }

    private mutating func parseObject() throws(JSONError) -> JSON {
        try enter()
        defer { depth -= 1 }
        var object = JSONObject()
        if take(UInt8(ascii: "}")) { return .object(object) }
        while true {
            guard position < input.count, input[position] == UInt8(ascii: "\"") else {
                throw unexpected("looking for beginning of object key string")
            }
            let key = try parseString()
            skipWhiteSpace()
            guard take(UInt8(ascii: ":")) else { throw unexpected("after object key") }
            skipWhiteSpace()
            if options.reportsDuplicates {
                if object.contains(key), duplicates.count < options.maximumDuplicates {
                    duplicates.append(.init(parent: pathText, key: key, position: object.count))
                }
                path.append(.key(key))
            }
            let value = try parseValue()
            if options.reportsDuplicates { path.removeLast() }
            object[key] = value
            skipWhiteSpace()
            if take(UInt8(ascii: "}")) { return .object(object) }
            guard take(UInt8(ascii: ",")) else { throw unexpected("after object key:value pair") }
            skipWhiteSpace()
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < input.count, input[position] == byte else { return false }
        position += 1
        return true
    }

    // MARK: Strings

    private mutating func parseString() throws(JSONError) -> String {
        position += 1
        let start = position
        var isASCII: UInt8 = 0
        while position < input.count {
            let byte = input[position]
            if byte == UInt8(ascii: "\"") {
                defer { position += 1 }
                return try makeString(start..<position, isASCII: isASCII < 0x80)
            }
            if byte == UInt8(ascii: "\\") { return try parseEscapedString(from: start) }
            if byte < 0x20 { throw unexpected("in string literal") }
            isASCII |= byte
            position += 1
        }
        throw error("unexpected end of JSON input")
    }

    private func makeString(_ range: Range<Int>, isASCII: Bool) throws(JSONError) -> String {
        let bytes = UnsafeRawBufferPointer(rebasing: input[range])
        if isASCII { return String(decoding: bytes, as: UTF8.self) }
        guard let string = String(validating: bytes, as: UTF8.self) else {
            throw error("invalid UTF-8 in string literal", at: range.lowerBound)
        }
        return string
    }

    private mutating func parseEscapedString(from start: Int) throws(JSONError) -> String {
        var bytes = Array(input[start..<position])
        while position < input.count {
            let byte = input[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                guard let string = String(validating: bytes, as: UTF8.self) else {
                    throw error("invalid UTF-8 in string literal", at: start)
                }
                return string
            case UInt8(ascii: "\\"):
                position += 1
                try parseEscape(into: &bytes)
            case 0..<0x20:
                throw unexpected("in string literal")
            default:
                bytes.append(byte)
                position += 1
            }
        }
        throw error("unexpected end of JSON input")
    }

    private mutating func parseEscape(into bytes: inout [UInt8]) throws(JSONError) {
        guard position < input.count else { throw error("unexpected end of JSON input") }
        switch input[position] {
        case UInt8(ascii: "\""): bytes.append(UInt8(ascii: "\""))
        case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
        case UInt8(ascii: "/"): bytes.append(UInt8(ascii: "/"))
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0C)
        case UInt8(ascii: "n"): bytes.append(0x0A)
        case UInt8(ascii: "r"): bytes.append(0x0D)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"):
            position += 1
            bytes.append(contentsOf: Array(String(Character(try parseUnicodeEscape())).utf8))
            return
        default: throw unexpected("in string escape code")
        }
        position += 1
    }

    /// The scalar of `\uXXXX` or of a surrogate pair; a lone surrogate becomes U+FFFD, as in Go.
    private mutating func parseUnicodeEscape() throws(JSONError) -> Unicode.Scalar {
        let first = try parseHexadecimal()
        if let scalar = Unicode.Scalar(first) { return scalar }
        let isLow = first >= 0xDC00
        guard !isLow, position + 1 < input.count, input[position] == UInt8(ascii: "\\"),
            input[position + 1] == UInt8(ascii: "u")
        else { return "\u{FFFD}" }
        let restart = position
        position += 2
        let second = try parseHexadecimal()
        guard (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
        else {
            position = restart
            return "\u{FFFD}"
        }
        return scalar
    }

    private mutating func parseHexadecimal() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard position < input.count else { throw error("unexpected end of JSON input") }
            let digit: UInt8
            switch input[position] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = input[position] - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = input[position] - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = input[position] - UInt8(ascii: "A") + 10
            default: throw unexpected("in \\u hexadecimal character escape")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    // MARK: Numbers

    private mutating func parseNumber() throws(JSONError) -> JSON {
        let start = position
        var isInteger = true
        if take(UInt8(ascii: "-")) {}
        if !take(UInt8(ascii: "0")) { try parseDigits() }
        if take(UInt8(ascii: ".")) {
            isInteger = false
            try parseDigits()
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isInteger = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try parseDigits()
        }
        let text = String(decoding: UnsafeRawBufferPointer(rebasing: input[start..<position]), as: UTF8.self)
        if isInteger, let integer = Int64(text) { return .int(integer) }
        guard let double = Double(text), double.isFinite else {
            throw error("number \(text) is out of range", at: start)
        }
        return .double(double)
    }

    private mutating func parseDigits() throws(JSONError) {
        let start = position
        while position < input.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(input[position]) {
            position += 1
        }
        if position == start { throw unexpected("in numeric literal") }
    }

    // MARK: Errors

    private func unexpected(_ context: String) -> JSONError {
        guard position < input.count else { return error("unexpected end of JSON input") }
        let byte = input[position]
        let isPrintable = (0x20..<0x7F).contains(byte)
        let shown = isPrintable ? "'\(Character(Unicode.Scalar(byte)))'" : "0x" + String(byte, radix: 16)
        return error("invalid character \(shown) \(context)")
    }

    private func error(_ reason: String, at offset: Int? = nil) -> JSONError {
        let offset = offset ?? position
        var line = 1
        var lineStart = 0
        for index in 0..<min(offset, input.count) where input[index] == 0x0A {
            line += 1
            lineStart = index + 1
        }
        return JSONError(reason: reason, offset: offset, line: line, column: offset - lineStart + 1)
    }

    private var pathText: String {
        var text = ""
        for element in path {
            switch element {
            case .key(let key): text += text.isEmpty ? key : ".\(key)"
            case .index(let index): text += "[\(index)]"
            }
        }
        return text
    }
}
