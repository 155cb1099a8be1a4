// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// One HTTP/2 stream: one request and its answer.
final class HTTP2StreamHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let core: ServerCore
    private let lane: RequestLane
    private let connection: HTTP2ConnectionHandler

    private var context: ChannelHandlerContext?
    private var deadline: ConnectionDeadline?
    private var assembler: RequestAssembler
    private var exchange: Exchange?
    private var method = HTTPMethod.GET
    private var isAnswered = false
    private var isRequestComplete = false

    init(core: ServerCore, lane: RequestLane, peer: HTTPPeer, connection: HTTP2ConnectionHandler) {
        self.core = core
        self.lane = lane
        self.connection = connection
        self.assembler = RequestAssembler(peer: peer, core: core)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        connection.streamOpened()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        connection.streamClosed()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isAnswered else { return }
        switch assembler.receive(unwrapInboundIn(data)) {
        case .wait: break
        case .sendContinue:
            let head = HTTPResponseHead(version: .http2, status: .continue)
            context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
        case .dispatch(let request, _): dispatch(request, context)
        case .refuse(let status, let reason): respond(refusing: status, reason)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if assembler.isReceiving, deadline == nil {
            let deadline = ConnectionDeadline(loop: context.eventLoop) { [weak self] in
                self?.respond(refusing: .requestTimeout, "the request body did not arrive in time")
            }
            deadline.set(core.limits.bodyTimeout)
            self.deadline = deadline
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { exchange?.becameWritable() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        isAnswered = true
        exchange?.peerGone()
        exchange = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent { exchange?.shutDown() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func dispatch(_ request: HTTPRequest, _ context: ChannelHandlerContext) {
        deadline?.cancel()
        isRequestComplete = true
        method = request.method
        let prepared = core.handler.handleImmediately(request)
        if let prepared, case .bytes(let body) = prepared.body {
            return respond(prepared.status, prepared.headers, body: body)
        }
        let exchange = Exchange(request: request, prepared: prepared, loop: context.eventLoop, sink: self)
        self.exchange = exchange
        if !lane.submit(exchange) {
            respond(refusing: .serviceUnavailable, "the server is overloaded")
        }
    }

    private func send(_ part: HTTPServerResponsePart) { context?.write(wrapOutboundOut(part), promise: nil) }

    private func head(_ status: HTTPResponseStatus, _ headers: HTTPHeaders, length: Int?) -> HTTPServerResponsePart {
        var headers = headers
        for name in ["connection", "transfer-encoding", "keep-alive", "upgrade"] { headers.remove(name: name) }
        headers.replaceOrAdd(name: "date", value: core.date.now())
        if let length { headers.replaceOrAdd(name: "content-length", value: String(length)) }
        return .head(HTTPResponseHead(version: .http2, status: status, headers: headers))
    }

    private func end() {
        isAnswered = true
        exchange = nil
        context?.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        // The rest of a refused request is not wanted.
        if !isRequestComplete { context?.close(promise: nil) }
    }
}

extension HTTP2StreamHandler: ResponseSink {
    func respond(_ status: HTTPResponseStatus, _ headers: HTTPHeaders, body: ByteBuffer) {
        guard !isAnswered else { return }
        let isBodiless = status.code == 204 || status.code == 304
        send(head(status, headers, length: isBodiless ? nil : body.readableBytes))
        if method != .HEAD, !isBodiless, body.readableBytes > 0 { send(.body(.byteBuffer(body))) }
        end()
    }

    func begin(_ status: HTTPResponseStatus, _ headers: HTTPHeaders) {
        guard !isAnswered else { return }
        send(head(status, headers, length: nil))
        context?.flush()
    }

    func write(_ bytes: ByteBuffer) -> Bool {
        guard !isAnswered, let context, bytes.readableBytes > 0, method != .HEAD else { return true }
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
        return context.channel.isWritable
    }

    func finish() {
        if !isAnswered { end() }
    }

    func abort() {
        isAnswered = true
        context?.close(promise: nil)
    }

    /// HTTP/2 knows no upgrade (RFC 9113, section 8.6); clients that want one use HTTP/1.1.
    func upgrade(_ status: HTTPResponseStatus, _ headers: HTTPHeaders) -> ChannelByteStream? {
        respond(.upgradeRequired, [:], body: ByteBuffer(string: "this request needs an HTTP/1.1 upgrade\n"))
        return nil
    }
}
