// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOCore
import NIOHTTP1
import PodRuntime

/// exec, attach and port-forward.
extension KubeletHandler {
    /// Seconds that a client has to open its streams (upstream: DefaultStreamCreationTimeout).
    private static let streamCreationTimeout = 30

    func remoteCommand(
        _ request: HTTPRequest, _ target: RequestTarget, _ key: ObjectKey, _ uid: String?, _ name: String
    ) throws -> HTTPResponse {
        let worker = try worker(key, uid: uid)
        let id = try runningContainer(worker, name)
        let isExec = target.path[0] != "attach"
        let tty = isExec ? target.flag("tty") : worker.pod.container(named: name)?.tty ?? false
        let wanted = { (short: String, long: String) in target.flag(short) || target.flag(long) }
        let options = RemoteStreamOptions(
            stdin: wanted("input", "stdin"), stdout: wanted("output", "stdout"), stderr: wanted("error", "stderr"),
            tty: tty)
        guard options.stdin || options.stdout || options.stderr else {
            throw StatusError.badRequest("you must specify at least 1 of stdin, stdout, stderr")
        }
        let command = target.values("command")
        if isExec, command.isEmpty { throw StatusError.badRequest("you must specify a command") }
        let runtime = context.runtime
        let run: @Sendable (any RemoteSession) async -> RemoteOutcome = { session in
            let client = RemoteProcessClient(session: session)
            let streams = ProcessStreamOptions(
                stdin: options.stdin, stdout: options.stdout, stderr: options.stderr, tty: options.tty)
            do {
                guard isExec else {
                    try await runtime.attach(id, options: streams, client: client)
                    return .exited(0)
                }
                return .exited(try await runtime.exec(id, command: command, options: streams, client: client))
            } catch {
                return .failed("\(error)")
            }
        }
        return try upgrade(request, options, run)
    }

    /// Changes to the protocol that the client asks for.
    private func upgrade(
        _ request: HTTPRequest, _ options: RemoteStreamOptions,
        _ run: @escaping @Sendable (any RemoteSession) async -> RemoteOutcome
    ) throws -> HTTPResponse {
        if request.wantsWebSocket {
            guard let channels = ChannelProtocol.negotiate(request.subprotocols, from: ChannelProtocol.remoteCommand)
            else { throw StatusError.badRequest("unable to negotiate a subprotocol") }
            return try webSocket(request, channels.name) { stream in
                await Self.serve(WebSocketConnection(stream), channels, options, run)
            }
        }
        guard request.wantsSPDY else { throw StatusError.badRequest("Upgrade request required") }
        let offered = request.headers[canonicalForm: "X-Stream-Protocol-Version"].map(String.init)
        let supported = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"]
        guard let name = offered.isEmpty ? "channel.k8s.io" : offered.first(where: supported.contains) else {
            return .text(
                "unable to negotiate protocol: client supports \(offered), server supports \(supported)",
                status: .forbidden)
        }
        return spdy(name) { stream in
            let connection = SPDYConnection(stream)
            await Self.serve(connection, name, options, run)
        }
    }

    private static func serve(
        _ connection: WebSocketConnection, _ channels: ChannelProtocol, _ options: RemoteStreamOptions,
        _ run: @escaping @Sendable (any RemoteSession) async -> RemoteOutcome
    ) async {
        let session = WebSocketRemoteSession(connection: connection, channels: channels, options: options)
        do { try await session.begin() } catch { return }
        // The client's frames are read throughout, so that pings are answered and its going away is seen.
        let queue = QueuedRemoteSession(session)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await queue.pump() }
            group.addTask { await queue.finish(run(queue)) }
            // The command's end ends the session, and so does the client's going away.
            await group.next()
            group.cancelAll()
        }
    }

    private static func serve(
        _ connection: SPDYConnection, _ name: String, _ options: RemoteStreamOptions,
        _ run: @escaping @Sendable (any RemoteSession) async -> RemoteOutcome
    ) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // A client that breaks the protocol is cut off.
                try? await connection.run()
            }
            group.addTask {
                do {
                    guard
                        let session = try await withTimeout(
                            seconds: streamCreationTimeout,
                            {
                                try await SPDYRemoteSession(connection, options: options, protocolName: name)
                            })
                    else { return }
                    await withTaskGroup(of: Void.self) { inner in
                        inner.addTask { await session.pump() }
                        await session.finish(run(session))
                        inner.cancelAll()
                    }
                } catch { return }
            }
            await group.next()
            group.cancelAll()
        }
        await connection.close()
    }

    // MARK: Port-forward

    func portForward(_ request: HTTPRequest, _ target: RequestTarget, _ key: ObjectKey) throws -> HTTPResponse {
        let worker = try worker(key)
        guard let sandbox = worker.sandbox else {
            throw StatusError.badRequest("unable to forward port because pod is not running. Current status=Pending")
        }
        let forwarder = PortForwarder(namespace: sandbox.networkNamespace, eventLoops: context.eventLoops)
        if request.wantsWebSocket {
            let offered = request.subprotocols
            // Newer kubectl tunnels SPDY through the WebSocket (KEP-4006).
            if let tunnel = offered.first(where: { $0 == "SPDY/3.1+portforward.k8s.io" }) {
                return try webSocket(request, tunnel) { stream in
                    let transport = WebSocketByteStream(connection: WebSocketConnection(stream))
                    await forwarder.serve(SPDYConnection(transport))
                }
            }
            guard let channels = ChannelProtocol.negotiate(offered, from: ChannelProtocol.portForward) else {
                throw StatusError.badRequest("unable to negotiate a subprotocol")
            }
            let ports = target.values("port").flatMap { $0.split(separator: ",") }.compactMap { UInt16($0) }
            guard !ports.isEmpty else { throw StatusError.badRequest("query parameter \"port\" is required") }
            return try webSocket(request, channels.name) { stream in
                await forwarder.serve(WebSocketConnection(stream), channels, ports: ports)
            }
        }
        guard request.wantsSPDY else { throw StatusError.badRequest("Upgrade request required") }
        return spdy("portforward.k8s.io") { stream in await forwarder.serve(SPDYConnection(stream)) }
    }

    // MARK: Upgrades

    func webSocket(
        _ request: HTTPRequest, _ name: String, _ serve: @escaping @Sendable (any DuplexByteStream) async -> Void
    ) throws -> HTTPResponse {
        guard let key = request.headers.first(name: "Sec-WebSocket-Key"),
            request.headers.first(name: "Sec-WebSocket-Version") == "13"
        else { throw StatusError.badRequest("malformed WebSocket handshake") }
        var headers: HTTPHeaders = [
            "Upgrade": "websocket", "Connection": "Upgrade",
            "Sec-WebSocket-Accept": WebSocketHandshake.accept(key: key),
        ]
        if !name.isEmpty { headers.add(name: "Sec-WebSocket-Protocol", value: name) }
        return HTTPResponse(status: .switchingProtocols, headers: headers, body: .upgrade { await serve($0) })
    }

    private func spdy(
        _ name: String, _ serve: @escaping @Sendable (any DuplexByteStream) async -> Void
    ) -> HTTPResponse {
        let headers: HTTPHeaders = [
            "Upgrade": "SPDY/3.1", "Connection": "Upgrade", "X-Stream-Protocol-Version": name,
        ]
        return HTTPResponse(status: .switchingProtocols, headers: headers, body: .upgrade { await serve($0) })
    }
}

extension HTTPRequest {
    private func upgrades(to name: String) -> Bool {
        headers[canonicalForm: "Upgrade"].contains { $0.lowercased() == name }
            && headers[canonicalForm: "Connection"].contains { $0.lowercased() == "upgrade" }
    }

    var wantsWebSocket: Bool { upgrades(to: "websocket") }
    var wantsSPDY: Bool { upgrades(to: "spdy/3.1") }
    /// What the client offers in `Sec-WebSocket-Protocol`.
    var subprotocols: [String] { headers[canonicalForm: "Sec-WebSocket-Protocol"].map(String.init) }
}

/// A WebSocket session whose input is read all the time and queued, whoever wants it when.
final class QueuedRemoteSession: RemoteSession {
    private let session: WebSocketRemoteSession
    private let inputs = BoundedChannel<RemoteInput>(limit: 16)

    init(_ session: WebSocketRemoteSession) { self.session = session }

    /// Reads until the client is gone.
    func pump() async {
        defer { inputs.finish() }
        // Whatever breaks the connection ends the session.
        while let input = try? await session.receive() { await inputs.send(input) }
    }

    func receive() async throws -> RemoteInput? { await inputs.receive() }
    func send(_ bytes: [UInt8], isError: Bool) async throws { try await session.send(bytes, isError: isError) }
    func finish(_ outcome: RemoteOutcome) async { await session.finish(outcome) }
}
