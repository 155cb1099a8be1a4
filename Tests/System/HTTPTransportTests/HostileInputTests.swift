// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTransport
import NIOCore
import NIOPosix
import Testing

/// What malformed and malicious peers send: each gets a refusal, and the server goes on.
@Suite(.serialized) struct HostileInputTests {
    /// Sends bytes over a plain connection and returns everything that comes back until the server closes.
    private func converse(
        _ server: RunningServer, port: Int? = nil, _ pieces: [[UInt8]], pause: Duration = .zero
    ) async throws -> String {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port ?? server.plainPort) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        // An upgraded connection, say, has no end of its own.
        let end = channel.channel.eventLoop.scheduleTask(in: .seconds(3)) { channel.channel.close(promise: nil) }
        defer { end.cancel() }
        return try await channel.executeThenClose { inbound, outbound in
            do {
                for piece in pieces {
                    try await outbound.write(ByteBuffer(bytes: piece))
                    try await Task.sleep(for: pause)
                }
            } catch {
                // The server may have had enough before the last piece.
            }
            var answer = ByteBuffer()
            do {
                for try await bytes in inbound { answer.writeImmutableBuffer(bytes) }
            } catch {
                // A reset is an end as well.
            }
            return String(buffer: answer)
        }
    }

    private func expectAlive(_ server: RunningServer) async throws {
        #expect(try await server.curl(server.url + "/hello").output == "hello")
    }

    @Test(arguments: [
        ("GET /hello HTTP/1.1\r\n\r\n", "400"),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        ("GARBAGE\r\n\r\n", "400"),
        ("GET /hello HTTP/3.7\r\nHost: a\r\n\r\n", "505"),
        ("GET hello HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "400"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", "417"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", "413"),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nX\u{0}: b\r\n\r\n", "400"),
    ])
    func answersMalformedRequestsAndCloses(request: String, status: String) async throws {
        try await withServer(TestHandler()) { server in
            let answer = try await converse(server, [Array(request.utf8)])
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
            #expect(answer.contains("Connection: close\r\n"))
            try await expectAlive(server)
        }
    }

    @Test func refusesLargeHeaders() async throws {
        try await withServer(TestHandler()) { server in
            let long = "GET /hello HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 70_000))\r\n\r\n"
            do {
                let answer = try await converse(server, [Array(long.utf8)])
                #expect(answer.hasPrefix("HTTP/1.1 431 "))
            }
            let many = "GET /hello HTTP/1.1\r\nHost: a\r\n" + String(repeating: "X: y\r\n", count: 200) + "\r\n"
            do {
                let answer = try await converse(server, [Array(many.utf8)])
                #expect(answer.hasPrefix("HTTP/1.1 431 "))
            }
        }
    }

    @Test func answersPipelinedRequestsInOrder() async throws {
        try await withServer(TestHandler()) { server in
            let one = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
            let slow = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nslow"
            let last = "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            let answer = try await converse(server, [Array((one + slow + one + slow + slow + last).utf8)])
            let bodies = answer.components(separatedBy: "\r\n\r\n").dropFirst().map { $0.prefix(5) }
            #expect(bodies == ["hello", "slowH", "hello", "slowH", "slowH", "no su"], "\(answer)")
        }
    }

    @Test func asksForBodiesThatWaitForIt() async throws {
        try await withServer(TestHandler()) { server in
            let head = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
            let answer = try await converse(server, [Array((head + "Connection: close\r\n\r\nhi").utf8)])
            #expect(answer.hasPrefix("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"))
            #expect(answer.hasSuffix("hi"))
        }
    }

    @Test func cutsOffThoseThatDawdle() async throws {
        var limits = HTTPServerLimits()
        limits.handshakeTimeout = .seconds(1)
        limits.headerTimeout = .seconds(1)
        limits.idleTimeout = .seconds(1)
        limits.bodyTimeout = .seconds(1)
        try await withServer(TestHandler(), limits: limits) { server in
            do {
                let answer = try await converse(server, port: server.port, [[0x16, 0x03]])
                #expect(answer == "")
            }
            do {
                let answer = try await converse(server, [Array("GET /hel".utf8)])
                #expect(answer == "")
            }
            #expect(
                try await converse(server, [Array("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n".utf8)]).hasSuffix("hello"))
            let body = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"
            do {
                let answer = try await converse(server, [Array(body.utf8)])
                #expect(answer.hasPrefix("HTTP/1.1 408 "))
            }
        }
    }

    @Test func aBodyThatTricklesInRunsOutOfTime() async throws {
        var limits = HTTPServerLimits()
        limits.bodyTimeout = .seconds(1)
        try await withServer(TestHandler(), limits: limits) { server in
            let head = Array("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n".utf8)
            let answer = try await converse(
                server, [head] + Array(repeating: [0x61], count: 8), pause: .milliseconds(300))
            #expect(answer.hasPrefix("HTTP/1.1 408 "), "\(answer)")
        }
    }

    /// Nobody who sends many bodies at once, and finishes none, takes all the memory.
    @Test func holdsNoMoreBodiesThanItMay() async throws {
        var limits = HTTPServerLimits()
        limits.heldBodyBytes = 100_000
        try await withServer(TestHandler(), limits: limits) { server in
            let fields = "Host: a\r\nContent-Length: 70000\r\nConnection: close\r\n\r\n"
            let head = Array("POST /echo HTTP/1.1\r\n\(fields)".utf8)
            let most = [UInt8](repeating: 0x61, count: 60_000)
            let rest = [UInt8](repeating: 0x61, count: 10_000)
            try await withThrowingTaskGroup(of: String.self) { group in
                group.addTask { try await converse(server, [head + most, [], rest], pause: .milliseconds(500)) }
                try await Task.sleep(for: .milliseconds(200))
                let answer = try await converse(server, [head + most + rest])
                #expect(answer.hasPrefix("HTTP/1.1 503 "), "\(answer.prefix(100))")
                #expect(answer.contains("Retry-After: 1\r\n"))
                let small = String(repeating: "b", count: 20_000)
                #expect(try await server.curl("-f", "-d", small, server.url + "/echo").output == small)
                #expect(try await group.next()?.hasPrefix("HTTP/1.1 200 ") == true)
            }
            // What was held has been given back.
            let answer = try await converse(server, [head + most + rest])
            #expect(answer.hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test func closesConnectionsBeyondTheLimit() async throws {
        var limits = HTTPServerLimits()
        limits.connections = 3
        limits.headerTimeout = .seconds(1)
        try await withServer(TestHandler(), limits: limits) { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<3 { group.addTask { _ = try await converse(server, []) } }
                try await Task.sleep(for: .milliseconds(300))
                #expect(try await server.curl(server.url + "/hello").status != 0)
                try await group.waitForAll()
            }
            try await expectAlive(server)
        }
    }

    @Test(arguments: 0..<4)
    func survivesNoise(seed: UInt64) async throws {
        var limits = HTTPServerLimits()
        limits.handshakeTimeout = .milliseconds(100)
        limits.headerTimeout = .milliseconds(100)
        limits.idleTimeout = .milliseconds(100)
        limits.bodyTimeout = .milliseconds(100)
        try await withServer(TestHandler(), limits: limits) { server in
            var random = Noise(state: seed &+ 1)
            await withTaskGroup(of: Void.self) { group in
                for round in 0..<60 {
                    let pieces = random.pieces()
                    let port = round % 3 == 0 ? server.port : server.plainPort
                    group.addTask {
                        // Any answer will do, or none: the server has to survive.
                        _ = try? await converse(server, port: port, pieces)
                    }
                }
            }
            try await expectAlive(server)
        }
    }

    @Test func survivesBrokenHTTP2() async throws {
        try await withServer(TestHandler()) { server in
            let preface = "PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n"
            let frames = [
                // SETTINGS on a stream, HEADERS of stream 0, an oversized frame, a CONTINUATION from nowhere.
                #"\x00\x00\x00\x04\x00\x00\x00\x00\x01"#,
                #"\x00\x00\x01\x01\x05\x00\x00\x00\x00\x82"#,
                #"\xff\xff\xff\x00\x00\x00\x00\x00\x01"#,
                #"\x00\x00\x01\x09\x04\x00\x00\x00\x03\x82"#,
                #"\x00\x00\x04\x03\x00\x00\x00\x00\x05\x00\x00\x00\x08"#,
                #"\x00\x00\x03\x01\x05\x00\x00\x00\x01\xff\xff\xff"#,
            ]
            for frame in frames {
                let script = """
                    (printf '\(preface)\\x00\\x00\\x00\\x04\\x00\\x00\\x00\\x00\\x00\(frame)'; sleep 0.3) |
                    timeout 5 openssl s_client -quiet -alpn h2 -connect 127.0.0.1:\(server.port) >/dev/null 2>&1
                    """
                _ = try await run("sh", ["-c", script])
                try await expectAlive(server)
            }
        }
    }
}

/// Requests with random damage, in random pieces.
private struct Noise {
    var state: UInt64

    mutating func next(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % bound
    }

    mutating func pieces() -> [[UInt8]] {
        let templates = [
            "GET /hello HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
            "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nraw",
            "GET /stream HTTP/1.0\r\n\r\n",
        ]
        var bytes: [UInt8] = []
        for _ in 0...next(3) { bytes += Array(templates[next(templates.count)].utf8) }
        for _ in 0..<next(6) {
            switch next(3) {
            case 0: bytes[next(bytes.count)] = UInt8(next(256))
            case 1: bytes.remove(at: next(bytes.count))
            default: bytes.insert(UInt8(next(256)), at: next(bytes.count))
            }
        }
        var pieces: [[UInt8]] = []
        while !bytes.isEmpty {
            let count = min(bytes.count, 1 + next(40))
            pieces.append(Array(bytes.prefix(count)))
            bytes.removeFirst(count)
        }
        return pieces
    }
}
