// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
package import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Answers queries for a service of this machine on its links; it runs only when one comes.
package final class MulticastResponder: Sendable {
    private struct State {
        var advertisement: ServiceAdvertisement
        var channels: [MulticastLink: any Channel] = [:]
        var isOver = false
    }

    private let logger: Logger
    private let state: Mutex<State>

    package init(_ advertisement: ServiceAdvertisement, logger: Logger) {
        state = Mutex(State(advertisement: advertisement))
        self.logger = logger
    }

    /// Answers from now on with this.
    package func replace(_ advertisement: ServiceAdvertisement) { state.withLock { $0.advertisement = advertisement } }

    private var advertisement: ServiceAdvertisement { state.withLock { $0.advertisement } }

    /// Waits for its cancellation, and closes its sockets then.
    package func run() async throws {
        for await _ in AsyncStream<Never>.makeStream().stream {}
        let channels = state.withLock { state in
            state.isOver = true
            defer { state.channels = [:] }
            return state.channels.values
        }
        for channel in channels { channel.close(promise: nil) }
    }

    /// Listens on these links and no others. One that cannot be listened on is logged and left out: others must not suffer,
    /// and nothing depends on being found.
    ///
    /// Not to be called twice at the same time.
    package func setLinks(_ links: [MulticastLink]) async {
        let wanted = Set(links)
        let gone = state.withLock { state in
            let gone = state.channels.filter { !wanted.contains($0.key) }
            for link in gone.keys { state.channels[link] = nil }
            return gone.values
        }
        for channel in gone { channel.close(promise: nil) }
        for link in links where state.withLock({ $0.channels[link] == nil && !$0.isOver }) {
            do {
                let channel = try await open(link)
                let isOver = state.withLock { state in
                    if !state.isOver { state.channels[link] = channel }
                    return state.isOver
                }
                if isOver { channel.close(promise: nil) }
            } catch {
                logger.warning(
                    "Multicast DNS cannot be answered on a link, so others do not find this machine there by it",
                    metadata: ["link": "\(link.name)", "error": "\(error)"])
            }
        }
    }

    private func open(_ link: MulticastLink) async throws -> any Channel {
        let socket = try MulticastSocket.receiver(
            group: MulticastLink.group, port: MulticastLink.port, link: (link.index, link.name)
        ).release()
        return try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { [weak self] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AnsweringHandler(link) { [weak self] in self?.advertisement })
                }
            }
            .withBoundSocket(socket).get()
    }
}

/// How much is answered on one link; no I/O.
struct AnswerBudget {
    /// Answers in a second at most.
    static let limit = 20

    private var second: Int64 = -1
    private var spent = 0
    private var hasMulticast = false

    /// Whether an answer may be sent now. To all at most one in a second (RFC 6762, 6).
    ///
    /// - Parameter second: The present time in whole seconds.
    mutating func allows(multicast: Bool, at second: Int64) -> Bool {
        if second != self.second {
            self.second = second
            spent = 0
            hasMulticast = false
        }
        guard spent < Self.limit, !(multicast && hasMulticast) else { return false }
        spent += 1
        if multicast { hasMulticast = true }
        return true
    }
}

private final class AnsweringHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let advertisement: @Sendable () -> ServiceAdvertisement?
    private let link: MulticastLink
    private var budget = AnswerBudget()

    /// - Parameter advertisement: what is told now; nil when the responder is gone.
    init(_ link: MulticastLink, _ advertisement: @escaping @Sendable () -> ServiceAdvertisement?) {
        self.advertisement = advertisement
        self.link = link
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        // Whoever is not on the link gets nothing, so that nobody is answered in the name of others far away (RFC 6762, 5.5).
        guard let source = envelope.remoteAddress.ipAddress.flatMap({ IPAddress($0) }), link.isNeighbour(source),
            let query = try? DNSMessage(bytes: Array(envelope.data.readableBytesView))  // no message, no answer
        else { return }
        let isLegacy = envelope.remoteAddress.port != Int(MulticastLink.port)
        guard
            let answer = advertisement()?.answer(query, .init(isLegacy: isLegacy, addresses: link.addresses))
        else { return }
        let isForAll = !isLegacy && !query.questions.allSatisfy(\.wantsUnicast)
        let second = Int64(NIODeadline.now().uptimeNanoseconds / 1_000_000_000)
        guard budget.allows(multicast: isForAll, at: second) else { return }
        do {
            let target =
                isForAll
                ? try SocketAddress(ipAddress: "\(MulticastLink.group)", port: Int(MulticastLink.port))
                : envelope.remoteAddress
            context.writeAndFlush(
                wrapOutboundOut(.init(remoteAddress: target, data: ByteBuffer(bytes: answer.bytes))), promise: nil)
        } catch {
            context.fireErrorCaught(error)
        }
    }

    /// A datagram that could not be received or sent is lost, as others are.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
