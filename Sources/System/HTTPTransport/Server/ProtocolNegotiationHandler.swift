// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOSSL
import NIOTLS

/// Waits for the end of the TLS handshake and sets up the protocol that it chose (ALPN).
final class ProtocolNegotiationHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any

    private let core: ServerCore
    private let lane: RequestLane
    private let check: ClientCertificateCheck
    private var deadline: ConnectionDeadline?

    init(core: ServerCore, lane: RequestLane, check: ClientCertificateCheck) {
        self.core = core
        self.lane = lane
        self.check = check
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        let deadline = ConnectionDeadline(loop: context.eventLoop) { channel.close(promise: nil) }
        deadline.set(core.limits.handshakeTimeout)
        self.deadline = deadline
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted(let negotiated)? = event as? TLSUserEvent {
            do {
                try setUp(negotiated, context)
            } catch {
                context.close(promise: nil)
            }
        } else if event is ChannelShouldQuiesceEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    private func setUp(_ negotiated: String?, _ context: ChannelHandlerContext) throws {
        let pipeline = context.pipeline.syncOperations
        let verdict = check.verdict(
            on: context.channel, leaf: try pipeline.handler(type: NIOSSLServerHandler.self).peerCertificate)
        let peer = HTTPPeer(
            address: context.channel.remoteAddress, certificate: verdict.certificate, certificateError: verdict.reason)
        if negotiated == "h2" {
            try HTTP2ConnectionHandler.install(in: context.channel, core: core, lane: lane, peer: peer)
        } else {
            try HTTP1ConnectionHandler.install(in: context.channel, core: core, lane: lane, peer: peer)
        }
        pipeline.removeHandler(context: context, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        core.logger.debug("TLS handshake failed", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }
}
