// SPDX-License-Identifier: Apache-2.0

import DequeModule
import NIOCore
import NIOHTTP1

/// One HTTP/1 connection: takes requests one after the other, whole answers immediately where the handler can.
///
/// While a request is being answered nothing is read; parts that were decoded already wait in `pending`, which one read
/// from the socket bounds.
final class HTTP1ConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    /// Bodies up to this size are copied behind the head, to go out in the same TLS record.
    private static let coalescedBodyBytes = 16 << 10
    /// After an early answer the peer may still be sending; so long its bytes are thrown away, lest the kernel's reset
    /// destroys the answer on its way (Go's server does the same).
    private static let lingerTimeout = TimeAmount.milliseconds(500)

    /// The answer in progress.
    private struct Answer {
        let version: HTTPVersion
        let method: HTTPMethod
        let mayUpgrade: Bool
        var keepsAlive: Bool
        var isChunked = false
        var exchange: Exchange?
    }

    private let core: ServerCore
    private let lane: RequestLane
    private let peer: HTTPPeer
    private let decoder: ByteToMessageHandler<HTTPRequestDecoder>

    private var context: ChannelHandlerContext?
    private var deadline: ConnectionDeadline?
    private var assembler: RequestAssembler
    private var pending = Deque<HTTPServerRequestPart>()
    private var answer: Answer?
    /// Whether the time for the body that is on its way runs.
    private var isBodyTimed = false
    private var isReading = false
    private var readIsHeld = false
    private var needsFlush = false
    private var isClosing = false
    private var isQuiescing = false

    init(core: ServerCore, lane: RequestLane, peer: HTTPPeer, decoder: ByteToMessageHandler<HTTPRequestDecoder>) {
        self.core = core
        self.lane = lane
        self.peer = peer
        self.decoder = decoder
        self.assembler = RequestAssembler(peer: peer, core: core)
    }

    /// Puts HTTP/1 at the end of a connection's pipeline.
    static func install(in channel: any Channel, core: ServerCore, lane: RequestLane, peer: HTTPPeer) throws {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = core.limits.headerBytes
        limits.maxHeaderListSize = core.limits.headerBytes
        limits.maxHeaderFieldCount = core.limits.headerFields
        let decoder = ByteToMessageHandler(
            HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: limits))
        try channel.pipeline.syncOperations.addHandlers([
            decoder, HTTP1ConnectionHandler(core: core, lane: lane, peer: peer, decoder: decoder),
        ])
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let deadline = ConnectionDeadline(loop: context.eventLoop) { [weak self] in self?.timedOut() }
        deadline.set(core.limits.headerTimeout)
        self.deadline = deadline
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        deadline?.cancel()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        isReading = true
        if answer == nil {
            process(unwrapInboundIn(data))
        } else {
            pending.append(unwrapInboundIn(data))
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        if needsFlush { flush() }
        // Once for the whole body: bytes that trickle in would keep it for ever.
        if assembler.isReceiving, !isBodyTimed {
            isBodyTimed = true
            deadline?.set(core.limits.bodyTimeout)
        }
    }

    func read(context: ChannelHandlerContext) {
        if answer == nil { context.read() } else { readIsHeld = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { answer?.exchange?.becameWritable() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        isClosing = true
        deadline?.cancel()
        answer?.exchange?.peerGone()
        answer = nil
        pending.removeAll()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is ChannelShouldQuiesceEvent else { return context.fireUserInboundEventTriggered(event) }
        isQuiescing = true
        if answer == nil, !assembler.isReceiving {
            close()
        } else {
            answer?.keepsAlive = false
            answer?.exchange?.shutDown()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError, !isClosing else { return context.close(promise: nil) }
        guard answer == nil else {
            // A malformed request behind a good one: the good one is answered first.
            answer?.keepsAlive = false
            return
        }
        switch error {
        case .headerOverflow: refuse(.requestHeaderFieldsTooLarge, "the header is too large")
        case .invalidVersion: refuse(.httpVersionNotSupported, "unsupported HTTP version")
        default: refuse(.badRequest, "malformed request")
        }
    }

    private func timedOut() {
        if assembler.isReceiving {
            refuse(.requestTimeout, "the request body did not arrive in time")
        } else {
            close()
        }
    }

    // MARK: Requests

    private func process(_ part: HTTPServerRequestPart) {
        switch assembler.receive(part) {
        case .wait: break
        case .sendContinue:
            var buffer = ByteBuffer()
            buffer.writeStaticString("HTTP/1.1 100 Continue\r\n\r\n")
            context?.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        case .dispatch(let request, let head): dispatch(request, head)
        case .refuse(let status, let reason): refuse(status, reason)
        }
    }

    private func dispatch(_ request: HTTPRequest, _ head: HTTPRequestHead) {
        deadline?.clear()
        isBodyTimed = false
        // The decoder stops at a request that asks for an upgrade; if none comes of it, the connection is of no more use.
        let mayUpgrade = head.version == .http1_1 && head.headers.contains(name: "upgrade")
        answer = Answer(
            version: head.version, method: head.method, mayUpgrade: mayUpgrade,
            keepsAlive: head.isKeepAlive && !mayUpgrade && head.method != .CONNECT && !isQuiescing)
        let prepared = core.handler.handleImmediately(request)
        if let prepared, case .bytes(let body) = prepared.body {
            return respond(prepared.status, prepared.headers, body: body)
        }
        guard let context else { return }
        let exchange = Exchange(request: request, prepared: prepared, loop: context.eventLoop, sink: self)
        answer?.exchange = exchange
        if !lane.submit(exchange) {
            respond(refusing: .serviceUnavailable, "the server is overloaded")
        }
    }

    /// Answers a request that is not going to be read any further, and closes.
    private func refuse(_ status: HTTPResponseStatus, _ reason: String) {
        answer = Answer(version: .http1_1, method: .GET, mayUpgrade: false, keepsAlive: false)
        respond(refusing: status, reason)
    }

    // MARK: Answers

    private func write(
        head status: HTTPResponseStatus, _ headers: HTTPHeaders, framing: HTTP1Encoder.Framing, room: Int
    ) -> ByteBuffer? {
        guard let answer, let context else { return nil }
        var buffer = context.channel.allocator.buffer(capacity: 512 + room)
        HTTP1Encoder.writeHead(
            status, headers, framing: framing, date: core.date.now(),
            closes: !answer.keepsAlive && !answer.mayUpgrade
                || status != .switchingProtocols && !answer.keepsAlive,
            version: answer.version, isUpgrade: status == .switchingProtocols, to: &buffer)
        return buffer
    }

    /// Whether the protocol forbids this answer a body.
    private func isBodiless(_ status: HTTPResponseStatus) -> Bool {
        status.code == 204 || status.code == 304 || status.code < 200
    }

    private func send(_ buffer: ByteBuffer) { context?.write(wrapOutboundOut(buffer), promise: nil) }

    private func flush() {
        needsFlush = false
        context?.flush()
    }

    /// The answer is written: goes on with the next request, or closes.
    private func complete() {
        let keepsAlive = answer?.keepsAlive ?? false
        answer = nil
        guard keepsAlive, !isQuiescing else {
            flush()
            return closeLingering()
        }
        if isReading { needsFlush = true } else { flush() }
        deadline?.set(core.limits.idleTimeout)
        guard !pending.isEmpty || readIsHeld else { return }
        while answer == nil, !isClosing, let part = pending.popFirst() { process(part) }
        if needsFlush, !isReading { flush() }
        if answer == nil, readIsHeld, !isClosing {
            readIsHeld = false
            context?.read()
        }
    }

    private func close() {
        isClosing = true
        context?.close(promise: nil)
    }

    private func closeLingering() {
        isClosing = true
        pending.removeAll()
        guard let context else { return }
        deadline?.set(Self.lingerTimeout)
        context.close(mode: .output, promise: nil)
        if readIsHeld {
            readIsHeld = false
            context.read()
        }
    }
}

// MARK: - Where exchanges write

extension HTTP1ConnectionHandler: ResponseSink {
    func respond(_ status: HTTPResponseStatus, _ headers: HTTPHeaders, body: ByteBuffer) {
        guard let answer else { return }
        let length = body.readableBytes
        let omitsBody = answer.method == .HEAD || isBodiless(status)
        let isCoalesced = !omitsBody && length <= Self.coalescedBodyBytes
        guard
            var buffer = write(
                head: status, headers, framing: isBodiless(status) ? .none : .length(length),
                room: isCoalesced ? length : 0)
        else { return }
        if isCoalesced { buffer.writeImmutableBuffer(body) }
        send(buffer)
        if !isCoalesced, !omitsBody { send(body) }
        complete()
    }

    func begin(_ status: HTTPResponseStatus, _ headers: HTTPHeaders) {
        guard let answer else { return }
        let framing: HTTP1Encoder.Framing =
            isBodiless(status) ? .none : answer.version.minor == 0 ? .close : .chunked
        self.answer?.isChunked = if case .chunked = framing { true } else { false }
        if case .close = framing { self.answer?.keepsAlive = false }
        guard let buffer = write(head: status, headers, framing: framing, room: 0) else { return }
        send(buffer)
        flush()
    }

    func write(_ bytes: ByteBuffer) -> Bool {
        guard let answer, let context else { return true }
        guard bytes.readableBytes > 0, answer.method != .HEAD else { return context.channel.isWritable }
        guard answer.isChunked else {
            send(bytes)
            flush()
            return context.channel.isWritable
        }
        let isCoalesced = bytes.readableBytes <= Self.coalescedBodyBytes
        var chunk = context.channel.allocator.buffer(capacity: 16 + (isCoalesced ? bytes.readableBytes : 0))
        HTTP1Encoder.writeChunkHead(length: bytes.readableBytes, to: &chunk)
        if isCoalesced {
            chunk.writeImmutableBuffer(bytes)
            chunk.writeStaticString("\r\n")
            send(chunk)
        } else {
            send(chunk)
            send(bytes)
            send(ByteBuffer(staticString: "\r\n"))
        }
        flush()
        return context.channel.isWritable
    }

    func finish() {
        guard let answer else { return }
        if answer.isChunked, answer.method != .HEAD { send(ByteBuffer(staticString: "0\r\n\r\n")) }
        complete()
    }

    func abort() {
        answer = nil
        close()
    }

    func upgrade(_ status: HTTPResponseStatus, _ headers: HTTPHeaders) -> ChannelByteStream? {
        guard let answer, let context else { return nil }
        guard answer.mayUpgrade else {
            respond(.upgradeRequired, [:], body: ByteBuffer(string: "this request needs an HTTP/1.1 upgrade\n"))
            return nil
        }
        var headers = headers
        if !headers.contains(name: "connection") { headers.add(name: "Connection", value: "Upgrade") }
        guard let buffer = write(head: .switchingProtocols, headers, framing: .none, room: 0) else { return nil }
        send(buffer)
        flush()
        return leave(context, exchange: answer.exchange)
    }

    /// Makes a byte stream of the connection. The decoder goes last: it hands over what it holds.
    private func leave(_ context: ChannelHandlerContext, exchange: Exchange?) -> ChannelByteStream? {
        let stream = ChannelByteStream(channel: context.channel) { exchange?.peerGone() }
        let pipeline = context.pipeline.syncOperations
        do {
            try pipeline.addHandler(stream, position: .last)
        } catch {
            close()
            return nil
        }
        answer = nil
        deadline?.cancel()
        if readIsHeld { context.read() }
        pipeline.removeHandler(self, promise: nil)
        pipeline.removeHandler(decoder, promise: nil)
        return stream
    }
}
