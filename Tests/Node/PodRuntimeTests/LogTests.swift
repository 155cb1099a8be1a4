// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import PodRuntime

@Suite("Container logs")
struct LogTests {
    static let first = "2026-01-02T03:04:05.000000001Z stdout F hello\n"
    static let partial = "2026-01-02T03:04:06.000000001Z stdout P wor\n2026-01-02T03:04:07.000000001Z stdout F ld\n"
    static let error = "2026-01-02T03:04:08.000000001Z stderr F oops\n"

    private func format(_ text: String, piece: Int = 1 << 20, _ configure: (inout LogOptions) -> Void = { _ in })
        -> String
    {
        var options = LogOptions()
        configure(&options)
        // The second within the minute is time enough here.
        var formatter = LogFormatter(options) { Int64($0.dropFirst(17).prefix(2)) }
        let bytes = Array(text.utf8)
        var output: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: piece) {
            output += formatter.feed(bytes[start..<min(start + piece, bytes.count)])
        }
        return String(decoding: output, as: UTF8.self)
    }

    @Test("lines and parts of lines are put together whatever the pieces", arguments: [1, 7, 50, 1000])
    func lines(piece: Int) {
        #expect(format(Self.first + Self.partial + Self.error, piece: piece) == "hello\nworld\noops\n")
    }

    @Test("time stamps stand at the beginning of lines only")
    func timestamps() {
        let text = format(Self.partial) { $0.timestamps = true }
        #expect(text == "2026-01-02T03:04:06.000000001Z world\n")
    }

    @Test("since, limit and stream")
    func filters() {
        let all = Self.first + Self.partial + Self.error
        #expect(format(all) { $0.sinceNanoseconds = 6 } == "world\noops\n")
        #expect(format(all) { $0.limitBytes = 8 } == "hello\nwo")
        #expect(format(all) { $0.stream = .stderr } == "oops\n")
    }

    @Test(
        "what is no log line is left out", arguments: ["", "x", "a b c d", "2026 stdout X text", "2026 stdin F text"])
    func malformed(line: String) {
        #expect(LogLine(parsing: Array(line.utf8)[...]) == nil)
    }

    @Test("empty lines are lines")
    func empty() {
        #expect(format("2026-01-02T03:04:05Z stdout F \n2026-01-02T03:04:05Z stdout F\n") == "\n\n")
    }

    @Test(
        "the last lines are found from the end",
        arguments: [(0, ""), (1, "three\n"), (2, "two\nthree\n"), (9, "one\ntwo\nthree\n")])
    func tail(lines: Int, text: String) throws {
        let path = "/tmp/kubelet-tail-\(Processes.current)-\(lines)"
        try Files.replace(path, with: Array("one\ntwo\nthree\n".utf8), durable: false)
        defer { _ = try? Files.remove(path) }
        let file = try FileDescriptor.open(path, .read)
        let offset = try LogTail.offset(of: lines, in: file, path)
        #expect(String(decoding: try file.bytes(at: offset, limit: 100, path), as: UTF8.self) == text)
    }
}
