// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Logging
import Synchronization
import Testing

@testable import Systemd

@Suite struct StandardErrorLogHandlerTests {
    final class Lines: Sendable {
        let text = Mutex("")
        func add(_ bytes: [UInt8]) { text.withLock { $0 += String(decoding: bytes, as: UTF8.self) } }
    }

    static func logger(showsTime: Bool, _ lines: Lines) -> Logger {
        Logger(label: "test") { _ in
            StandardErrorLogHandler(
                logLevel: .debug, showsTime: showsTime,
                now: { FileTime(seconds: 1_777_629_600, nanoseconds: 7_000_000) },
                write: { lines.add($0) })
        }
    }

    @Test func linesHaveTimeLevelMessageAndMetadata() {
        let lines = Lines()
        var logger = Self.logger(showsTime: true, lines)
        logger[metadataKey: "pod"] = "default/web"
        logger[metadataKey: "node"] = "a"
        logger.warning("Pod failed", metadata: ["node": "b", "reason": "it's \"odd\""])
        logger.trace("not shown")
        #expect(
            lines.text.withLock { $0 }
                == #"2026-05-01T10:00:00.007Z WARN  Pod failed node=b pod=default/web reason="it\'s \"odd\"""# + "\n")
    }

    @Test func journaldAddsTheTimeItself() {
        let lines = Lines()
        Self.logger(showsTime: false, lines).info("two\nlines")
        #expect(lines.text.withLock { $0 } == "INFO  two\\nlines\n")
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.000Z"), (951_782_400, "2000-02-29T00:00:00.000Z"),
        (4_107_542_399, "2100-02-28T23:59:59.000Z"), (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        (1_798_761_599, "2026-12-31T23:59:59.000Z"),
    ])
    func timesAreWritten(seconds: Int, expected: String) {
        #expect(timestamp(FileTime(seconds: Int64(seconds))) == expected)
    }
}
