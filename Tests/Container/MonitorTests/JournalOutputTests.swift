// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import Monitor

/// A socket in the place of journald's.
final class JournalReceiver {
    let path: String
    private let socket: FileDescriptor

    init(_ path: String = "/tmp/journal-\(UInt32.random(in: 0...UInt32.max))") throws {
        self.path = path
        socket = try Sockets.listen(at: path, kind: .datagrams)
        try socket.setNonBlocking(true)
    }

    deinit { _ = try? Files.remove(path) }

    /// The messages that are there now.
    func messages() throws -> [[UInt8]] {
        var all: [[UInt8]] = []
        while let message = try next() { all.append(message) }
        return all
    }

    private func next() throws(SystemError) -> [UInt8]? {
        do {
            return try FileDescriptor.readPacket(from: socket.rawValue, limit: 65536)
        } catch  where error.errno == Errno.EAGAIN {
            return nil
        }
    }

    func texts() throws -> [String] { try messages().map { String(decoding: $0, as: UTF8.self) } }
}

@Suite struct JournalOutputTests {
    private func output(_ receiver: JournalReceiver, limit: Int = 1000) -> JournalOutput {
        JournalOutput(path: receiver.path, fields: ["SYSLOG_IDENTIFIER=web/main", "SWIFTLET_POD=web"], limit: limit)
    }

    private func lines(_ count: Int) -> [UInt8] {
        Array((0..<count).map { "2026-05-01T10:00:00.000000000Z stdout F line \($0)\n" }.joined().utf8)
    }

    /// systemd.io/JOURNAL_NATIVE_PROTOCOL: a field whose value has no line feed is its name, `=`, the value and a line feed.
    @Test func messagesAreWhatTheProtocolSays() throws {
        let receiver = try JournalReceiver()
        var output = output(receiver)
        var formatter = LogFormatter(stream: "stderr")
        var lines: [UInt8] = []
        formatter.append([0x61, 0x3D, 0x20, 0x00, 0xFF, 0x0A], time: FileTime(seconds: 7), to: &lines)
        output.append(lines, isError: true, now: 7)
        let expected: [UInt8] =
            Array("PRIORITY=3\n".utf8)  // syslog(3): error
            + Array("SYSLOG_IDENTIFIER=web/main\n".utf8)  // what journalctl -t selects
            + Array("SWIFTLET_POD=web\n".utf8)
            + Array("SWIFTLET_STREAM=stderr\n".utf8)
            + Array("MESSAGE=".utf8) + [
                0x61, 0x3D, 0x20,  // the text as it is: an equals sign ends no name in a value
                0x00, 0xFF,  // and bytes that are no UTF-8
                0x0A,  // the field's end
            ]
        #expect(try receiver.messages() == [expected])
    }

    /// No line can begin a field of its own: a message's text has no line feed.
    @Test func aContainerCannotForgeFields() throws {
        let receiver = try JournalReceiver()
        var output = output(receiver)
        var formatter = LogFormatter(stream: "stdout")
        var lines: [UInt8] = []
        formatter.append(Array("x\nSWIFTLET_POD=other\n\n".utf8)[...], time: FileTime(seconds: 7), to: &lines)
        output.append(lines, isError: false, now: 7)
        let texts = try receiver.texts()
        #expect(texts.count == 3)
        #expect(texts.allSatisfy { $0.hasPrefix("PRIORITY=6\nSYSLOG_IDENTIFIER=web/main\nSWIFTLET_POD=web\n") })
        #expect(texts[1].hasSuffix("\nMESSAGE=SWIFTLET_POD=other\n"))
        #expect(texts[2].hasSuffix("\nMESSAGE=\n"))
    }

    @Test func longLinesAreCutIntoDatagrams() throws {
        let receiver = try JournalReceiver()
        var output = output(receiver)
        var formatter = LogFormatter(stream: "stdout")
        var lines: [UInt8] = []
        let long = [UInt8](repeating: 0x78, count: 2 * LogFormatter.maximumLineLength + 5) + [0x0A]
        formatter.append(long[...], time: FileTime(seconds: 7), to: &lines)
        output.append(lines, isError: false, now: 7)
        let messages = try receiver.texts()
        #expect(messages.map { $0.contains("SWIFTLET_PARTIAL=1\n") } == [true, true, false])
        #expect(messages.allSatisfy { $0.utf8.count < LogFormatter.maximumLineLength + 256 })
        #expect(messages[2].hasSuffix("MESSAGE=xxxxx\n"))
    }

    @Test func whatIsTooMuchIsCountedAndTold() throws {
        let receiver = try JournalReceiver()
        var output = output(receiver, limit: 3)
        output.append(lines(5), isError: false, now: 100)
        #expect(try receiver.messages().count == 3)
        #expect(output.hasNews)
        output.tell(now: 109)
        #expect(try receiver.messages().isEmpty)
        output.tell(now: 110)
        let notice = try #require(try receiver.texts().first)
        #expect(
            notice.hasPrefix("PRIORITY=4\nSYSLOG_IDENTIFIER=web/main\nSWIFTLET_POD=web\nSWIFTLET_MISSING=2\nMESSAGE=2 ")
        )
        #expect(!output.hasNews)
        // A new interval, with the notice of the last one first if nobody asked for it before.
        output.append(lines(4), isError: false, now: 120)
        output.append(lines(1), isError: false, now: 131)
        let texts = try receiver.texts()
        #expect(texts.map { $0.contains("SWIFTLET_MISSING=1") } == [false, false, false, true, false])
        // A clock that was set back is a new interval too.
        output.append(lines(3), isError: false, now: 50)
        #expect(try receiver.messages().count == 3)
        output.append(lines(1), isError: false, now: 51)
        output.tell(now: 51, isLast: true)
        #expect(try receiver.texts().count == 1)
    }

    /// A receiver that does not read holds nobody up.
    @Test func aSlowJournalLosesLinesAndSaysSo() throws {
        let receiver = try JournalReceiver()
        var output = output(receiver, limit: 100_000)
        output.append(lines(5000), isError: false, now: 100)
        #expect(output.hasNews)
        let taken = try receiver.messages().count
        #expect(taken < 5000)
        output.tell(now: 110)
        #expect(try receiver.texts().first?.contains("SWIFTLET_MISSING=\(5000 - taken)\n") == true)
    }

    @Test func aJournalMayComeLateAndComeAgain() throws {
        let path = "/tmp/journal-\(UInt32.random(in: 0...UInt32.max))"
        var output = JournalOutput(path: path, fields: [], limit: 1000)
        output.append(lines(2), isError: false, now: 100)
        // Nobody is woken for what nobody takes.
        #expect(!output.hasNews)
        var receiver: JournalReceiver? = try JournalReceiver(path)
        output.append(lines(1), isError: false, now: 102)
        #expect(try receiver?.messages().count == 1)
        #expect(output.hasNews)
        receiver = nil
        output.append(lines(1), isError: false, now: 103)
        receiver = try JournalReceiver(path)
        output.append(lines(1), isError: false, now: 105)
        output.tell(now: 120)
        #expect(try receiver?.texts().last?.contains("SWIFTLET_MISSING=3\n") == true)
        output.close()
    }

    /// A real container's streams: the log file is the same as without a journal.
    @Test func aContainersOutputIsInBothPlaces() throws {
        let receiver = try JournalReceiver()
        let fixture = try MonitorFixture("echo out; echo err >&2; for i in 1 2 3 4; do echo $i; done")
        let options = [
            "--start", "--journal", receiver.path, "--journal-field", "SYSLOG_IDENTIFIER=web/main", "--journal-limit=4",
        ]
        guard case .created = try fixture.start(options) else { throw MonitorError("not created") }
        _ = try fixture.waitForEnd()
        #expect(
            try Set(fixture.lines()) == [
                "stdout F out", "stderr F err", "stdout F 1", "stdout F 2", "stdout F 3", "stdout F 4",
            ])
        let texts = try receiver.texts()
        #expect(texts.count == 5)
        #expect(texts.last?.contains("SWIFTLET_MISSING=2\n") == true)
        #expect(texts.dropLast().allSatisfy { $0.contains("SYSLOG_IDENTIFIER=web/main\n") })
    }

    @Test(arguments: [["--journal-field", "A"], ["--journal-field", "A=b\nC=d"], ["--journal-limit", "0"]])
    func optionsAreChecked(option: [String]) throws {
        #expect(throws: MonitorError.self) {
            try MonitorOptions(["m", "--id", "a", "--bundle", "/b", "--directory", "/d", "--log", "/l"] + option)
        }
    }
}
