// SPDX-License-Identifier: Apache-2.0

/// Values that are known to be secret, found wherever they stand in a text.
struct KnownSecrets: Sendable {
    /// Shorter values are words of ordinary texts too often.
    static let shortest = 6
    /// Longer values are files, and look random.
    private static let longest = 64 << 10
    /// Up to this length a value must have letters and digits to count.
    private static let suspiciouslyShort = 8
    /// Values that are kept at most; who has more has a cluster that no board runs.
    private static let limit = 20_000
    /// What a window of ``shortest`` bytes keeps of older ones.
    private static let windowMask: UInt64 = (1 << 48) - 1

    /// The values by their first bytes, the longest first.
    private var byPrefix: [UInt64: [[UInt8]]] = [:]
    private var count = 0

    /// Adds a value; of one with several lines each line.
    mutating func add(_ value: some Sequence<UInt8>) {
        for line in Array(value).split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
            addLine(Array(line))
        }
    }

    private mutating func addLine(_ line: [UInt8]) {
        guard (Self.shortest...Self.longest).contains(line.count), count < Self.limit, Self.isTelling(line) else {
            return
        }
        let key = line.prefix(Self.shortest).reduce(0) { $0 << 8 | UInt64($1) }
        var values = byPrefix[key] ?? []
        guard !values.contains(line) else { return }
        values.append(line)
        values.sort { $0.count > $1.count }
        byPrefix[key] = values
        count += 1
    }

    /// Whether a value is no part of everyday texts, such as `true` or `-----BEGIN CERTIFICATE-----`.
    private static func isTelling(_ line: [UInt8]) -> Bool {
        if line.starts(with: "-----".utf8) { return false }
        if line.count > suspiciouslyShort { return true }
        return line.contains { (0x30...0x39).contains($0) } && line.contains { !(0x30...0x39).contains($0) }
    }

    /// Where values stand in a text, in order and without overlaps.
    func ranges(in text: [UInt8]) -> [Range<Int>] {
        guard !byPrefix.isEmpty, text.count >= Self.shortest else { return [] }
        var result: [Range<Int>] = []
        var end = 0
        var window: UInt64 = 0
        var index = 0
        while index < text.count {
            window = (window << 8 | UInt64(text[index])) & Self.windowMask
            index += 1
            let start = index - Self.shortest
            guard start >= end, let values = byPrefix[window],
                let value = values.first(where: { text[start...].starts(with: $0) })
            else { continue }
            end = start + value.count
            result.append(start..<end)
            index = end
        }
        return result
    }
}
