// SPDX-License-Identifier: Apache-2.0

/// Cuts a watch's bytes into lines, one event each; it does no I/O.
struct LineFramer {
    /// A line was longer than the limit.
    struct TooLong: Error, Hashable {
        let limit: Int
    }

    private let limit: Int
    private var rest: [UInt8] = []

    init(limit: Int) { self.limit = limit }

    /// Takes bytes and returns the lines that are complete, without empty ones.
    mutating func receive(_ bytes: some Collection<UInt8>) throws(TooLong) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var start = bytes.startIndex
        while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            rest += bytes[start..<end]
            guard rest.count <= limit else { throw TooLong(limit: limit) }
            if !rest.isEmpty { lines.append(rest) }
            rest = []
            start = bytes.index(after: end)
        }
        rest += bytes[start...]
        guard rest.count <= limit else { throw TooLong(limit: limit) }
        return lines
    }
}
