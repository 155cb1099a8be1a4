// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// Receives the answer to an ``HTTPUpgradeClient``'s request and makes a stream of what follows.
final class UpgradeResponseHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let encoder: HTTPRequestEncoder
    private let decoder: ByteToMessageHandler<HTTPResponseDecoder>
    private let attempt: String
    private let timeout: TimeAmount
    /// Nil once it is fulfilled.
    private var answer: EventLoopPromise<HTTPUpgradeExchange>?
    private var deadline: ConnectionDeadline?
    private var upgradeHead: HTTPResponseHead?
    private var body: ChannelByteStream?

    init(
        encoder: HTTPRequestEncoder, decoder: ByteToMessageHandler<HTTPResponseDecoder>,
        answer: EventLoopPromise<HTTPUpgradeExchange>, attempt: String, timeout: TimeAmount
    ) {
        self.encoder = encoder
        self.decoder = decoder
        self.answer = answer
        self.attempt = attempt
        self.timeout = timeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        let deadline = ConnectionDeadline(loop: context.eventLoop) { [weak self] in
            self?.fail("no answer in time", bound.value)
        }
        deadline.set(timeout)
        self.deadline = deadline
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            deadline?.cancel()
            // The message's end comes right behind a 101 and must not reach the stream.
            if head.status == .switchingProtocols { upgradeHead = head } else { beginBody(head, context) }
        case .body(let bytes): body?.accept(bytes)
        case .end:
            if let head = upgradeHead { upgrade(head, context) } else { body?.reachEnd() }
        }
    }

    private func beginBody(_ head: HTTPResponseHead, _ context: ChannelHandlerContext) {
        let stream = ChannelByteStream(channel: context.channel, isTwoWay: false)
        do {
            try context.pipeline.syncOperations.addHandler(stream, position: .last)
        } catch {
            return fail("\(error)", context)
        }
        body = stream
        succeed(HTTPUpgradeExchange(head: head, stream: stream, channel: context.channel))
    }

    private func upgrade(_ head: HTTPResponseHead, _ context: ChannelHandlerContext) {
        let stream = ChannelByteStream(channel: context.channel)
        let pipeline = context.pipeline.syncOperations
        do {
            try pipeline.addHandler(stream, position: .last)
        } catch {
            return fail("\(error)", context)
        }
        pipeline.removeHandler(self, promise: nil)
        pipeline.removeHandler(encoder, promise: nil)
        // Last, and only after the present call: it hands over the bytes that it holds. Whoever reads or writes
        // must find it gone.
        let exchange = HTTPUpgradeExchange(head: head, stream: stream, channel: context.channel)
        let answer = answer
        self.answer = nil
        pipeline.removeHandler(decoder).whenComplete { _ in answer?.succeed(exchange) }
    }

    private func succeed(_ exchange: HTTPUpgradeExchange) {
        let answer = answer
        self.answer = nil
        answer?.succeed(exchange)
    }

    private func fail(_ reason: String, _ context: ChannelHandlerContext) {
        let answer = answer
        self.answer = nil
        answer?.fail(HTTPTransportError(attempt, reason: reason))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail("the server closed the connection without an answer", context)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail("\(error)", context) }
}
