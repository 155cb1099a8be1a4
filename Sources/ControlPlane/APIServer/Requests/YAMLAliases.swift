// SPDX-License-Identifier: Apache-2.0

import KubeAPI

/// Bounds what the aliases of a YAML text may come to, before the text is composed.
///
/// The composer puts the anchored node in each alias' place, so that few bytes become any number of nodes, nested in each
/// other as deep as there are anchors. Upstream's decoder counts while it decodes (`allowedAliasRatio` in go-yaml); the
/// composer used here cannot be stopped, so the bound is reckoned from the text: what looks like an anchor or alias but
/// is not, in a string say, counts too.
enum YAMLAliases {
    /// The most bytes that a text may grow to in the worst case, by far more than manifests with shared parts need.
    private static let maximumExpansion = 2_000_000.0

    /// - Throws: `BadRequest`, in upstream's words, for a text whose aliases may come to more.
    static func check(_ text: String) throws(StatusError) {
        let marks = marks(in: Array(text.utf8))
        var defined: Set<[UInt8]> = []
        var used: Set<[UInt8]> = []
        var aliases = 0
        for mark in marks {
            guard mark.isAlias else {
                defined.insert(mark.name)
                continue
            }
            // One of an unknown anchor is an error, which the composer finds.
            guard defined.contains(mark.name) else { continue }
            used.insert(mark.name)
            aliases += 1
        }
        let anchors = marks.count { !$0.isAlias && used.contains($0.name) }
        guard isAcceptable(anchors: anchors, aliases: aliases, bytes: text.utf8.count) else {
            throw .badRequest("error converting YAML to JSON: yaml: document contains excessive aliasing")
        }
    }

    /// A node with n aliases is at most n + 1 times as large as the largest anchored node before it. That multiplies the
    /// most when the aliases are spread evenly: over all anchored nodes but the first, which can have none, and the rest.
    static func isAcceptable(anchors: Int, aliases: Int, bytes: Int) -> Bool {
        guard aliases > 0 else { return true }
        let groups = min(max(anchors, 1), aliases)
        let growth = 1 + Double(aliases) / Double(groups)
        var size = Double(bytes)
        for _ in 0..<groups {
            size *= growth
            if size > maximumExpansion { return false }
        }
        return true
    }

    private struct Mark {
        var isAlias: Bool
        var name: [UInt8]
    }

    /// All places where the scanner could see an anchor or an alias, and some where it does not.
    private static func marks(in bytes: [UInt8]) -> [Mark] {
        var marks: [Mark] = []
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "&") || byte == UInt8(ascii: "*") {
            if index > 0, !isBoundary(bytes[index - 1], precedingIndicators) { continue }
            let name = bytes[(index + 1)...].prefix(while: isName)
            guard !name.isEmpty else { continue }
            if name.endIndex < bytes.count, !isBoundary(bytes[name.endIndex], followingIndicators) { continue }
            marks.append(Mark(isAlias: byte == UInt8(ascii: "*"), name: Array(name)))
        }
        return marks
    }

    private static let precedingIndicators = Array("-?:,[]{}\"'".utf8)
    private static let followingIndicators = Array("?:,]}%@`".utf8)

    /// White space and control characters, what may be a line break beyond ASCII, or one of the indicators.
    private static func isBoundary(_ byte: UInt8, _ indicators: [UInt8]) -> Bool {
        byte <= 0x20 || byte >= 0x80 || indicators.contains(byte)
    }

    private static func isName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
