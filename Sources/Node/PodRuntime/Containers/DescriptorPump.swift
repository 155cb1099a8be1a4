// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import NIOCore
import NIOPosix

/// Moves bytes between descriptors of a process and a client, without blocking a thread. Each descriptor is taken over
/// and closed at the end.
struct DescriptorPump: Sendable {
    let client: any ProcessClient

    private typealias ByteChannel = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    private static func reading(_ descriptor: CInt) async throws -> ByteChannel {
        try await NIOPipeBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .takingOwnershipOfDescriptor(input: descriptor) { channel in
                channel.eventLoop.makeCompletedFuture { try ByteChannel(wrappingChannelSynchronously: channel) }
            }
    }

    private static func writing(_ descriptor: CInt) async throws -> ByteChannel {
        try await NIOPipeBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .takingOwnershipOfDescriptor(output: descriptor) { channel in
                channel.eventLoop.makeCompletedFuture { try ByteChannel(wrappingChannelSynchronously: channel) }
            }
    }

    private static func both(_ descriptor: CInt) async throws -> ByteChannel {
        try await NIOPipeBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .takingOwnershipOfDescriptor(inputOutput: descriptor) { channel in
                channel.eventLoop.makeCompletedFuture { try ByteChannel(wrappingChannelSynchronously: channel) }
            }
    }

    /// Reads to the end and throws away what comes.
    func drain(_ descriptor: CInt) async {
        // A broken pipe is an end like any other.
        try? await Self.reading(descriptor).executeThenClose { inbound, _ in for try await _ in inbound {} }
    }

    /// Sends a process's output to the client.
    func output(_ descriptor: CInt, isError: Bool) async {
        // The client or the process may go at any time; either way this direction is over.
        try? await Self.reading(descriptor).executeThenClose { inbound, _ in
            for try await bytes in inbound { try await client.send(Array(bytes.readableBytesView), isError: isError) }
        }
    }

    /// Sends the client's input to a process.
    func input(_ descriptor: CInt) async {
        // As above.
        try? await Self.writing(descriptor).executeThenClose { _, outbound in
            loop: while let input = try await client.receive() {
                switch input {
                case .stdin(let bytes): try await outbound.write(ByteBuffer(bytes: bytes))
                case .stdinClosed: break loop
                case .resize: continue
                }
            }
        }
    }

    /// Both directions of a terminal.
    func terminal(_ descriptor: CInt) async {
        // A copy for the size: the channel owns the descriptor.
        guard let copy = try? FileDescriptor.duplicate(descriptor).release() else { return }
        defer { FileDescriptor(owning: copy).close() }
        // As above; a terminal whose other end is gone fails with EIO.
        try? await Self.both(descriptor).executeThenClose { inbound, outbound in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for try await bytes in inbound {
                        try await client.send(Array(bytes.readableBytesView), isError: false)
                    }
                }
                group.addTask {
                    while let input = try await client.receive() {
                        switch input {
                        case .stdin(let bytes): try await outbound.write(ByteBuffer(bytes: bytes))
                        // Control-D: a terminal has no other end of input.
                        case .stdinClosed: try await outbound.write(ByteBuffer(bytes: [4]))
                        case .resize(let width, let height):
                            // A terminal that is going away has no size.
                            try? Self.setSize(copy, rows: height, columns: width)
                        }
                    }
                    // The client has gone silent; the output decides about the end.
                    try await Task.sleep(for: .seconds(1 << 30))
                }
                try await group.next()
                group.cancelAll()
            }
        }
    }

    private static func setSize(_ terminal: CInt, rows: UInt16, columns: UInt16) throws(SystemError) {
        let own = try FileDescriptor.duplicate(terminal)
        try Terminal.setSize(of: own, rows: rows, columns: columns)
    }
}
