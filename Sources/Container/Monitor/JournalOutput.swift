// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Sends a container's output to journald too, by its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram
/// of `NAME=value` lines for each message.
///
/// The log file stays the record. The journal gets a copy that never holds the container up: what is more than the limit, or
/// more than journald takes just now, is left out, counted, and told in a message of its own.
package struct JournalOutput {
    /// Seconds for which messages are counted.
    package static let interval: Int64 = 10
    /// syslog(3)'s numbers: what conmon and dockerd give to the two streams, and the message about what is missing.
    private static let outputPriority = "6"
    private static let errorPriority = "3"
    private static let noticePriority = "4"

    private let path: String
    /// What every message has, `NAME=value` and a line feed each.
    private let fields: [UInt8]
    private let limit: Int
    private var descriptor: CInt = -1
    /// When a socket that was refused is tried again.
    private var nextAttempt = Int64.min
    private var intervalStart = Int64.min
    private var sent = 0
    private var missing: UInt64 = 0
    private var message: [UInt8] = []

    /// - Parameters:
    ///   - path: journald's socket.
    ///   - fields: `NAME=value`, without line feeds.
    ///   - limit: messages in each ``interval``.
    package init(path: String, fields: [String], limit: Int) {
        self.path = path
        self.fields = fields.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] }
        self.limit = limit
    }

    /// Whether something is to be told later, if the container writes nothing more.
    package var hasNews: Bool { missing > 0 && descriptor >= 0 }

    /// Takes the lines that a ``LogFormatter`` made. A part of a line is a message with `SWIFTLET_PARTIAL=1`, so that none is
    /// longer than a datagram may be.
    ///
    /// - Parameter now: seconds since 1970.
    package mutating func append(_ lines: [UInt8], isError: Bool, now: Int64) {
        for line in lines.split(separator: UInt8(ascii: "\n")) {
            // `TIME STREAM TAG text`
            let parts = line.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
            guard parts.count == 4 else { continue }
            beginInterval(now)
            guard sent < limit else {
                missing += 1
                continue
            }
            sent += 1
            begin(priority: isError ? Self.errorPriority : Self.outputPriority)
            message += isError ? Array("SWIFTLET_STREAM=stderr\n".utf8) : Array("SWIFTLET_STREAM=stdout\n".utf8)
            if parts[2].first == UInt8(ascii: "P") { message += Array("SWIFTLET_PARTIAL=1\n".utf8) }
            if !send(parts[3], now) { missing += 1 }
        }
    }

    /// Tells what was left out, once its interval is over.
    package mutating func tell(now: Int64, isLast: Bool = false) {
        guard missing > 0, isLast || isOver(now) else { return }
        begin(priority: Self.noticePriority)
        let text =
            "\(missing) lines of output are not in the journal: at most \(limit) in \(Self.interval) s are, if journald "
            + "takes them; the container's log has all of them"
        message += Array("SWIFTLET_MISSING=\(missing)\n".utf8)
        if send(Array(text.utf8)[...], now) { missing = 0 }
    }

    // MARK: Intervals

    /// A clock that was set back ends an interval too.
    private func isOver(_ now: Int64) -> Bool { now < intervalStart || now - intervalStart >= Self.interval }

    private mutating func beginInterval(_ now: Int64) {
        guard intervalStart == .min || isOver(now) else { return }
        if intervalStart != .min { tell(now: now) }
        intervalStart = now
        sent = 0
    }

    // MARK: Messages

    private mutating func begin(priority: String) {
        message.removeAll(keepingCapacity: true)
        message += Array("PRIORITY=\(priority)\n".utf8)
        message += fields
    }

    /// Sends what ``begin(priority:)`` began with this text, which has no line feed; whether it was taken.
    private mutating func send(_ text: ArraySlice<UInt8>, _ now: Int64) -> Bool {
        message += Array("MESSAGE=".utf8)
        message += text
        message.append(UInt8(ascii: "\n"))
        guard connect(now) else { return false }
        do {
            let count = try message.withUnsafeBytes { bytes in
                Result { () throws(SystemError) in try FileDescriptor.writeSome(bytes, to: descriptor, path) }
            }.get()
            // Nil: journald is behind.
            return count != nil
        } catch {
            // journald was started anew, with another socket.
            close()
            return false
        }
    }

    private mutating func connect(_ now: Int64) -> Bool {
        if descriptor >= 0 { return true }
        guard now >= nextAttempt || nextAttempt - now > Self.interval else { return false }
        do {
            let socket = try Sockets.connect(to: path, kind: .datagrams)
            try socket.setNonBlocking(true)
            descriptor = socket.release()
            return true
        } catch {
            // Without journald the log file is all there is.
            nextAttempt = now + 1
            return false
        }
    }

    package mutating func close() {
        if descriptor >= 0 { _ = FileDescriptor(owning: descriptor) }
        descriptor = -1
    }
}
