// SPDX-License-Identifier: Apache-2.0

import DequeModule
import NIOCore

/// A channel as a byte stream in both directions: what is left of a connection after an upgrade.
///
/// It reads from the socket only as fast as its reader takes. All mutable state is confined to `loop`.
final class ChannelByteStream: ChannelDuplexHandler, RemovableChannelHandler, DuplexByteStream, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    /// Bytes received and not yet read beyond which nothing more is taken from the socket.
    static let receiveBufferBytes = 64 << 10

    private let channel: any Channel
    private let loop: any EventLoop
    /// Whether the peer takes bytes: false for the body of an answer.
    private let isTwoWay: Bool
    /// Called on the loop when the connection has gone.
    private var onGone: (() -> Void)?

    private var context: ChannelHandlerContext?
    private var received = Deque<ByteBuffer>()
    private var receivedBytes = 0
    private var isAtEnd = false
    private var isClosed = false
    private var readIsHeld = false
    private var reader: Waiter<ByteBuffer?>?
    private var writer: Waiter<Void>?

    /// To be called on the channel's event loop.
    init(channel: any Channel, isTwoWay: Bool = true, onGone: (() -> Void)? = nil) {
        self.channel = channel
        self.isTwoWay = isTwoWay
        self.loop = channel.eventLoop
        self.onGone = onGone
    }

    // MARK: DuplexByteStream

    func read() async throws -> ByteBuffer? {
        let waiter = Waiter<ByteBuffer?>()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                onLoop {
                    waiter.suspend(continuation)
                    self.serve(waiter)
                }
            }
        } onCancel: {
            onLoop { waiter.cancel() }
        }
    }

    func write(_ bytes: ByteBuffer) async throws {
        let waiter = Waiter<Void>()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                onLoop {
                    waiter.suspend(continuation)
                    self.send(bytes, waiter)
                }
            }
        } onCancel: {
            onLoop { waiter.cancel() }
        }
    }

    func close() async {
        await withCheckedContinuation { continuation in
            onLoop {
                self.channel.close(mode: .all, promise: nil)
                continuation.resume()
            }
        }
    }

    // MARK: On the event loop

    private func serve(_ waiter: Waiter<ByteBuffer?>) {
        guard waiter.isWaiting else { return }
        if let bytes = received.popFirst() {
            receivedBytes -= bytes.readableBytes
            waiter.resume(returning: bytes)
            if readIsHeld, receivedBytes < Self.receiveBufferBytes {
                readIsHeld = false
                context?.read()
            }
        } else if isAtEnd {
            waiter.resume(returning: nil)
        } else {
            precondition(reader?.isWaiting != true, "a byte stream has one reader at a time")
            reader = waiter
        }
    }

    private func send(_ bytes: ByteBuffer, _ waiter: Waiter<Void>) {
        guard waiter.isWaiting else { return }
        guard let context, !isClosed, isTwoWay else {
            return waiter.resume(throwing: HTTPTransportError.connectionClosed)
        }
        precondition(writer?.isWaiting != true, "a byte stream has one writer at a time")
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        if channel.isWritable { waiter.resume(returning: ()) } else { writer = waiter }
    }

    private func onLoop(_ body: @escaping @Sendable () -> Void) {
        if loop.inEventLoop { body() } else { loop.execute(body) }
    }

    /// Nothing more will come.
    func reachEnd() {
        guard !isAtEnd else { return }
        isAtEnd = true
        reader?.resume(returning: nil)
        reader = nil
    }

    /// Takes bytes from the connection, or such as its earlier handlers had received already.
    func accept(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        if let reader, reader.isWaiting {
            self.reader = nil
            reader.resume(returning: bytes)
        } else {
            received.append(bytes)
            receivedBytes += bytes.readableBytes
        }
    }

    private func connectionGone() {
        isClosed = true
        reachEnd()
        writer?.resume(throwing: HTTPTransportError.connectionClosed)
        writer = nil
        let gone = onGone
        onGone = nil
        gone?()
    }

    // MARK: ChannelHandler

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        connectionGone()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { accept(unwrapInboundIn(data)) }

    func read(context: ChannelHandlerContext) {
        if receivedBytes >= Self.receiveBufferBytes { readIsHeld = true } else { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            writer?.resume(returning: ())
            writer = nil
        }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { reachEnd() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        connectionGone()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
