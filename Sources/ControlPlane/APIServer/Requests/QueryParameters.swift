// SPDX-License-Identifier: Apache-2.0

import JSON
package import KubeAPI

/// A request's query, decoded (`application/x-www-form-urlencoded`).
package struct QueryParameters: Hashable, Sendable {
    private var items: [(name: String, value: String)] = []

    /// How many parameters are read; the rest is ignored.
    static let maximumCount = 256

    package init() {}

    /// Parses what follows the question mark.
    package init(_ text: some StringProtocol) {
        for pair in text.split(separator: "&").prefix(Self.maximumCount) {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = halves.first else { continue }
            items.append(
                (
                    PercentEncoding.decode(name, plusIsSpace: true),
                    halves.count > 1 ? PercentEncoding.decode(halves[1], plusIsSpace: true) : ""
                ))
        }
    }

    package var isEmpty: Bool { items.isEmpty }

    /// The first value of a parameter, nil where it is missing.
    package subscript(name: String) -> String? { items.first { $0.name == name }?.value }

    /// All values of a parameter.
    package func all(_ name: String) -> [String] { items.filter { $0.name == name }.map(\.value) }

    package func isTrue(_ name: String) -> Bool { Self.boolean(self[name]) }

    /// Upstream's reading of a Boolean parameter: present and neither `0` nor `false` (an empty value is true).
    private static func boolean(_ text: String?) -> Bool {
        guard let text else { return false }
        return text != "0" && text.lowercased() != "false"
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.items.elementsEqual(right.items) { $0.name == $1.name && $0.value == $1.value }
    }

    package func hash(into hasher: inout Hasher) {
        for item in items {
            hasher.combine(item.name)
            hasher.combine(item.value)
        }
    }
}

// MARK: - Options of the API verbs

extension QueryParameters {
    /// The ListOptions that these parameters spell out.
    ///
    /// - Throws: `Invalid` (422) for options that only a watch has; the registry checks the others.
    package func listOptions() throws(StatusError) -> ListOptions {
        if self["sendInitialEvents"] != nil {
            throw ListRules.invalid([
                ListRules.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
            ])
        }
        var options = ListOptions(
            labelSelector: self["labelSelector"] ?? "", fieldSelector: self["fieldSelector"] ?? "")
        options.limit = try integer("limit") ?? 0
        options.continueToken = self["continue"] ?? ""
        options.resourceVersion = self["resourceVersion"] ?? ""
        options.resourceVersionMatch = self["resourceVersionMatch"] ?? ""
        return options
    }

    /// The part of ListOptions that a watch reads.
    ///
    /// - Throws: `Invalid` (422) for options that do not go together.
    package func watchOptions() throws(StatusError) -> WatchOptions {
        try ListRules.checkWatch(
            match: self["resourceVersionMatch"] ?? "", hasInitialEvents: self["sendInitialEvents"] != nil,
            continueToken: self["continue"] ?? "")
        var options = WatchOptions(
            labelSelector: self["labelSelector"] ?? "", fieldSelector: self["fieldSelector"] ?? "",
            resourceVersion: self["resourceVersion"] ?? "")
        options.allowBookmarks = isTrue("allowWatchBookmarks")
        options.sendInitialEvents = self["sendInitialEvents"].map { _ in isTrue("sendInitialEvents") }
        options.timeoutSeconds = try seconds("timeoutSeconds")
        return options
    }

    /// The CreateOptions, UpdateOptions or PatchOptions; refuses values that upstream refuses.
    package func writeOptions(_ kind: String) throws(StatusError) -> WriteOptions {
        var options = WriteOptions(fieldManager: self["fieldManager"] ?? "")
        options.dryRun = try dryRun(kind)
        options.fieldValidation = self["fieldValidation"] ?? ""
        options.force = isTrue("force")
        let known = ["", "Ignore", "Warn", "Strict"]
        guard known.contains(options.fieldValidation) else {
            throw Self.invalidOptions(
                kind, "fieldValidation",
                "Unsupported value: \"\(options.fieldValidation)\": supported values: "
                    + "\"Ignore\", \"Strict\", \"Warn\"", reason: "FieldValueNotSupported")
        }
        guard options.fieldManager.unicodeScalars.count <= 128 else {
            throw Self.invalidOptions(
                kind, "fieldManager", "Invalid value: \"\(options.fieldManager)\": may not be more than 128 bytes",
                reason: "FieldValueTooLong")
        }
        return options
    }

    /// `dryRun` knows only the value `All`.
    func dryRun(_ kind: String) throws(StatusError) -> Bool {
        let values = all("dryRun").filter { !$0.isEmpty }
        for value in values where value != "All" {
            throw Self.invalidOptions(
                kind, "dryRun", "Unsupported value: \"\(value)\": supported values: \"All\"",
                reason: "FieldValueNotSupported")
        }
        return !values.isEmpty
    }

    /// An integer parameter; nil where it is missing or empty.
    func integer(_ name: String) throws(StatusError) -> Int? {
        guard let text = self[name], !text.isEmpty else { return nil }
        guard let value = Int(text) else {
            throw .badRequest("strconv.ParseInt: parsing \"\(text)\": invalid syntax")
        }
        return value
    }

    /// A number of seconds to reckon with, see `JSON.boundedInt`; nil where it is missing or empty.
    func seconds(_ name: String) throws(StatusError) -> Int? { try integer(name).flatMap { JSON($0).boundedInt } }

    private static func invalidOptions(
        _ kind: String, _ field: String, _ problem: String, reason: String
    ) -> StatusError {
        var details = StatusError.Details(group: "meta.k8s.io", kind: kind)
        details.causes = [.init(reason: reason, message: problem, field: field)]
        return StatusError(
            code: 422, reason: StatusError.Reason.invalid,
            message: "\(kind).meta.k8s.io \"\" is invalid: \(field): \(problem)", details: details)
    }
}

/// Percent-encoding of URLs (RFC 3986, section 2.1).
package enum PercentEncoding {
    /// Decodes `%XX`; malformed escapes stay as they are, and bytes that are not UTF-8 become U+FFFD.
    package static func decode(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String {
        let needsWork = text.utf8.contains { $0 == UInt8(ascii: "%") || (plusIsSpace && $0 == UInt8(ascii: "+")) }
        guard needsWork else { return String(text) }
        let input = Array(text.utf8)
        var output: [UInt8] = []
        output.reserveCapacity(input.count)
        var index = 0
        while index < input.count {
            let byte = input[index]
            if byte == UInt8(ascii: "%"), index + 2 < input.count, let high = digit(input[index + 1]),
                let low = digit(input[index + 2])
            {
                output.append(high << 4 | low)
                index += 3
                continue
            }
            output.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            index += 1
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// Encodes everything but the unreserved characters.
    static func encode(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var output: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                output.append(byte)
            default: output += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
