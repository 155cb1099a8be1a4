// SPDX-License-Identifier: Apache-2.0

/// One line of a container's log file, in the form that the CRI defines:
/// `2026-01-02T03:04:05.678901234Z stdout F text`.
package struct LogLine: Hashable, Sendable {
    package enum Stream: Hashable, Sendable {
        case stdout, stderr
    }

    /// RFC 3339 with nanoseconds, as written.
    package var timestamp: String
    package var stream: Stream
    /// Whether the container's line goes on in the next one of the same stream.
    package var isPartial: Bool
    /// The text; it ends with a line feed unless it is partial.
    package var text: [UInt8]

    /// Reads a line without its final line feed; nil if it is not of that form.
    package init?(parsing line: ArraySlice<UInt8>) {
        let space = UInt8(ascii: " ")
        guard let first = line.firstIndex(of: space), let second = line[(first + 1)...].firstIndex(of: space) else {
            return nil
        }
        let third = line[(second + 1)...].firstIndex(of: space) ?? line.endIndex
        switch String(decoding: line[(first + 1)..<second], as: UTF8.self) {
        case "stdout": stream = .stdout
        case "stderr": stream = .stderr
        default: return nil
        }
        // Tags may follow the first one after a colon.
        switch line[(second + 1)..<third].first {
        case UInt8(ascii: "F"): isPartial = false
        case UInt8(ascii: "P"): isPartial = true
        default: return nil
        }
        timestamp = String(decoding: line[..<first], as: UTF8.self)
        text = third < line.endIndex ? Array(line[(third + 1)...]) : []
        if !isPartial { text.append(UInt8(ascii: "\n")) }
    }
}

/// Which lines a reader of a log wants (core/v1 PodLogOptions).
package struct LogOptions: Hashable, Sendable {
    /// At most so many lines from the end; nil for all.
    package var tailLines: Int?
    /// Only lines not older than this, nanoseconds since 1970.
    package var sinceNanoseconds: Int64?
    /// Whether each line begins with its time.
    package var timestamps = false
    /// At most so many bytes.
    package var limitBytes: Int?
    /// Whether to wait for more until the container ends.
    package var follow = false
    /// Nil for both streams.
    package var stream: LogLine.Stream?

    package init() {}
}

/// Turns the bytes of a log file into what a reader sees; no I/O.
package struct LogFormatter: Sendable {
    private let options: LogOptions
    private let parseTime: @Sendable (String) -> Int64?
    private var rest: [UInt8] = []
    private var remaining: Int?
    private var isPastSince: Bool
    /// The stream whose line is unfinished: no second time stamp in the middle of a line.
    private var open: Set<LogLine.Stream> = []
    /// Whether the limit of bytes is used up.
    package private(set) var isExhausted = false

    /// - Parameter parseTime: Nanoseconds since 1970 of an RFC 3339 text.
    package init(_ options: LogOptions, parseTime: @escaping @Sendable (String) -> Int64?) {
        self.options = options
        self.parseTime = parseTime
        remaining = options.limitBytes
        isPastSince = options.sinceNanoseconds == nil
    }

    /// Takes in bytes of the file and gives what is to be sent.
    package mutating func feed(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        rest.append(contentsOf: bytes)
        var output: [UInt8] = []
        var start = 0
        while !isExhausted, let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
            if let line = LogLine(parsing: rest[start..<end]) { append(line, to: &output) }
            start = end + 1
        }
        rest.removeFirst(start)
        return output
    }

    private mutating func append(_ line: LogLine, to output: inout [UInt8]) {
        if let wanted = options.stream, wanted != line.stream { return }
        if !isPastSince, let since = options.sinceNanoseconds {
            guard let time = parseTime(line.timestamp), time >= since else { return }
            isPastSince = true
        }
        var bytes = line.text
        if options.timestamps, !open.contains(line.stream) { bytes = Array("\(line.timestamp) ".utf8) + bytes }
        if line.isPartial { open.insert(line.stream) } else { open.remove(line.stream) }
        guard let left = remaining else {
            output += bytes
            return
        }
        output += bytes.prefix(left)
        remaining = max(0, left - bytes.count)
        isExhausted = remaining == 0
    }
}
