// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Sends one HTTP GET over a connection of its own, as probes and hooks do (upstream: pkg/probe/http).
///
/// Certificates are not verified: the kubelet cannot know the container's authorities. A redirect to the same host is followed;
/// one to another host is the answer, for nobody could say whose health that other host tells.
enum HTTPProber {
    /// The bytes of an answer's body that are kept for the event.
    private static let bodyLimit = 10 << 10
    /// As Go's client has it.
    private static let maximumRedirects = 10

    struct Answer: Sendable {
        var status: Int
        var body: String
        /// Where a redirect leads; empty in other answers.
        var location = ""
    }

    /// The answer's status and the beginning of its body.
    static func get(_ action: HTTPGetAction, userAgent: String, on group: any EventLoopGroup) async throws -> Answer {
        var action = action
        for _ in 0...maximumRedirects {
            let answer = try await getOnce(action, userAgent: userAgent, on: group)
            guard let next = action.redirected(to: answer.location), next.host == action.host else { return answer }
            action = next
        }
        throw ConfigurationError("stopped after \(maximumRedirects) redirects")
    }

    private static func getOnce(
        _ action: HTTPGetAction, userAgent: String, on group: any EventLoopGroup
    ) async throws -> Answer {
        let isSecure = action.isSecure
        let tls = try isSecure ? unverifiedTLS() : nil
        let host = action.host
        let channel = try await ClientBootstrap(group: group)
            .connect(host: host, port: action.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(handler(tls, host)) }
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
                        wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            // At once: a server that answers after the head has closed the connection before a second write.
            try await outbound.write(contentsOf: [.head(head(action, userAgent)), .end(nil)])
            return try await read(inbound)
        }
    }

    private static func unverifiedTLS() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        return try NIOSSLContext(configuration: configuration)
    }

    private static func handler(_ context: NIOSSLContext, _ host: String) throws -> NIOSSLClientHandler {
        // An address is no server name (RFC 6066, section 3).
        let isAddress = host.contains(":") || host.allSatisfy { $0.isNumber || $0 == "." }
        return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host)
    }

    private static func head(_ action: HTTPGetAction, _ userAgent: String) -> HTTPRequestHead {
        var headers = HTTPHeaders()
        for header in action.headers { headers.add(name: header.name, value: header.value) }
        if !headers.contains(name: "host") {
            headers.add(name: "host", value: HostPort.text(action.host, action.port))
        }
        if !headers.contains(name: "user-agent") { headers.add(name: "user-agent", value: userAgent) }
        if !headers.contains(name: "accept") { headers.add(name: "accept", value: "*/*") }
        headers.replaceOrAdd(name: "connection", value: "close")
        let path = action.path.hasPrefix("/") ? action.path : "/\(action.path)"
        return HTTPRequestHead(version: .http1_1, method: .GET, uri: path, headers: headers)
    }

    private static func read(_ inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>) async throws -> Answer {
        var (status, location) = (0, "")
        var body: [UInt8] = []
        loop: for try await part in inbound {
            switch part {
            case .head(let head):
                status = Int(head.status.code)
                if [301, 302, 303, 307, 308].contains(status) { location = head.headers.first(name: "location") ?? "" }
            case .body(let bytes):
                body += bytes.readableBytesView.prefix(bodyLimit - body.count)
                if body.count >= bodyLimit { break loop }
            case .end: break loop
            }
        }
        if status == 0 { throw ConfigurationError("EOF") }
        return Answer(status: status, body: String(decoding: body, as: UTF8.self), location: location)
    }
}

/// Asks whether something listens (upstream: pkg/probe/tcp).
enum TCPProber {
    static func connect(host: String, port: Int, on group: any EventLoopGroup) async throws {
        let channel = try await ClientBootstrap(group: group).connect(host: host, port: port).get()
        // It listens; how the connection ends is of no interest.
        try? await channel.close()
    }
}
