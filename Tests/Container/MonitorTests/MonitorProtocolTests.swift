// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import Testing

@testable import Monitor

@Suite struct MonitorProtocolTests {
    @Test func framesHaveATypeALengthAndAPayload() throws {
        let bytes: [UInt8] = [
            0x01,  // output
            0x00, 0x00, 0x00, 0x02,  // two bytes
            0x68, 0x69,  // hi
        ]
        #expect(AttachFrame(.output, Array("hi".utf8)).bytes == bytes)
        var buffer = bytes + [0x03]
        #expect(try AttachFrame.take(from: &buffer) == AttachFrame(.output, Array("hi".utf8)))
        #expect(buffer == [0x03])
        #expect(try AttachFrame.take(from: &buffer) == nil)
        buffer += [
            0x00, 0x00, 0x00, 0x04,  // four bytes
            0x00, 0x18,  // 24 rows
            0x01, 0x00,  // 256 columns
        ]
        let size = try #require(try AttachFrame.take(from: &buffer)?.size)
        #expect(size == (24, 256))
        #expect(buffer.isEmpty)
    }

    @Test func streamsThatAreNoFramesEnd() {
        var unknown: [UInt8] = [0x09, 0, 0, 0, 0]
        #expect(throws: AttachFrameError.unknownKind(9)) { try AttachFrame.take(from: &unknown) }
        var long: [UInt8] = [0x00, 0x00, 0x01, 0x00, 0x01]
        #expect(throws: AttachFrameError.tooLong(65537)) { try AttachFrame.take(from: &long) }
    }

    @Test(
        arguments: [
            (.start, [0x53]), (.reopenLog, [0x4C]), (.closeInput, [0x43]), (.subscribe, [0x45]),
            (.resize(rows: 24, columns: 513), [0x57, 0x00, 0x18, 0x02, 0x01]),
        ] as [(ControlRequest, [UInt8])])
    func requests(request: ControlRequest, bytes: [UInt8]) {
        #expect(request.bytes == bytes)
        #expect(ControlRequest(bytes) == request)
        #expect(ControlRequest(bytes + [0]) == nil)
    }

    @Test func repliesAndRecordsSurviveTheWire() throws {
        let record = ExitRecord(.signaled(9), oomKilled: true, finishedAt: "2026-01-01T00:00:00.000000000Z")
        #expect(
            String(decoding: record.json.serialized(), as: UTF8.self)
                == #"{"exitCode":137,"signal":9,"oomKilled":true,"finishedAt":"2026-01-01T00:00:00.000000000Z"}"#)
        for reply: ControlReply in [.done, .failed("why"), .exited(record)] {
            #expect(ControlReply(reply.bytes) == reply)
        }
        #expect(ControlReply([0x78, 0x7B]) == nil)
        #expect(ExitRecord(parsing: Array("{}".utf8)) == nil)
        #expect(CreateReport(parsing: CreateReport.created(pid: 7).json.serialized()) == .created(pid: 7))
        #expect(CreateReport(parsing: []) == .failed("the monitor died before the container was created"))
    }
}

@Suite struct LogFormatterTests {
    static let time = FileTime(seconds: 1_767_225_600, nanoseconds: 5)
    static let stamp = "2026-01-01T00:00:00.000000005Z"

    private func format(_ chunks: [String], ends: Bool = false) -> String {
        var formatter = LogFormatter(stream: "stdout")
        var log: [UInt8] = []
        for chunk in chunks { formatter.append(Array(chunk.utf8)[...], time: Self.time, to: &log) }
        if ends { formatter.finish(time: Self.time, to: &log) }
        return String(decoding: log, as: UTF8.self)
    }

    @Test func linesAreCompleteWhateverTheChunks() {
        #expect(
            format(["one\ntw", "o\n\n"])
                == "\(Self.stamp) stdout F one\n\(Self.stamp) stdout F two\n\(Self.stamp) stdout F \n")
        #expect(format(["rest"]).isEmpty)
        #expect(format(["rest"], ends: true) == "\(Self.stamp) stdout P rest\n")
        #expect(format(["line\n"], ends: true) == "\(Self.stamp) stdout F line\n")
    }

    @Test func longLinesAreCutAndJoinAgain() {
        let long = String(repeating: "x", count: LogFormatter.maximumLineLength)
        #expect(format([long + "yz\n"]) == "\(Self.stamp) stdout P \(long)\n\(Self.stamp) stdout F yz\n")
        #expect(format([long, "\n"]) == "\(Self.stamp) stdout F \(long)\n")
    }
}
