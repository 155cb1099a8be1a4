// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// One connection of the attach socket.
final class AttachClient {
    /// Output that a client may be behind; one that falls back further is cut off, so that it can neither hold up
    /// the container nor grow the monitor.
    static let maximumBacklog = 256 * 1024

    let descriptor: CInt
    /// Bytes on their way to the client.
    private(set) var outgoing: [UInt8] = []
    private var incoming: [UInt8] = []
    /// Whether it has written to the container's input.
    private(set) var hasWritten = false
    private(set) var isOpen = true

    init(_ connection: consuming FileDescriptor) throws(SystemError) {
        try connection.setNonBlocking(true)
        descriptor = connection.release()
    }

    deinit { _ = FileDescriptor(owning: descriptor) }

    func send(_ kind: AttachFrame.Kind, _ bytes: [UInt8]) {
        guard isOpen else { return }
        if outgoing.count + bytes.count > Self.maximumBacklog {
            isOpen = false
            return
        }
        outgoing += AttachFrame(kind, bytes).bytes
        flush()
    }

    /// Writes what the client takes now.
    func flush() {
        while isOpen, !outgoing.isEmpty {
            let count: Int?
            do {
                count = try outgoing.withUnsafeBytes { bytes in
                    Result { () throws(SystemError) in try FileDescriptor.writeSome(bytes, to: descriptor, "client") }
                }.get()
            } catch {
                isOpen = false
                return
            }
            guard let count else { return }
            outgoing.removeFirst(count)
        }
    }

    /// Reads what the client has sent; the whole frames of it.
    func receive() -> [AttachFrame] {
        var buffer = [UInt8](repeating: 0, count: 16384)
        var frames: [AttachFrame] = []
        do {
            let count = try buffer.withUnsafeMutableBytes { bytes in
                Result { () throws(SystemError) in
                    try FileDescriptor.readSome(into: bytes, from: descriptor, "client")
                }
            }.get()
            guard let count else { return [] }
            if count == 0 { isOpen = false }
            incoming += buffer.prefix(count)
            while let frame = try AttachFrame.take(from: &incoming) {
                if frame.kind == .input { hasWritten = true }
                frames.append(frame)
            }
        } catch {
            // A broken connection or one that does not speak the protocol.
            isOpen = false
        }
        return frames
    }
}
