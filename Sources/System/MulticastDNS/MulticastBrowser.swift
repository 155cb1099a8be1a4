// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import NIOCore
import NIOPosix
import Synchronization

/// Asks the links of this machine for a service, once; nothing of it stays open.
package struct MulticastBrowser: Sendable {
    /// The question is sent so often, with so long a wait for answers: Wi-Fi loses multicast more often than other packets.
    private static let waits: [Duration] = [.milliseconds(300), .milliseconds(600), .milliseconds(900)]

    private let links: [MulticastLink]

    package init(links: [MulticastLink]) { self.links = links }

    /// The places of a service, of which nothing is proven; empty after about two seconds without an answer.
    ///
    /// - Parameter isWanted: whether a place is worth remembering.
    /// - Throws: when no link can be asked, or the task is cancelled.
    package func find(
        _ service: DNSName, isWanted: @escaping @Sendable (ServiceSighting) -> Bool
    ) async throws -> [ServiceSighting] {
        let query = SharedQuery(.init(service, id: .random(in: 0...(.max)), isWanted: isWanted))
        var channels: [any Channel] = []
        var failure: (any Error)?
        for link in links {
            do { channels.append(try await open(link, query)) } catch { failure = error }
        }
        defer { for channel in channels { channel.close(promise: nil) } }
        if channels.isEmpty, let failure { throw failure }
        let group = try SocketAddress(ipAddress: "\(MulticastLink.group)", port: Int(MulticastLink.port))
        for wait in channels.isEmpty ? [] : Self.waits {
            for channel in channels {
                // One that cannot be sent counts as lost.
                channel.writeAndFlush(
                    AddressedEnvelope(remoteAddress: group, data: ByteBuffer(bytes: query.bytes)), promise: nil)
            }
            try await Task.sleep(for: wait)
            if !query.sightings.isEmpty { break }
        }
        return query.sightings
    }

    private func open(_ link: MulticastLink, _ query: SharedQuery) async throws -> any Channel {
        let socket = try MulticastSocket.sender(link: (link.index, link.name)).release()
        return try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ListeningHandler(query, link))
                }
            }
            .withBoundSocket(socket).get()
    }
}

/// A query that several links answer.
private final class SharedQuery: Sendable {
    let bytes: [UInt8]
    private let query: Mutex<ServiceQuery>

    init(_ query: ServiceQuery) {
        bytes = query.bytes
        self.query = Mutex(query)
    }

    var sightings: [ServiceSighting] { query.withLock { $0.sightings } }

    func receive(_ bytes: [UInt8], from source: IPAddress, port: UInt16, on link: MulticastLink) {
        query.withLock { $0.receive(bytes, from: source, port: port, on: link) }
    }
}

private final class ListeningHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let query: SharedQuery
    private let link: MulticastLink

    init(_ query: SharedQuery, _ link: MulticastLink) {
        self.query = query
        self.link = link
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        guard let source = envelope.remoteAddress.ipAddress.flatMap({ IPAddress($0) }),
            let port = envelope.remoteAddress.port
        else { return }
        query.receive(
            Array(envelope.data.readableBytesView), from: source, port: UInt16(clamping: port), on: link)
    }

    /// A datagram that could not be received or sent is lost, as others are.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
