// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem

/// What is going to be in a support bundle: texts that were cleaned, none too long, and not too many.
struct BundleContents: Sendable {
    /// Bytes of one file; of a longer text the end is kept, for the newest is at the end of logs.
    static let standardFileLimit = 2 << 20
    /// Bytes of all files.
    static let standardTotalLimit = 24 << 20

    struct File: Sendable {
        let name: String
        let bytes: [UInt8]
    }

    let redaction: Redaction
    private(set) var files: [File] = []
    /// What is not in the bundle, and why.
    private(set) var omitted: [String] = []
    private var total = 0
    private let fileLimit: Int
    private let totalLimit: Int

    init(
        _ redaction: Redaction, fileLimit: Int = BundleContents.standardFileLimit,
        totalLimit: Int = BundleContents.standardTotalLimit
    ) {
        self.redaction = redaction
        self.fileLimit = fileLimit
        self.totalLimit = totalLimit
    }

    mutating func add(_ name: String, _ text: String) { add(name, Array(text.utf8)) }

    mutating func add(_ name: String, _ json: JSON) {
        append(name, Array(redaction.clean(json).text(indented: true).utf8))
    }

    mutating func add(_ name: String, _ text: [UInt8]) {
        guard total + min(text.count, fileLimit) <= totalLimit else { return omit(name, "the bundle is full") }
        append(name, redaction.clean(end(of: text)))
    }

    private mutating func append(_ name: String, _ bytes: [UInt8]) {
        guard total + bytes.count <= totalLimit else { return omit(name, "the bundle is full") }
        total += bytes.count
        files.append(File(name: name, bytes: bytes))
    }

    mutating func omit(_ name: String, _ reason: String) {
        omitted.append("\(name): \(redaction.clean(reason))")
    }

    /// Adds what a body makes; what goes wrong is noted, for a bundle is made when something is wrong.
    mutating func attempt(_ name: String, _ body: () throws -> String) {
        do { add(name, try body()) } catch { omit(name, "\(error)") }
    }

    /// The end of a text that is too long, from the beginning of a line on.
    private func end(of text: [UInt8]) -> [UInt8] {
        guard text.count > fileLimit else { return text }
        let rest = text.suffix(fileLimit)
        return Array(rest.firstIndex(of: UInt8(ascii: "\n")).map { rest[($0 + 1)...] } ?? rest)
    }
}
