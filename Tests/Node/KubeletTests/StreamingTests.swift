// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import LinuxSystem
import NIOCore
import NIOHTTP1
import PodRuntime
import Testing

@testable import Kubelet

/// One end of a byte stream in memory.
struct MemoryStream: DuplexByteStream {
    let incoming: BoundedChannel<ByteBuffer>
    let outgoing: BoundedChannel<ByteBuffer>

    static func pair() -> (MemoryStream, MemoryStream) {
        let (a, b) = (BoundedChannel<ByteBuffer>(limit: 64), BoundedChannel<ByteBuffer>(limit: 64))
        return (MemoryStream(incoming: a, outgoing: b), MemoryStream(incoming: b, outgoing: a))
    }

    func read() async throws -> ByteBuffer? { await incoming.receive() }
    func write(_ bytes: ByteBuffer) async throws { await outgoing.send(bytes) }
    func close() async { outgoing.finish() }
}

@Suite("Remote sessions")
struct StreamingTests {
    /// A client's frame, masked with zeros.
    private func frame(_ payload: [UInt8]) -> ByteBuffer {
        ByteBuffer(bytes: [0x82, 0x80 | UInt8(payload.count), 0, 0, 0, 0] + payload)
    }

    @Test("a WebSocket session carries input, output, errors, sizes and the outcome")
    func webSocket() async throws {
        let (client, server) = MemoryStream.pair()
        let session = WebSocketRemoteSession(
            connection: WebSocketConnection(server), channels: ChannelProtocol.remoteCommand[0],
            options: .init(stdin: true, stdout: true, stderr: true))
        try await client.write(frame([0] + Array("hi".utf8)))
        try await client.write(frame([4] + Array("{\"Width\":80,\"Height\":24}".utf8)))
        try await client.write(frame([255, 0]))
        #expect(try await session.receive() == .stdin(Array("hi".utf8)))
        #expect(try await session.receive() == .resize(width: 80, height: 24))
        #expect(try await session.receive() == .stdinClosed)
        try await session.send(Array("out".utf8), isError: false)
        try await session.send(Array("err".utf8), isError: true)
        await session.finish(.exited(3))
        #expect(try await client.read() == ByteBuffer(bytes: [0x82, 4, 1] + Array("out".utf8)))
        #expect(try await client.read() == ByteBuffer(bytes: [0x82, 4, 2] + Array("err".utf8)))
        let status = try #require(try await client.read())
        let text = String(buffer: status)
        #expect(text.contains("\"reason\":\"NonZeroExitCode\""))
        #expect(text.contains("\"message\":\"3\""))
        #expect(try await client.read() == ByteBuffer(bytes: [0x88, 2, 0x03, 0xe8]))
        #expect(try await client.read() == nil)
    }

    @Test(
        "a log over a WebSocket begins with an empty message and ends with a close",
        arguments: ["", "base64.binary.k8s.io"])
    func webSocketLog(protocolName: String) async throws {
        let (client, server) = MemoryStream.pair()
        let frame = try #require(KubeletHandler.logFrame(protocolName))
        await KubeletHandler.serveLog(WebSocketConnection(server), frame) { send in try await send(Array("line".utf8)) }
        let (kind, payload): (UInt8, String) = protocolName.isEmpty ? (0x82, "line") : (0x81, "bGluZQ==")
        #expect(try await client.read() == ByteBuffer(bytes: [kind, 0]))
        #expect(
            try await client.read() == ByteBuffer(bytes: [kind, UInt8(payload.utf8.count)] + Array(payload.utf8)))
        #expect(try await client.read() == ByteBuffer(bytes: [0x88, 2, 0x03, 0xe8]))
        #expect(KubeletHandler.logFrame("v5.channel.k8s.io") == nil)
    }

    @Test("several producers wait for room in one queue, and all of them go on")
    func producers() async {
        let channel = BoundedChannel<Int>(limit: 1)
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<4 { group.addTask { await channel.send(number) } }
            // So that they wait at the same time.
            for _ in 0..<1000 { await Task.yield() }
            var received: Set<Int> = []
            while received.count < 4, let number = await channel.receive() { received.insert(number) }
            #expect(received == [0, 1, 2, 3])
        }
    }

    @Test("a SPDY session waits for its streams and carries them")
    func spdy() async throws {
        let (client, server) = MemoryStream.pair()
        let connection = SPDYConnection(server)
        let deflater = try SPDYHeaderDeflater()
        for (id, type) in [(1, "error"), (3, "stdin"), (5, "stdout")] as [(UInt32, String)] {
            let block = deflater.deflate(SPDYHeaders.encode([("streamType", type)]))
            let bytes = SPDYEncoder.encode(.synStream(id: id, headers: block, isFinal: false))
            try await client.write(ByteBuffer(bytes: bytes))
        }
        try await client.write(ByteBuffer(bytes: SPDYEncoder.encode(.data(id: 3, [104, 105], isFinal: true))))
        var decoder = SPDYDecoder()
        var frames: [SPDYFrame] = []
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await connection.run() }
            let session = try await SPDYRemoteSession(
                connection, options: .init(stdin: true, stdout: true), protocolName: "v4.channel.k8s.io")
            group.addTask { await session.pump() }
            #expect(try await session.receive() == .stdin([104, 105]))
            #expect(try await session.receive() == .stdinClosed)
            try await session.send(Array("out".utf8), isError: false)
            await session.finish(.exited(0))
            await connection.close()
            while let bytes = try await client.read() { frames += try decoder.feed(bytes.readableBytesView) }
            client.outgoing.finish()
            group.cancelAll()
        }
        #expect(frames.contains(.data(id: 5, Array("out".utf8), isFinal: false)))
        #expect(frames.contains(.data(id: 5, [], isFinal: true)))
        var report: [UInt8] = []
        for case .data(1, let bytes, false) in frames { report += bytes }
        #expect(try JSON.parse(report)["status"] == "Success")
        #expect(frames.filter { if case .synReply = $0 { true } else { false } }.count == 3)
    }

    @Test("a bounded channel holds its producer up and hands everything out")
    func boundedChannel() async {
        let channel = BoundedChannel<Int>(limit: 2)
        await withTaskGroup(of: Int.self) { group in
            group.addTask {
                for number in 0..<1000 { await channel.send(number) }
                channel.finish()
                return 0
            }
            group.addTask {
                var sum = 0
                while let number = await channel.receive() { sum += number }
                return sum
            }
            var total = 0
            for await part in group { total += part }
            #expect(total == 499_500)
        }
    }
}
