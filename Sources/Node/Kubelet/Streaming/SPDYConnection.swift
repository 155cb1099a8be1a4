// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import NIOCore
import Synchronization

/// The server's side of a SPDY/3.1 session, as kubectl's spdystream speaks it.
///
/// The client opens all streams. It keeps no windows (spdystream never sends WINDOW_UPDATE), so we keep none for
/// sending; for receiving, a stream whose reader is slow stops the reading of the connection.
final class SPDYConnection: Sendable {
    /// Streams that are open at once.
    static let streamLimit = 256
    /// Data frames of one stream that wait to be read.
    static let queuedFrames = 16

    private let transport: any DuplexByteStream
    private let lane: WriteLane
    private let streams = Mutex<[UInt32: SPDYStream]>([:])
    /// Streams that the client opened, in order.
    let accepted = BoundedChannel<SPDYStream>(limit: SPDYConnection.streamLimit)

    init(_ transport: any DuplexByteStream) {
        self.transport = transport
        lane = WriteLane(transport)
    }

    /// Reads frames until the client closes the connection or breaks the protocol.
    func run() async throws {
        defer { finishAll() }
        let inflater = try SPDYHeaderInflater()
        let deflater = try SPDYHeaderDeflater()
        var decoder = SPDYDecoder()
        while let bytes = try await transport.read() {
            for frame in try decoder.feed(bytes.readableBytesView) {
                try await handle(frame, inflater, deflater)
            }
        }
    }

    private func handle(
        _ frame: SPDYFrame, _ inflater: SPDYHeaderInflater, _ deflater: SPDYHeaderDeflater
    ) async throws {
        switch frame {
        case .synStream(let id, let block, let isFinal):
            // Every block goes through the inflater, whatever becomes of the stream: they share one window.
            let headers = try SPDYHeaders.decode(inflater.inflate(block))
            guard id % 2 == 1, let stream = open(id, headers) else {
                return try await write(.reset(id: id, status: 3))
            }
            let reply = deflater.deflate(SPDYHeaders.encode([]))
            try await write(.synReply(id: id, headers: reply, isFinal: false))
            if isFinal { stream.input.finish() }
            await accepted.send(stream)
        case .synReply(_, let block, _), .headers(_, let block, _): _ = try inflater.inflate(block)
        case .data(let id, let bytes, let isFinal):
            guard let stream = streams.withLock({ $0[id] }) else { return }
            if !bytes.isEmpty { await stream.input.send(bytes) }
            if isFinal { stream.input.finish() }
        case .reset(let id, _): close(id)
        // Our own pings would be even; the client's are odd and come back as they are.
        case .ping(let id): if id % 2 == 1 { try await write(.ping(id)) }
        case .goAway, .settings, .windowUpdate, .unknown: break
        }
    }

    private func open(_ id: UInt32, _ headers: [String: String]) -> SPDYStream? {
        streams.withLock { streams in
            guard streams.count < Self.streamLimit, streams[id] == nil else { return nil }
            let stream = SPDYStream(id: id, headers: headers, connection: self)
            streams[id] = stream
            return stream
        }
    }

    private func close(_ id: UInt32) { streams.withLock { $0.removeValue(forKey: id) }?.input.finish() }

    private func finishAll() {
        accepted.finish()
        let open = streams.withLock { streams in
            defer { streams = [:] }
            return Array(streams.values)
        }
        for stream in open { stream.input.finish() }
    }

    fileprivate func write(_ frame: SPDYFrame) async throws {
        try await lane.write(SPDYEncoder.encode(frame))
    }

    fileprivate func forget(_ id: UInt32) { streams.withLock { _ = $0.removeValue(forKey: id) } }

    func close() async { await lane.close() }
}

/// One stream of a session.
final class SPDYStream: Sendable {
    /// The largest data frame that we send.
    private static let frameSize = 32 << 10

    let id: UInt32
    /// By name in lower case.
    let headers: [String: String]
    /// What the client sends; it ends when the client closes its direction.
    let input = BoundedChannel<[UInt8]>(limit: SPDYConnection.queuedFrames)
    private let connection: SPDYConnection

    fileprivate init(id: UInt32, headers: [String: String], connection: SPDYConnection) {
        self.id = id
        self.headers = headers
        self.connection = connection
    }

    func write(_ bytes: some Collection<UInt8>) async throws {
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            try await connection.write(.data(id: id, Array(rest.prefix(Self.frameSize)), isFinal: false))
            rest = rest.dropFirst(Self.frameSize)
        }
    }

    /// Ends our direction.
    func finish() async {
        // A connection that is gone has ended both directions already.
        try? await connection.write(.data(id: id, [], isFinal: true))
    }

    /// Makes room for other streams: both directions have ended.
    func forget() {
        connection.forget(id)
        input.finish()
    }

    /// Ends both directions at once.
    func reset() async {
        connection.forget(id)
        input.finish()
        // As above.
        try? await connection.write(.reset(id: id, status: 5))
    }
}
