// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import Synchronization

/// A TCP server on loopback that reads HTTP requests and answers with whatever bytes a script says, also none.
final class ScriptedServer: Sendable {
    /// A request as it came.
    struct Request: Sendable {
        let method: String
        /// Path and query.
        let target: String
        /// By names in lower case.
        let headers: [String: String]
        let body: String
    }

    /// What to do with a request.
    enum Answer: Sendable {
        case bytes([UInt8], close: Bool = false)
        /// Says nothing and keeps the connection.
        case hang
    }

    typealias Script = @Sendable (_ request: Request, _ number: Int) -> Answer

    let port: Int
    private let channel: any Channel
    private let log: Log

    private final class Log: Sendable {
        let requests = Mutex<[Request]>([])
    }

    var requests: [Request] { log.requests.withLock { $0 } }

    private init(channel: any Channel, port: Int, log: Log) {
        (self.channel, self.port, self.log) = (channel, port, log)
    }

    static func start(_ script: @escaping Script) async throws -> ScriptedServer {
        let log = Log()
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(script: script, log: log))
                }
            }
        let channel = try await bootstrap.bind(host: "127.0.0.1", port: 0).get()
        return ScriptedServer(channel: channel, port: channel.localAddress?.port ?? 0, log: log)
    }

    func stop() async throws { try await channel.close() }

    /// A whole response.
    static func response(
        _ status: String, headers: [(String, String)] = [], body: [UInt8] = [], length: Int? = nil, close: Bool = false
    ) -> Answer {
        var head = "HTTP/1.1 \(status)\r\nContent-Length: \(length ?? body.count)\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        return .bytes(Array((head + "\r\n").utf8) + body, close: close)
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        let script: Script
        let log: Log
        var input: [UInt8] = []

        init(script: @escaping Script, log: Log) { (self.script, self.log) = (script, log) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            input += Array(unwrapInboundIn(data).readableBytesView)
            while let request = takeRequest() {
                let number = log.requests.withLock { requests in
                    requests.append(request)
                    return requests.count
                }
                guard case .bytes(let bytes, let close) = script(request, number) else { continue }
                let promise = context.eventLoop.makePromise(of: Void.self)
                if close {
                    let channel = context.channel
                    promise.futureResult.whenComplete { _ in channel.close(promise: nil) }
                }
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: promise)
            }
        }

        private func takeRequest() -> Request? {
            let text = String(decoding: input, as: UTF8.self)
            let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
            guard let blank = lines.firstIndex(of: ""), lines.count > blank + 1 else { return nil }
            var headers: [String: String] = [:]
            for line in lines[1..<blank] {
                let parts = line.split(separator: ":", maxSplits: 1)
                if parts.count == 2 { headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " }) }
            }
            let headLength = lines[..<blank].reduce(0) { $0 + $1.utf8.count + 2 } + 2
            let length = headers["content-length"].flatMap { Int($0) } ?? 0
            guard input.count >= headLength + length else { return nil }
            let body = String(decoding: input[headLength..<(headLength + length)], as: UTF8.self)
            input.removeFirst(headLength + length)
            let words = lines[0].split(separator: " ").map(String.init)
            guard words.count == 3 else { return nil }
            return Request(method: words[0], target: words[1], headers: headers, body: body)
        }
    }
}
