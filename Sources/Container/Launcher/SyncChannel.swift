// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// The conversation between the launcher and the process that becomes the container: packets of a type and a text.
struct SyncChannel: ~Copyable {
    enum Message: Equatable {
        /// Launcher: ids are mapped, the cgroup is set, go on.
        case proceed
        /// Launcher: hooks have run. Container: run the hooks of the runtime's namespace now.
        case hooks
        /// Container: everything is prepared.
        case ready
        /// Launcher: become the user's program.
        case start
        /// Intermediate process: the container's process has this number.
        case pid(Int32)
        /// It failed; the other end says why and goes.
        case failure(String)
    }

    /// The longest text that travels.
    private static let limit = 16384

    let socket: FileDescriptor

    init(_ socket: consuming FileDescriptor) { self.socket = socket }

    /// Gives the socket away: the caller closes it.
    consuming func takeSocket() -> CInt { socket.release() }

    borrowing func send(_ message: Message) throws(SystemError) {
        let bytes: [UInt8] =
            switch message {
            case .proceed: [UInt8(ascii: "G")]
            case .hooks: [UInt8(ascii: "H")]
            case .ready: [UInt8(ascii: "R")]
            case .start: [UInt8(ascii: "S")]
            case .pid(let pid): [UInt8(ascii: "P")] + Array("\(pid)".utf8)
            case .failure(let text): [UInt8(ascii: "E")] + Array(text.utf8.prefix(Self.limit - 1))
            }
        try Sockets.send(bytes, on: socket)
    }

    /// The next message; nil when the other end is gone.
    borrowing func receive() throws(SystemError) -> Message? {
        let bytes: [UInt8]
        do {
            bytes = try Sockets.receive(limit: Self.limit, on: socket)
        } catch  where error.errno == Errno.ECONNRESET {
            return nil
        }
        guard let type = bytes.first else { return nil }
        let text = String(decoding: bytes.dropFirst(), as: UTF8.self)
        switch type {
        case UInt8(ascii: "G"): return .proceed
        case UInt8(ascii: "H"): return .hooks
        case UInt8(ascii: "R"): return .ready
        case UInt8(ascii: "S"): return .start
        case UInt8(ascii: "P"): return Int32(text).map { .pid($0) } ?? .failure("malformed process number")
        default: return .failure(text)
        }
    }

    /// Waits for one message; another one, or the end, is an error.
    borrowing func expect(_ wanted: Message) throws(LauncherError) {
        let message: Message?
        do { message = try receive() } catch { throw LauncherError("talking to the other process", error) }
        if message == wanted { return }
        if case .failure(let text)? = message { throw LauncherError(text) }
        throw LauncherError(
            message == nil ? "the other process died" : "unexpected message \(String(describing: message))")
    }
}
