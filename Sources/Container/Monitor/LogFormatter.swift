// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// Cuts a stream into the lines of the CRI log format, `TIME stdout F text` (kubernetes, KEP "CRI logging").
///
/// A line longer than ``maximumLineLength``, or one that the stream's end cuts off, is written as parts with the tag `P`;
/// the reader joins them.
package struct LogFormatter: Sendable {
    /// Bytes of one part, as containerd has it.
    package static let maximumLineLength = 16384

    private let stream: [UInt8]
    private var line: [UInt8] = []

    /// - Parameter stream: `stdout` or `stderr`.
    package init(stream: String) { self.stream = Array(stream.utf8) }

    /// Appends the lines that `bytes` completes to `log`, with the time of their arrival.
    package mutating func append(_ bytes: ArraySlice<UInt8>, time: FileTime, to log: inout [UInt8]) {
        var rest = bytes
        while !rest.isEmpty {
            let room = Self.maximumLineLength - line.count
            let end = rest.prefix(room + 1).firstIndex(of: UInt8(ascii: "\n"))
            if let end {
                line += rest[..<end]
                write(tag: "F", time: time, to: &log)
                rest = rest[(end + 1)...]
            } else if rest.count > room {
                line += rest.prefix(room)
                write(tag: "P", time: time, to: &log)
                rest = rest.dropFirst(room)
            } else {
                line += rest
                return
            }
        }
    }

    /// Writes what the stream's end left without a line feed.
    package mutating func finish(time: FileTime, to log: inout [UInt8]) {
        if !line.isEmpty { write(tag: "P", time: time, to: &log) }
    }

    private mutating func write(tag: Unicode.Scalar, time: FileTime, to log: inout [UInt8]) {
        time.appendRFC3339(to: &log)
        log.append(UInt8(ascii: " "))
        log += stream
        log.append(UInt8(ascii: " "))
        log.append(UInt8(ascii: tag))
        log.append(UInt8(ascii: " "))
        log += line
        log.append(UInt8(ascii: "\n"))
        line.removeAll(keepingCapacity: true)
    }
}
