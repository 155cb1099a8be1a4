// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import NIOCore

/// Lets several tasks write to a byte stream, which takes one writer at a time: in the order in which they came.
final class WriteLane: Sendable {
    private let stream: any DuplexByteStream
    private let gate = SerialGate()

    init(_ stream: any DuplexByteStream) { self.stream = stream }

    func write(_ bytes: [UInt8]) async throws {
        try await gate.run { try await stream.write(ByteBuffer(bytes: bytes)) }
    }

    /// Ends our direction after what is being written.
    func close() async { await gate.run { await stream.close() } }
}
