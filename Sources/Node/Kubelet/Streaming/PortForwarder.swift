// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import LinuxSystem
import NIOCore
import NIOPosix
import PodRuntime
import Synchronization

/// Carries TCP connections of a client to ports inside a pod's network namespace.
struct PortForwarder: Sendable {
    /// Nil for the host's network.
    let namespace: String?
    let eventLoops: any EventLoopGroup

    private typealias ByteChannel = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    /// Connects to a port of the pod on its loopback address, as upstream's runtimes do.
    private func connect(_ port: UInt16) async throws -> ByteChannel {
        let namespace = namespace
        let descriptor = try await NIOThreadPool.singleton.runIfActive {
            try NamespaceConnector.connect(port: port, namespace: namespace)
        }
        return try await ClientBootstrap(group: eventLoops).withConnectedSocket(descriptor) { channel in
            channel.eventLoop.makeCompletedFuture { try ByteChannel(wrappingChannelSynchronously: channel) }
        }
    }

    private static func failure(_ port: UInt16, _ error: any Error) -> [UInt8] {
        Array("error forwarding port \(port) to pod: \(error)".utf8)
    }

    // MARK: SPDY

    /// Serves pairs of streams: `streamType: error` and `data` with one `requestID` and `port`.
    func serve(_ connection: SPDYConnection) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // A client that breaks the protocol is cut off.
                try? await connection.run()
            }
            group.addTask { await pairStreams(connection) }
            await group.next()
            group.cancelAll()
        }
        await connection.close()
    }

    private func pairStreams(_ connection: SPDYConnection) async {
        await withDiscardingTaskGroup { group in
            var waiting: [String: SPDYStream] = [:]
            while let stream = await connection.accepted.receive() {
                let request = stream.headers["requestid"] ?? ""
                guard let other = waiting.removeValue(forKey: request) else {
                    waiting[request] = stream
                    continue
                }
                let isData = stream.headers["streamtype"] == "data"
                let (data, error) = isData ? (stream, other) : (other, stream)
                let port = UInt16(data.headers["port"] ?? "") ?? 0
                group.addTask { await forward(data, error, port) }
            }
            group.cancelAll()
        }
    }

    private func forward(_ data: SPDYStream, _ error: SPDYStream, _ port: UInt16) async {
        do {
            try await connect(port).executeThenClose { inbound, outbound in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        for try await bytes in inbound { try await data.write(bytes.readableBytesView) }
                        await data.finish()
                    }
                    group.addTask {
                        while let bytes = await data.input.receive() {
                            try await outbound.write(ByteBuffer(bytes: bytes))
                        }
                        outbound.finish()
                    }
                    // Both directions end by themselves: a half-closed connection is still one.
                    try await group.waitForAll()
                }
            }
        } catch let problem {
            // The client may be gone already.
            if !Task.isCancelled { try? await error.write(Self.failure(port, problem)) }
        }
        await error.finish()
        await data.finish()
        data.forget()
        error.forget()
    }

    // MARK: WebSocket channels

    /// Serves one connection per port: channel 2i carries the data of port i and 2i+1 its error; each begins with the
    /// port's number in two bytes, little-endian (upstream: portforward/websocket.go).
    func serve(_ connection: WebSocketConnection, _ channels: ChannelProtocol, ports: [UInt16]) async {
        let inputs = ports.map { _ in BoundedChannel<[UInt8]>(limit: 16) }
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // Whatever breaks the connection ends the session.
                while let message = try? await connection.receive() {
                    guard case .data(let channel, let bytes) = try? channels.decode(message), channel % 2 == 0,
                        Int(channel) / 2 < inputs.count, !bytes.isEmpty
                    else { continue }
                    await inputs[Int(channel) / 2].send(bytes)
                }
                for input in inputs { input.finish() }
            }
            group.addTask {
                await withDiscardingTaskGroup { ports_ in
                    for (index, port) in ports.enumerated() {
                        ports_.addTask { await forward(connection, channels, index, port, inputs[index]) }
                    }
                }
            }
            await group.next()
            group.cancelAll()
        }
        await connection.close()
    }

    private func forward(
        _ connection: WebSocketConnection, _ channels: ChannelProtocol, _ index: Int, _ port: UInt16,
        _ input: BoundedChannel<[UInt8]>
    ) async {
        let (data, error) = (UInt8(index * 2), UInt8(index * 2 + 1))
        let number = [UInt8(port & 0xff), UInt8(port >> 8)]
        do {
            try await connection.write(channels.frame(channel: data, number))
            try await connection.write(channels.frame(channel: error, number))
            try await connect(port).executeThenClose { inbound, outbound in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        for try await bytes in inbound {
                            try await connection.write(channels.frame(channel: data, bytes.readableBytesView))
                        }
                    }
                    group.addTask {
                        while let bytes = await input.receive() { try await outbound.write(ByteBuffer(bytes: bytes)) }
                        outbound.finish()
                    }
                    try await group.next()
                    group.cancelAll()
                }
            }
        } catch let problem {
            if Task.isCancelled { return }
            // The client may be gone already.
            try? await connection.write(channels.frame(channel: error, Self.failure(port, problem)))
        }
    }
}
