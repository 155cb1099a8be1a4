// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import NIOHTTP2

/// One HTTP/2 connection: closes it when it is idle or the server stops, in good order (GOAWAY).
///
/// It lives on the connection's event loop.
final class HTTP2ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private let limits: HTTPServerLimits
    private var context: ChannelHandlerContext?
    private var deadline: ConnectionDeadline?
    private var openStreams = 0
    private var isQuiescing = false

    init(limits: HTTPServerLimits) { self.limits = limits }

    /// Puts HTTP/2 at the end of a connection's pipeline.
    static func install(in channel: any Channel, core: ServerCore, lane: RequestLane, peer: HTTPPeer) throws {
        let connection = HTTP2ConnectionHandler(limits: core.limits)
        let bound = NIOLoopBound(connection, eventLoop: channel.eventLoop)
        var connectionConfiguration = NIOHTTP2Handler.ConnectionConfiguration()
        connectionConfiguration.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: core.limits.streamsPerConnection),
            HTTP2Setting(parameter: .maxHeaderListSize, value: core.limits.headerBytes),
        ]
        var streamConfiguration = NIOHTTP2Handler.StreamConfiguration()
        streamConfiguration.outboundBufferSizeHighWatermark = core.limits.writeBufferBytes
        streamConfiguration.outboundBufferSizeLowWatermark = core.limits.writeBufferBytes / 2
        _ = try channel.pipeline.syncOperations.configureHTTP2Pipeline(
            mode: .server, connectionConfiguration: connectionConfiguration, streamConfiguration: streamConfiguration
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandlers([
                    HTTP2FramePayloadToHTTP1ServerCodec(),
                    HTTP2StreamHandler(core: core, lane: lane, peer: peer, connection: bound.value),
                ])
            }
        }
        try channel.pipeline.syncOperations.addHandler(connection)
    }

    func streamOpened() {
        openStreams += 1
        deadline?.clear()
    }

    func streamClosed() {
        openStreams -= 1
        guard openStreams == 0 else { return }
        if isQuiescing {
            context?.close(promise: nil)
        } else {
            deadline?.set(limits.idleTimeout)
        }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let deadline = ConnectionDeadline(loop: context.eventLoop) { [weak self] in self?.quiesce() }
        deadline.set(limits.headerTimeout)
        self.deadline = deadline
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        deadline?.cancel()
    }

    /// Frames of the connection as a whole (SETTINGS, PING, ...): the codec has acted on them.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent { quiesce() } else { context.fireUserInboundEventTriggered(event) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Errors of one stream are dealt with by the codec, which resets the stream.
        if !(error is NIOHTTP2Errors.StreamError) { context.close(promise: nil) }
    }

    private func quiesce() {
        guard !isQuiescing, let context else { return }
        isQuiescing = true
        let goAway = HTTP2Frame(
            streamID: .rootStream, payload: .goAway(lastStreamID: .maxID, errorCode: .noError, opaqueData: nil))
        context.writeAndFlush(wrapOutboundOut(goAway), promise: nil)
        if openStreams == 0 { context.close(promise: nil) }
    }
}
