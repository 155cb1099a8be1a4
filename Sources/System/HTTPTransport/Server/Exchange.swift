// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// A request whose answer takes time, and the task that works on it.
///
/// All mutable state is confined to `loop`: the methods for the sink are called on it, the others go there.
final class Exchange: @unchecked Sendable {
    private let request: HTTPRequest
    /// An answer that is there already but takes time to write.
    private let prepared: HTTPResponse?
    private let loop: any EventLoop

    private var sink: (any ResponseSink)?
    private static let writesBetweenYields = 8
    private var writesSinceYield = 0
    private var isStreaming = false
    private var isCancelled = false
    private var whenOver: CheckedContinuation<Void, Never>?
    private var waitingWriter: Waiter<Void>?

    /// To be called on the loop.
    init(request: HTTPRequest, prepared: HTTPResponse?, loop: any EventLoop, sink: any ResponseSink) {
        self.request = request
        self.prepared = prepared
        self.loop = loop
        self.sink = sink
    }

    // MARK: On the event loop

    /// The peer has gone: cancels the task.
    func peerGone() {
        loop.assertInEventLoop()
        isCancelled = true
        end()
    }

    /// The server stops: ends what would otherwise go on for ever.
    func shutDown() {
        loop.assertInEventLoop()
        guard isStreaming else { return }
        isCancelled = true
        waitingWriter?.cancel()
        resumeOver()
    }

    /// The peer reads again.
    func becameWritable() {
        loop.assertInEventLoop()
        waitingWriter?.resume(returning: ())
        waitingWriter = nil
    }

    private func end() {
        sink = nil
        waitingWriter?.resume(throwing: HTTPTransportError.connectionClosed)
        waitingWriter = nil
        resumeOver()
    }

    private func resumeOver() {
        let over = whenOver
        whenOver = nil
        over?.resume()
    }

    // MARK: In the task

    /// Answers the request; returns when the answer is written or the peer gone.
    ///
    /// The handler runs in a child task, because a task group is what can cancel it from the outside.
    func run(_ handler: any HTTPHandler) async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                await self.serve(handler)
                self.onLoop { self.end() }
            }
            await self.waitUntilOver()
            group.cancelAll()
        }
    }

    private func waitUntilOver() async {
        await withCheckedContinuation { continuation in
            onLoop {
                if self.sink == nil || self.isCancelled {
                    continuation.resume()
                } else {
                    self.whenOver = continuation
                }
            }
        }
    }

    private func serve(_ handler: any HTTPHandler) async {
        let response = if let prepared { prepared } else { await handler.handle(request) }
        switch response.body {
        case .bytes(let body):
            onLoop { self.sink?.respond(response.status, response.headers, body: body) }
        case .stream(let produce):
            onLoop {
                self.isStreaming = true
                self.sink?.begin(response.status, response.headers)
            }
            do {
                try await produce(ExchangeWriter(exchange: self))
                onLoop { self.sink?.finish() }
            } catch {
                // The handler has logged what matters; the peer sees a body that is torn off.
                onLoop { self.sink?.abort() }
            }
        case .upgrade(let converse):
            await upgrade(response, converse)
        }
    }

    private func upgrade(
        _ response: HTTPResponse, _ converse: @Sendable (any DuplexByteStream) async throws -> Void
    ) async {
        let stream: ChannelByteStream? = await withCheckedContinuation { continuation in
            onLoop {
                self.isStreaming = true
                continuation.resume(returning: self.sink?.upgrade(response.status, response.headers))
            }
        }
        guard let stream else { return }
        do {
            try await converse(stream)
        } catch {
            // The conversation is over either way; the peer sees the end of the stream.
        }
        await stream.close()
    }

    /// Writes a piece of a streamed answer and waits until the peer can take more.
    func write(_ bytes: ByteBuffer) async throws {
        try Task.checkCancellation()
        if loop.inEventLoop, let sink, sink.write(bytes) { return await yieldNowAndThen() }
        let isWritten = loop.inEventLoop
        let waiter = Waiter<Void>()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                onLoop {
                    waiter.suspend(continuation)
                    self.wait(waiter, writing: isWritten ? nil : bytes)
                }
            }
        } onCancel: {
            onLoop { waiter.cancel() }
        }
    }

    /// A stream that is taken as fast as it is written must not keep the loop from its other connections.
    private func yieldNowAndThen() async {
        writesSinceYield += 1
        guard writesSinceYield >= Self.writesBetweenYields else { return }
        writesSinceYield = 0
        await Task.yield()
    }

    /// Waits for the loop's next beat.
    func rest() async {
        await withCheckedContinuation { continuation in
            onLoop { StreamBeat.next(on: self.loop) { continuation.resume() } }
        }
    }

    private func wait(_ waiter: Waiter<Void>, writing bytes: ByteBuffer?) {
        guard waiter.isWaiting else { return }
        guard let sink else { return waiter.resume(throwing: HTTPTransportError.connectionClosed) }
        if let bytes, sink.write(bytes) { return waiter.resume(returning: ()) }
        if isCancelled { return waiter.cancel() }
        waitingWriter = waiter
    }

    private func onLoop(_ body: @escaping @Sendable () -> Void) {
        if loop.inEventLoop { body() } else { loop.execute(body) }
    }
}

/// The handler's end of a streamed answer.
private struct ExchangeWriter: HTTPBodyWriter {
    let exchange: Exchange

    func write(_ bytes: ByteBuffer) async throws { try await exchange.write(bytes) }
    func rest() async { await exchange.rest() }
}
