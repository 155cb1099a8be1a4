// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
package import Logging
package import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// What the connections of a server share.
struct ServerCore: Sendable {
    let handler: any HTTPHandler
    let limits: HTTPServerLimits
    let logger: Logger
    let bodies: BodyBudget
    let date = HTTPDate()

    init(handler: any HTTPHandler, limits: HTTPServerLimits, logger: Logger) {
        self.handler = handler
        self.limits = limits
        self.logger = logger
        bodies = BodyBudget(limit: limits.heldBodyBytes)
    }
}

/// Serves HTTP/1.1 and HTTP/2, with or without TLS, on any number of listening sockets.
///
/// `bind`, then `run()`: requests are answered while it runs. ``shutdown()`` ends it in good order; cancelling the task
/// of `run()` cancels all requests in progress at once.
package final class HTTPServer: Sendable {
    /// Where handlers' tasks run.
    package enum Placement: Sendable {
        /// On the connection's event loop: no change of threads, but a handler must never block.
        case eventLoop
        /// In Swift's concurrent pool.
        case concurrentPool
    }

    private let core: ServerCore
    private let group: any EventLoopGroup
    private let lanes: [RequestLane]
    private let laneOfLoop: [ObjectIdentifier: RequestLane]
    private let connections: ConnectionSet

    package init(
        handler: any HTTPHandler, limits: HTTPServerLimits = .init(), placement: Placement = .concurrentPool,
        group: any EventLoopGroup, logger: Logger
    ) {
        core = ServerCore(handler: handler, limits: limits, logger: logger)
        self.group = group
        connections = ConnectionSet(limit: limits.connections)
        let loops = Array(group.makeIterator())
        switch placement {
        case .eventLoop:
            lanes = loops.map { RequestLane(capacity: limits.queuedRequests, executor: EventLoopTaskExecutor($0)) }
            laneOfLoop = Dictionary(uniqueKeysWithValues: zip(loops.map { ObjectIdentifier($0) }, lanes))
        case .concurrentPool:
            let lane = RequestLane(capacity: limits.queuedRequests, executor: nil)
            lanes = [lane]
            laneOfLoop = Dictionary(uniqueKeysWithValues: loops.map { (ObjectIdentifier($0), lane) })
        }
    }

    /// Listens on a TCP port; 0 takes a free one. The address `0.0.0.0` or `::` stands for all addresses of both families, as
    /// with the servers of Kubernetes (Go's net.Listen); on a machine without IPv6, for those of IPv4.
    ///
    /// - Parameter host: An address. Names are not looked up: the resolver knows no `::` on a machine without network.
    /// - Returns: the address that it listens on.
    package func bind(host: String, port: Int, tls: HTTPServerTLS?) async throws(HTTPTransportError) -> SocketAddress {
        let isEverywhere = IPAddress(host)?.isUnspecified == true
        // SwiftNIO's sockets of IPv6 take IPv4, whatever net.ipv6.bindv6only says.
        let host = !isEverywhere ? host : SystemFacts.hasIPv6 ? "::" : "0.0.0.0"
        let place = HostPort.text(host, port)
        guard let address = try? SocketAddress(ipAddress: host, port: port) else {
            throw HTTPTransportError("listen on \(place)", reason: "\"\(host)\" is not an address")
        }
        return try await bind(place, tls: tls) { bootstrap in
            bootstrap.bind(to: address)
        }
    }

    /// Listens on a unix socket, taking the place of one that a dead process left.
    package func bind(unixSocket path: String) async throws(HTTPTransportError) {
        _ = try await bind(path, tls: nil) { bootstrap in
            bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true)
        }
    }

    private func bind(
        _ place: String, tls: HTTPServerTLS?, _ bind: (ServerBootstrap) -> EventLoopFuture<any Channel>
    ) async throws(HTTPTransportError) -> SocketAddress {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 512)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: core.limits.writeBufferBytes / 2, high: core.limits.writeBufferBytes)
            )
            .childChannelInitializer { [core, laneOfLoop, connections] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let lane = laneOfLoop[ObjectIdentifier(channel.eventLoop)], connections.add(channel) else {
                        throw HTTPTransportError("accept a connection", reason: "there are too many")
                    }
                    Self.setSocketOptions(of: channel)
                    try Self.setUp(channel, core: core, lane: lane, tls: tls)
                }
            }
        do {
            let channel = try await bind(bootstrap).get()
            guard connections.addListener(channel), let address = channel.localAddress else {
                channel.close(promise: nil)
                throw HTTPTransportError("listen on \(place)", reason: "the server has been shut down")
            }
            return address
        } catch let error as HTTPTransportError {
            throw error
        } catch {
            throw HTTPTransportError("listen on \(place)", reason: Self.explain(error))
        }
    }

    private static func explain(_ error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        switch error.errnoCode {
        case EADDRINUSE: return "another process uses this address; stop it or configure another port"
        case EADDRNOTAVAIL: return "this machine does not have this address"
        case EACCES: return "permission denied; ports below 1024 need root"
        default: return "\(error)"
        }
    }

    /// Small answers must not wait for acknowledgements, and dead peers must be noticed (Go's server does both).
    private static func setSocketOptions(of channel: any Channel) {
        guard case .unixDomainSocket? = channel.localAddress else {
            let options = channel.syncOptions
            // A failure means that the peer has gone already.
            try? options?.setOption(.tcpOption(.tcp_nodelay), value: 1)
            try? options?.setOption(.socketOption(.so_keepalive), value: 1)
            return
        }
    }

    private static func setUp(_ channel: any Channel, core: ServerCore, lane: RequestLane, tls: HTTPServerTLS?) throws {
        guard let tls else {
            let peer = HTTPPeer(address: channel.remoteAddress, certificate: nil)
            return try HTTP1ConnectionHandler.install(in: channel, core: core, lane: lane, peer: peer)
        }
        let material = tls.material
        let check = ClientCertificateCheck(tls)
        let handler =
            material.clients == nil
            ? NIOSSLServerHandler(context: material.context)
            : NIOSSLServerHandler(
                context: material.context,
                customVerificationCallback: { chain, promise in
                    check.remember(chain)
                    promise.succeed(.certificateVerified)
                })
        try channel.pipeline.syncOperations.addHandlers([
            handler, ProtocolNegotiationHandler(core: core, lane: lane, check: check),
        ])
    }

    /// Answers requests until ``shutdown()``; returns when all connections are closed.
    package func run() async {
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                for lane in lanes { group.addTask { [handler = core.handler] in await lane.run(handler) } }
                await connections.waitUntilStopping()
                await connections.waitUntilEmpty(grace: core.limits.shutdownGrace, on: self.group.any())
                for lane in lanes { lane.finish() }
                group.cancelAll()
            }
        } onCancel: {
            shutdown()
        }
    }

    /// Stops accepting, lets requests in progress finish for a bounded time, ends streams, then closes everything.
    package func shutdown() { connections.stop() }
}
