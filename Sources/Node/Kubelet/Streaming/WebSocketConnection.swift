// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import NIOCore
import Synchronization

/// A WebSocket over an upgraded connection: answers pings and closes, hands out messages.
///
/// One task reads; any may write, because each write is one whole frame.
final class WebSocketConnection: Sendable {
    private struct State {
        var decoder = WebSocketDecoder()
        var pending: [WebSocketMessage] = []
        var closeSent = false
    }

    private let stream: any DuplexByteStream
    private let lane: WriteLane
    private let state = Mutex(State())

    init(_ stream: any DuplexByteStream) {
        self.stream = stream
        lane = WriteLane(stream)
    }

    /// The payload of the next data message, nil when the client has closed the connection.
    func receive() async throws -> [UInt8]? {
        while true {
            if let message = state.withLock({ $0.pending.isEmpty ? nil : $0.pending.removeFirst() }) {
                switch message {
                case .data(let bytes, _): return bytes
                case .ping(let bytes): try await write(WebSocketEncoder.frame(.pong, bytes))
                case .pong: break
                case .close(let code):
                    await close(code: code == 1005 ? 1000 : code)
                    return nil
                }
                continue
            }
            guard let bytes = try await stream.read() else { return nil }
            try await take(bytes)
        }
    }

    private func take(_ bytes: ByteBuffer) async throws {
        let problem = state.withLock { state -> WebSocketError? in
            do throws(WebSocketError) {
                state.pending += try state.decoder.feed(bytes.readableBytesView)
                return nil
            } catch {
                return error
            }
        }
        guard let problem else { return }
        await close(code: problem.code)
        throw problem
    }

    /// Writes one frame that ``WebSocketEncoder`` or ``ChannelProtocol`` made.
    func write(_ frame: [UInt8]) async throws { try await lane.write(frame) }

    /// Sends a close frame, once, and ends our direction.
    func close(code: UInt16 = 1000) async {
        let isFirst = state.withLock { state in
            defer { state.closeSent = true }
            return !state.closeSent
        }
        guard isFirst else { return }
        // The client may be gone already: then there is nobody to tell.
        try? await write(WebSocketEncoder.close(code))
        await lane.close()
    }
}

/// A byte stream inside a WebSocket's binary messages: SPDY tunnelled by newer clients (KEP-4006).
struct WebSocketByteStream: DuplexByteStream {
    let connection: WebSocketConnection

    func read() async throws -> ByteBuffer? { try await connection.receive().map { ByteBuffer(bytes: $0) } }

    func write(_ bytes: ByteBuffer) async throws {
        try await connection.write(WebSocketEncoder.frame(.binary, bytes.readableBytesView))
    }

    func close() async { await connection.close() }
}
