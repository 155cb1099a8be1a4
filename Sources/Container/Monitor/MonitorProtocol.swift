// SPDX-License-Identifier: Apache-2.0

package import JSON
package import LinuxSystem

/// Where a monitor keeps what the agent reads and connects to: one directory for each container, on a tmpfs.
///
/// ```
/// DIR/monitor.pid    the monitor's pid and start time (clock ticks since boot): "4711 123456"
/// DIR/container.pid  the container's first process, written by the launcher
/// DIR/launcher.log   messages of the launcher, JSON lines
/// DIR/control.sock   SOCK_SEQPACKET, see ControlRequest and ControlReply
/// DIR/attach.sock    SOCK_STREAM, see AttachFrame
/// DIR/exit.json      ExitRecord; appears, whole, when the container has ended
/// ```
package struct MonitorPaths: Sendable, Hashable {
    package let directory: String

    package init(directory: String) { self.directory = directory }

    package var monitorPID: String { "\(directory)/monitor.pid" }
    package var containerPID: String { "\(directory)/container.pid" }
    package var launcherLog: String { "\(directory)/launcher.log" }
    package var control: String { "\(directory)/control.sock" }
    package var attach: String { "\(directory)/attach.sock" }
    package var exitRecord: String { "\(directory)/exit.json" }
    var console: String { "\(directory)/console.sock" }

    /// The living monitor's number; nil where there is none, also when its number went to another process.
    package func runningMonitor() throws(SystemError) -> Int32? {
        let text: String
        do {
            text = try Files.readText(monitorPID)
        } catch  where error.errno == Errno.ENOENT {
            return nil
        }
        let fields = text.split(separator: " ")
        guard fields.count == 2, let pid = Int32(fields[0]), let start = UInt64(fields[1]) else { return nil }
        return try Processes.startTime(of: pid) == start ? pid : nil
    }

    /// How the container ended; nil while it has not.
    package func readExitRecord() throws(SystemError) -> ExitRecord? {
        let bytes: [UInt8]
        do {
            bytes = try Files.read(exitRecord)
        } catch  where error.errno == Errno.ENOENT {
            return nil
        }
        return ExitRecord(parsing: bytes)
    }
}

/// How a container ended.
package struct ExitRecord: Sendable, Hashable {
    /// The program's code; 128 and the number for one that a signal ended, as a shell has it.
    package var exitCode: Int32
    /// The signal that ended the program; nil if it exited.
    package var signal: Int32?
    /// Whether the kernel killed a process of the container for want of memory.
    package var oomKilled: Bool
    /// When it ended, RFC 3339 in UTC.
    package var finishedAt: String

    package init(_ status: ExitStatus, oomKilled: Bool, finishedAt: String) {
        exitCode = status.shellCode
        if case .signaled(let number) = status { signal = number }
        self.oomKilled = oomKilled
        self.finishedAt = finishedAt
    }

    /// Reads a record; nil where it is none.
    package init?(parsing bytes: [UInt8]) {
        // What is not JSON is no record.
        guard let json = try? JSON.parse(bytes), let code = json["exitCode"]?.int,
            let exitCode = Int32(exactly: code), let finishedAt = json["finishedAt"]?.string
        else { return nil }
        self.exitCode = exitCode
        signal = json["signal"]?.int.flatMap { Int32(exactly: $0) }
        oomKilled = json["oomKilled"]?.bool ?? false
        self.finishedAt = finishedAt
    }

    package var json: JSON {
        var object: JSON = ["exitCode": JSON(Int(exitCode))]
        if let signal { object["signal"] = JSON(Int(signal)) }
        object["oomKilled"] = .bool(oomKilled)
        object["finishedAt"] = .string(finishedAt)
        return object
    }
}

/// What a monitor reports on the descriptor that `--sync-fd` names, once the container is created or cannot be.
package enum CreateReport: Sendable, Hashable {
    case created(pid: Int32)
    case failed(String)

    /// Reads a report; the end of the pipe without one means that the monitor died.
    package init(parsing bytes: [UInt8]) {
        let json = (try? JSON.parse(bytes)) ?? .null
        if let number = json["pid"]?.int, let pid = Int32(exactly: number) {
            self = .created(pid: pid)
        } else {
            self = .failed(json["error"]?.string ?? "the monitor died before the container was created")
        }
    }

    package var json: JSON {
        switch self {
        case .created(let pid): ["pid": JSON(Int(pid))]
        case .failed(let text): ["error": .string(text)]
        }
    }
}

/// A request on the control socket: one packet, answered by one ``ControlReply`` (`subscribe` by a later one).
package enum ControlRequest: Sendable, Hashable {
    /// Starts the created container (`S`).
    case start
    /// Closes the log file and opens its path again (`L`): to be sent after the file was renamed.
    case reopenLog
    /// Sets the terminal's size (`W`, rows and columns as 16 bits each, high byte first).
    case resize(rows: UInt16, columns: UInt16)
    /// Closes the container's standard input (`C`).
    case closeInput
    /// Asks to be told of the container's end (`E`); answered when it comes, at once if it came already.
    case subscribe

    package var bytes: [UInt8] {
        switch self {
        case .start: [UInt8(ascii: "S")]
        case .reopenLog: [UInt8(ascii: "L")]
        case .resize(let rows, let columns): [UInt8(ascii: "W")] + BigEndian.bytes(rows) + BigEndian.bytes(columns)
        case .closeInput: [UInt8(ascii: "C")]
        case .subscribe: [UInt8(ascii: "E")]
        }
    }

    /// Reads a packet; nil where it is no request.
    package init?(_ bytes: [UInt8]) {
        switch (bytes.first, bytes.count) {
        case (UInt8(ascii: "S"), 1): self = .start
        case (UInt8(ascii: "L"), 1): self = .reopenLog
        case (UInt8(ascii: "W"), 5):
            self = .resize(rows: BigEndian.uint16(bytes[1...2]), columns: BigEndian.uint16(bytes[3...4]))
        case (UInt8(ascii: "C"), 1): self = .closeInput
        case (UInt8(ascii: "E"), 1): self = .subscribe
        default: return nil
        }
    }
}

/// An answer on the control socket.
package enum ControlReply: Sendable, Hashable {
    /// Done (`o`).
    case done
    /// Not done, and why (`e` and the text).
    case failed(String)
    /// The container has ended (`x` and the record's JSON).
    case exited(ExitRecord)

    package var bytes: [UInt8] {
        switch self {
        case .done: [UInt8(ascii: "o")]
        case .failed(let text): [UInt8(ascii: "e")] + Array(text.utf8)
        case .exited(let record): [UInt8(ascii: "x")] + record.json.serialized()
        }
    }

    /// Reads a packet; nil where it is no reply.
    package init?(_ bytes: [UInt8]) {
        let rest = Array(bytes.dropFirst())
        switch bytes.first {
        case UInt8(ascii: "o"): self = .done
        case UInt8(ascii: "e"): self = .failed(String(decoding: rest, as: UTF8.self))
        case UInt8(ascii: "x"):
            guard let record = ExitRecord(parsing: rest) else { return nil }
            self = .exited(record)
        default: return nil
        }
    }
}

/// A frame of the attach socket: a type, the payload's length as 32 bits (high byte first), the payload.
///
/// A client gets the output from the time of its connection on; the connection is closed when the container's
/// streams are at their end.
package struct AttachFrame: Sendable, Hashable {
    package enum Kind: UInt8, Sendable {
        /// Client: bytes for the standard input. An empty frame closes it.
        case input = 0
        case output = 1
        case error = 2
        /// Client: the terminal's size, rows and columns as 16 bits each.
        case resize = 3
    }

    /// The longest payload; longer frames end the connection.
    package static let maximumLength = 65536
    package static let headerLength = 5

    package let kind: Kind
    package let payload: [UInt8]

    package init(_ kind: Kind, _ payload: [UInt8]) {
        self.kind = kind
        self.payload = payload
    }

    package static func resize(rows: UInt16, columns: UInt16) -> AttachFrame {
        AttachFrame(.resize, BigEndian.bytes(rows) + BigEndian.bytes(columns))
    }

    package var bytes: [UInt8] { [kind.rawValue] + BigEndian.bytes(UInt32(payload.count)) + payload }

    /// Takes the first whole frame off a buffer; nil where there is none yet.
    package static func take(from buffer: inout [UInt8]) throws(AttachFrameError) -> AttachFrame? {
        guard let first = buffer.first else { return nil }
        guard let kind = Kind(rawValue: first) else { throw .unknownKind(first) }
        guard buffer.count >= headerLength else { return nil }
        let length = Int(BigEndian.uint32(buffer[1...4]))
        guard length <= maximumLength else { throw .tooLong(length) }
        guard buffer.count >= headerLength + length else { return nil }
        let payload = Array(buffer[headerLength..<(headerLength + length)])
        buffer.removeFirst(headerLength + length)
        return AttachFrame(kind, payload)
    }

    /// The size in a resize frame.
    package var size: (rows: UInt16, columns: UInt16)? {
        guard kind == .resize, payload.count == 4 else { return nil }
        return (BigEndian.uint16(payload[0...1]), BigEndian.uint16(payload[2...3]))
    }
}

/// Why a stream of frames cannot go on.
package enum AttachFrameError: Error, Hashable, Sendable {
    case unknownKind(UInt8)
    case tooLong(Int)
}

/// Integers with the high byte first.
enum BigEndian {
    static func bytes(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)] }
    static func bytes(_ value: UInt32) -> [UInt8] {
        bytes(UInt16(value >> 16)) + bytes(UInt16(truncatingIfNeeded: value))
    }
    static func uint16(_ bytes: ArraySlice<UInt8>) -> UInt16 { bytes.reduce(0) { $0 << 8 | UInt16($1) } }
    static func uint32(_ bytes: ArraySlice<UInt8>) -> UInt32 { bytes.reduce(0) { $0 << 8 | UInt32($1) } }
}
