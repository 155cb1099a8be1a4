// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
package import NIOCore
package import NIOHTTP1
import NIOPosix
import NIOSSL

/// Sends one request over a connection of its own and hands back whatever comes of it: an upgraded byte stream or an
/// answer with its body. It is what a proxy needs (exec, attach, port-forward, logs).
package struct HTTPUpgradeClient: Sendable {
    package struct Target: Sendable {
        package var host: String
        package var port: Int
        /// Nil for plain HTTP.
        package var tls: HTTPClientTLS?

        package init(host: String, port: Int, tls: HTTPClientTLS?) {
            self.host = host
            self.port = port
            self.tls = tls
        }
    }

    private let group: any EventLoopGroup
    private let connectTimeout: TimeAmount
    private let responseTimeout: TimeAmount

    /// - Parameter responseTimeout: from the request until the answer's head.
    package init(
        group: any EventLoopGroup, connectTimeout: TimeAmount = .seconds(10), responseTimeout: TimeAmount = .seconds(60)
    ) {
        self.group = group
        self.connectTimeout = connectTimeout
        self.responseTimeout = responseTimeout
    }

    /// Connects, sends the request and waits for the head of the answer.
    ///
    /// - Parameters:
    ///   - headers: as they are to be sent; `Host` and `Content-Length` are added where they are missing.
    /// - Throws: ``HTTPTransportError`` when there is no connection or no answer.
    package func open(
        _ target: Target, method: HTTPMethod, uri: String, headers: HTTPHeaders, body: ByteBuffer = ByteBuffer()
    ) async throws -> HTTPUpgradeExchange {
        let attempt = "\(method) \(uri) at \(HostPort.text(target.host, target.port))"
        guard uri.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw HTTPTransportError(attempt, reason: "the path holds a space or control character")
        }
        let context = try target.tls.map { try NIOSSLContext(configuration: $0.configuration()) }
        let loop = group.next()
        let answer = loop.makePromise(of: HTTPUpgradeExchange.self)
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try Self.setUp(channel, target, context, answer, attempt, timeout: responseTimeout)
                }
            }
        let channel: any Channel
        do {
            channel = try await bootstrap.connect(host: target.host, port: target.port).get()
        } catch {
            let failure = HTTPTransportError(attempt, reason: "\(error)")
            answer.fail(failure)
            throw failure
        }
        let head = Self.head(target, method, uri, headers, bodyBytes: body.readableBytes)
        return try await withTaskCancellationHandler {
            channel.write(HTTPClientRequestPart.head(head), promise: nil)
            if body.readableBytes > 0 {
                channel.write(HTTPClientRequestPart.body(.byteBuffer(body)), promise: nil)
            }
            channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
            return try await answer.futureResult.get()
        } onCancel: {
            channel.close(promise: nil)
        }
    }

    private static func head(
        _ target: Target, _ method: HTTPMethod, _ uri: String, _ headers: HTTPHeaders, bodyBytes: Int
    ) -> HTTPRequestHead {
        var headers = headers
        if !headers.contains(name: "host") {
            headers.add(name: "Host", value: HostPort.text(target.host, target.port))
        }
        headers.remove(name: "transfer-encoding")
        if bodyBytes > 0 || [.POST, .PUT, .PATCH].contains(method) {
            headers.replaceOrAdd(name: "Content-Length", value: String(bodyBytes))
        }
        return HTTPRequestHead(version: .http1_1, method: method, uri: uri, headers: headers)
    }

    private static func setUp(
        _ channel: any Channel, _ target: Target, _ context: NIOSSLContext?,
        _ answer: EventLoopPromise<HTTPUpgradeExchange>, _ attempt: String, timeout: TimeAmount
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        if let context {
            // An address is verified against the certificate's addresses and must not be sent as a name (RFC 6066).
            let isAddress = (try? SocketAddress(ipAddress: target.host, port: 0)) != nil
            try pipeline.addHandler(
                NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : target.host))
        }
        let encoder = HTTPRequestEncoder()
        let decoder = ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .forwardBytes))
        try pipeline.addHandlers([
            encoder, decoder,
            UpgradeResponseHandler(
                encoder: encoder, decoder: decoder, answer: answer, attempt: attempt, timeout: timeout),
        ])
    }
}

/// What came of a request: the answer's head and a stream. The connection is closed when this is released.
package final class HTTPUpgradeExchange: Sendable {
    package let status: HTTPResponseStatus
    package let headers: HTTPHeaders
    /// Whether the connection has left HTTP (101); otherwise ``stream`` is the body, for reading only.
    package let isUpgraded: Bool
    package let stream: any DuplexByteStream
    private let channel: any Channel

    init(head: HTTPResponseHead, stream: ChannelByteStream, channel: any Channel) {
        status = head.status
        headers = head.headers
        isUpgraded = head.status == .switchingProtocols
        self.stream = stream
        self.channel = channel
    }

    deinit { channel.close(promise: nil) }

    /// The answer for the client of a proxy: passed through as it comes, without what belongs to this connection only.
    package var response: HTTPResponse {
        guard !isUpgraded else {
            return HTTPResponse(
                status: status, headers: headers,
                body: .upgrade { client in await relay(client, self.stream) })
        }
        var headers = headers
        for name in headers[canonicalForm: "connection"] { headers.remove(name: String(name)) }
        for name in ["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-authenticate", "te", "trailer"]
        {
            headers.remove(name: name)
        }
        return HTTPResponse(
            status: status, headers: headers,
            body: .stream { writer in
                while let bytes = try await self.stream.read() { try await writer.write(bytes) }
            })
    }
}

/// Copies bytes between two streams in both directions until one of them ends, then closes both.
package func relay(_ one: any DuplexByteStream, _ other: any DuplexByteStream) async {
    await withTaskGroup(of: Void.self) { group in
        for (source, destination) in [(one, other), (other, one)] {
            group.addTask {
                do {
                    while let bytes = try await source.read() { try await destination.write(bytes) }
                } catch {
                    // Either end going away ends the conversation; there is nobody to tell.
                }
            }
        }
        await group.next()
        group.cancelAll()
    }
    await one.close()
    await other.close()
}
