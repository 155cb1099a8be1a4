// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// What extension headers (pax `x`, GNU `L` and `K`) say about the member after them.
struct TarOverrides {
    private var path: String?
    private var linkTarget: String?
    private var size: UInt64?
    private var owner: UInt32?
    private var group: UInt32?
    private var modified: FileTime?
    private var attributes: [String: [UInt8]] = [:]
    private var isSparse = false
    /// Whether an extension header still waits for its member.
    private(set) var isPending = false

    init() {}

    /// Takes over the content of an extension header of type `x`, `g`, `L` or `K`.
    mutating func apply(_ type: UInt8, _ content: [UInt8]) throws {
        switch type {
        case UInt8(ascii: "L"):
            path = Self.text(content)
            isPending = true
        case UInt8(ascii: "K"):
            linkTarget = Self.text(content)
            isPending = true
        case UInt8(ascii: "x"):
            try applyRecords(content)
            isPending = true
        // Global records ('g') are comments in practice (git archive); upstream ignores them too.
        default: break
        }
    }

    /// Puts what was collected in place of the header's own fields.
    func override(_ entry: inout TarEntry) throws {
        guard !isSparse, entry.kind != .unknown(UInt8(ascii: "S")) else {
            throw ImageError(
                .unsupported, "", "\"\(entry.path)\" is a sparse tar member",
                remedy: "rebuild the image with a tool that writes files in full")
        }
        if let path {
            entry.path = path
            if path.hasSuffix("/"), entry.kind == .regular { entry.kind = .directory }
        }
        if let linkTarget { entry.linkTarget = linkTarget }
        if let size { entry.size = size }
        if let owner { entry.owner = owner }
        if let group { entry.group = group }
        if let modified { entry.modified = modified }
        entry.attributes = attributes.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: $0.value) }
    }

    /// Records of the form `LENGTH KEY=VALUE\n`, the length counting all of it.
    private mutating func applyRecords(_ content: [UInt8]) throws {
        var rest = content[...]
        while !rest.isEmpty {
            guard let blank = rest.firstIndex(of: 0x20),
                let length = Int(String(decoding: rest[..<blank], as: UTF8.self)),
                length > blank - rest.startIndex + 1, length <= rest.count
            else { throw TarParser.broken("a pax header has a broken record") }
            let end = rest.startIndex + length
            let record = rest[(blank + 1)..<(end - 1)]
            guard rest[end - 1] == 0x0A, let equals = record.firstIndex(of: UInt8(ascii: "=")), equals > blank + 1
            else {
                throw TarParser.broken("a pax header has a broken record")
            }
            let key = String(decoding: record[..<equals], as: UTF8.self)
            try apply(key, Array(record[(equals + 1)...]))
            rest = rest[end...]
        }
    }

    private mutating func apply(_ key: String, _ value: [UInt8]) throws {
        let attributePrefix = "SCHILY.xattr."
        if key.hasPrefix(attributePrefix) {
            attributes[String(key.dropFirst(attributePrefix.count))] = value
            return
        }
        if key.hasPrefix("GNU.sparse.") { isSparse = true }
        let text = String(decoding: value, as: UTF8.self)
        // An empty value takes an earlier record back.
        let isEmpty = text.isEmpty
        switch key {
        case "path": path = isEmpty ? nil : text
        case "linkpath": linkTarget = isEmpty ? nil : text
        case "size": size = isEmpty ? nil : try Self.number(text, key)
        case "uid": owner = isEmpty ? nil : try Self.number(text, key)
        case "gid": group = isEmpty ? nil : try Self.number(text, key)
        case "mtime": modified = isEmpty ? nil : try Self.time(text)
        default: break
        }
    }

    private static func number<Value: FixedWidthInteger>(_ text: String, _ key: String) throws -> Value {
        guard let value = Value(text) else { throw TarParser.broken("a pax header has a broken \(key), \"\(text)\"") }
        return value
    }

    /// Seconds with an optional fraction, `1700000000.25`.
    private static func time(_ text: String) throws -> FileTime {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let seconds = Int64(first) else {
            throw TarParser.broken("a pax header has a broken mtime, \"\(text)\"")
        }
        guard parts.count == 2 else { return FileTime(seconds: seconds) }
        let digits = parts[1].prefix(9)
        guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let fraction = Int64(digits + String(repeating: "0", count: 9 - digits.count))
        else { throw TarParser.broken("a pax header has a broken mtime, \"\(text)\"") }
        guard text.hasPrefix("-"), fraction > 0 else { return FileTime(seconds: seconds, nanoseconds: fraction) }
        return FileTime(seconds: seconds - 1, nanoseconds: 1_000_000_000 - fraction)
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
}
