// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// The monitor's ends of the container's standard streams.
struct ContainerStreams {
    /// Where the container's input is written; -1 where it has none or it is closed.
    var input: CInt = -1
    /// Where the container's output is read: a pipe, or the terminal's master.
    var output: CInt = -1
    /// Where its error output is read; -1 with a terminal.
    var error: CInt = -1
    /// The terminal's master; it is `input` and `output` too.
    var terminal: CInt?

    /// The container's ends, for the launcher.
    struct Inner {
        var input: CInt
        var output: CInt
        var error: CInt

        /// Closes the ends once the launcher has them.
        func close() { for number in [input, output, error] { _ = FileDescriptor(owning: number) } }
    }

    /// Makes pipes; the input is /dev/null unless it is wanted.
    static func pipes(hasInput: Bool) throws(SystemError) -> (outer: ContainerStreams, inner: Inner) {
        var streams = ContainerStreams()
        let output = try makePipe()
        let error = try makePipe()
        var inner = Inner(input: -1, output: output.writer, error: error.writer)
        streams.output = output.reader
        streams.error = error.reader
        if hasInput {
            let input = try makePipe()
            inner.input = input.reader
            streams.input = input.writer
            try setNonBlocking(streams.input)
        } else {
            inner.input = try FileDescriptor.open("/dev/null", .read).release()
        }
        try setNonBlocking(streams.output)
        try setNonBlocking(streams.error)
        return (streams, inner)
    }

    /// With a terminal the launcher itself gets nothing to read; what it says goes to its log.
    static func nothing() throws(SystemError) -> Inner {
        func null() throws(SystemError) -> CInt { try FileDescriptor.open("/dev/null", .readWrite).release() }
        return Inner(input: try null(), output: try null(), error: try null())
    }

    /// Takes the terminal that the launcher sends to the console socket.
    mutating func adoptTerminal(from listener: borrowing FileDescriptor) throws(SystemError) {
        guard let connection = try Sockets.accept(listener) else {
            throw SystemError("accept", "console socket", errno: Errno.EAGAIN)
        }
        var received: [CInt] = []
        _ = try Sockets.receive(limit: 4096, descriptors: &received, on: connection)
        guard let master = received.first else { throw SystemError("console socket", errno: Errno.ENXIO) }
        try Self.setNonBlocking(master)
        terminal = master
        input = master
        output = master
    }

    /// Ends the container's input: a pipe is closed, a terminal gets its end-of-file character.
    mutating func closeInput() {
        guard input >= 0 else { return }
        if terminal == nil {
            _ = FileDescriptor(owning: input)
            input = -1
        } else {
            // Control-D; a terminal that takes nothing now has a program that reads nothing.
            _ = [UInt8(4)].withUnsafeBytes { try? FileDescriptor.writeSome($0, to: input) }
        }
    }

    private static func makePipe() throws(SystemError) -> (reader: CInt, writer: CInt) {
        let pair = try Sockets.pipe()
        let reader = try pair.first.duplicated().release()
        return (reader, pair.takeSecond().release())
    }

    private static func setNonBlocking(_ number: CInt) throws(SystemError) {
        // The status flags belong to the open file, which the copy shares.
        try FileDescriptor.duplicate(number).setNonBlocking(true)
    }
}
