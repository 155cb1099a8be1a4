// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import HTTPTransport
import JSON
import KubeAPI
import LinuxSystem
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import PKI
import Synchronization

/// Sends requests to whichever of the servers answers, with retries where the server asks for them.
final class HTTPSTransport: Sendable {
    struct Request: Sendable {
        var method: HTTPMethod
        /// Path and query.
        var url: String
        var body: [UInt8]?
        var contentType = "application/json"
        var isWatch = false
        /// To the end of the answer's head; nil for what is usual.
        var timeout: TimeAmount?
    }

    let limits: HTTPSClientConfiguration.Limits
    private let choice: Mutex<ServerChoice>
    private let discover: (@Sendable () async -> [String])?
    /// Requests that find the server gone look for another one together.
    private let search = SingleFlight<SearchResult>()
    private let userAgent: String
    private let client: Mutex<HTTPClient>
    private let makeClient: @Sendable () -> HTTPClient
    private let tokens: TokenSource
    private let tls: Mutex<TLSConfiguration>
    private let logger: Logger
    private let group: any EventLoopGroup

    init(
        _ configuration: HTTPSClientConfiguration, group: any EventLoopGroup, logger: Logger
    ) throws(HTTPTransportError) {
        limits = configuration.limits
        choice = Mutex(ServerChoice(configuration.servers, canDiscover: configuration.discover != nil))
        discover = configuration.discover
        userAgent = configuration.userAgent
        tokens = TokenSource(configuration.token, lifetime: configuration.limits.tokenLifetime)
        tls = Mutex(try configuration.tls.configuration())
        var settings = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: configuration.limits.connectTimeout, read: configuration.limits.silenceTimeout))
        settings.connectionPool.retryConnectionEstablishment = false
        let patience = configuration.limits.acknowledgementTimeout
        let name = configuration.serverName
        // They run when the handshake is over, and before a request gets the connection.
        settings.http1_1ConnectionDebugInitializer = { Self.prepare($0, patience: patience, serverName: name) }
        settings.http2ConnectionDebugInitializer = { Self.prepare($0, patience: patience, serverName: name) }
        let final = settings
        makeClient = { HTTPClient(eventLoopGroupProvider: .shared(group), configuration: final) }
        client = Mutex(makeClient())
        self.logger = logger
        self.group = group
    }

    /// A client that nobody closed gives its connections back all the same; closing twice does nothing.
    deinit { client.withLock { $0 }.shutdown { _ in } }

    func shutdown() async throws {
        do {
            try await client.withLock { $0 }.shutdown()
        } catch let error as HTTPClientError where error == .alreadyShutdown {
            // That is what is wanted.
        }
    }

    /// Closes all connections, with whatever goes on over them, and begins with new ones: an address that this machine does
    /// not have any more gets no answers, and nobody says so.
    func reconnect() {
        let old = exchange()
        choice.withLock { $0.doubt() }
        // Its requests fail, and are made again by those who need them.
        old.shutdown { _ in }
    }

    /// Begins with new connections and closes the old ones when the requests over them have had their time; watches end then
    /// and are opened again.
    func retireConnections() {
        let old = exchange()
        group.next().scheduleTask(in: limits.requestTimeout) { old.shutdown { _ in } }
    }

    private func exchange() -> HTTPClient {
        client.withLock { client in
            let old = client
            client = makeClient()
            return old
        }
    }

    /// Takes other servers from now on.
    func replace(_ servers: [String]) { choice.withLock { $0.replace(servers) } }

    /// Makes a new connection ready for requests, or refuses and closes it.
    ///
    /// NIOSSL has verified the chain and the host, which anybody with a certificate for its own address passes, also where a name
    /// was asked for: so the name is looked for here.
    private static func prepare(
        _ channel: any Channel, patience: TimeAmount, serverName: String?
    ) -> EventLoopFuture<Void> {
        if let serverName {
            do {
                let handler = try channel.pipeline.syncOperations.handler(type: NIOSSLClientHandler.self)
                guard let certificate = try handler.peerCertificate.map({ try Certificate(der: $0.toDERBytes()) }),
                    certificate.alternativeNames.dnsNames.contains(serverName)
                else { throw NotAServer(name: serverName) }
            } catch {
                // After the pool has been told, which takes a connection that closes before for one that is to be replaced.
                channel.eventLoop.execute { channel.close(promise: nil) }
                return channel.eventLoop.makeFailedFuture(error)
            }
        }
        return limitSilence(of: channel, to: patience)
    }

    /// Sets TCP_USER_TIMEOUT (18 in linux/tcp.h).
    private static func limitSilence(of channel: any Channel, to time: TimeAmount) -> EventLoopFuture<Void> {
        channel.setOption(
            ChannelOptions.tcpOption(.init(rawValue: 18)), value: .init(clamping: time.nanoseconds / 1_000_000))
    }

    /// Connections from now on use this.
    func replace(_ tls: HTTPClientTLS) throws(HTTPTransportError) {
        let configuration = try tls.configuration()
        self.tls.withLock { $0 = configuration }
    }

    /// Sends a request and returns the answer's JSON.
    ///
    /// - Throws: ``StatusError`` when the API refuses, ``ClientError`` when there is no answer.
    func json(_ request: Request) async throws -> JSON {
        let response = try await send(request)
        do {
            let body = try await response.body.collect(upTo: limits.responseBytes)
            return try body.withUnsafeReadableBytes { try JSON.parse($0) }
        } catch {
            throw try failure(request, error)
        }
    }

    /// Sends a request and returns the answer once its head says that it went well.
    func send(_ request: Request) async throws -> HTTPClientResponse {
        var attempt = 1
        while true {
            let response = try await sendToAnyServer(request)
            if (200..<300).contains(response.status.code) { return response }
            if response.status == .unauthorized { tokens.forget() }
            let pause = retryPause(response, attempt)
            let refusal = await statusError(response)
            guard let pause else { throw refusal }
            attempt += 1
            try await Task.sleep(for: pause)
        }
    }

    /// How long to wait before trying again; nil when the answer is final (client-go retries the same answers).
    private func retryPause(_ response: HTTPClientResponse, _ attempt: Int) -> Duration? {
        let isPutOff = response.status == .tooManyRequests || response.status.code >= 500
        guard isPutOff, attempt < limits.attempts,
            let seconds = response.headers.first(name: "retry-after").flatMap(Int.init), seconds >= 0
        else { return nil }
        return min(.seconds(seconds), limits.retryPause)
    }

    private func statusError(_ response: HTTPClientResponse) async -> StatusError {
        // A body that does not come or is no Status leaves the code, which says enough.
        let body = try? await response.body.collect(upTo: 1 << 20)
        if let body, let json = try? body.withUnsafeReadableBytes({ try JSON.parse($0) }),
            let status = StatusError(json)
        {
            return status
        }
        let text = body.map { String(buffer: $0).prefix(1_000) } ?? ""
        return StatusError(
            code: Int(response.status.code), reason: StatusError.reason(forCode: Int(response.status.code)),
            message: text.isEmpty ? "the server answered \(response.status)" : String(text))
    }

    /// Sends a request to the server that answered last; when it does not, to another one that does.
    private func sendToAnyServer(_ request: Request) async throws -> HTTPClientResponse {
        var isSecond = false
        while true {
            let server = try await reachableServer(request)
            do {
                let response = try await execute(request, server: server)
                choice.withLock { $0.answered(by: server) }
                return response
            } catch {
                if Task.isCancelled { throw CancellationError() }
                let maySearch = choice.withLock { choice in
                    choice.failed(server)
                    return choice.needsSearch(at: .now)
                }
                guard !isSecond, maySearch, Self.mayTryAnother(request, after: error) else {
                    throw try failure(request, error, server)
                }
                isSecond = true
            }
        }
    }

    // MARK: Finding a server

    /// The server to ask: the one that answered last, unless it has failed; then one is looked for.
    ///
    /// - Throws: ``ClientError`` where none answers.
    private func reachableServer(_ request: Request) async throws -> String {
        let (server, needsSearch) = choice.withLock { ($0.preferred, $0.needsSearch(at: .now)) }
        guard needsSearch else { return server }
        let result = try await search.run { [self] in
            let (server, needsSearch) = choice.withLock { ($0.preferred, $0.needsSearch(at: .now)) }
            return needsSearch ? await searchServer() : SearchResult(server: server)
        }
        try Task.checkCancellation()
        if let found = result.server { return found }
        throw ClientError(
            request: "\(request.method) \(server)\(request.url)",
            reason: "no API server answers: \(result.failures.joined(separator: "; "))")
    }

    private struct SearchResult: Sendable {
        var server: String?
        /// Why those that were tried are not it.
        var failures: [String] = []
    }

    /// Asks all servers, and when none answers those that can be discovered.
    private func searchServer() async -> SearchResult {
        let candidates = choice.withLock { $0.candidates }
        var result = await firstToAnswer(candidates)
        if result.server == nil, !Task.isCancelled, let discover {
            let others = await discover().filter { !candidates.contains($0) }
            let further = await firstToAnswer(Array(others.prefix(limits.discoveredServers)))
            result = SearchResult(server: further.server, failures: result.failures + further.failures)
        }
        if Task.isCancelled { return result }
        choice.withLock { choice in
            if let found = result.server { choice.answered(by: found) } else { choice.searchFailed(at: .now) }
        }
        if let found = result.server, found != candidates.first {
            logger.notice("Found the API at another address", metadata: ["server": "\(found)"])
        }
        return result
    }

    /// The first server that answers, whatever it says: the connection has proven who it is. They are asked one after the
    /// other without waiting for those before (as RFC 8305 connects to addresses).
    private func firstToAnswer(_ servers: [String]) async -> SearchResult {
        await withTaskGroup(of: SearchResult.self) { group in
            for (index, server) in servers.enumerated() {
                group.addTask { [self] in
                    do {
                        try await Task.sleep(for: ServerChoice.headStart * index)
                        let probe = Request(method: .GET, url: "/livez", timeout: limits.probeTimeout)
                        _ = try await execute(probe, server: server).body.collect(upTo: 1 << 20)
                        return SearchResult(server: server)
                    } catch {
                        return SearchResult(failures: ["\(server): \(words(error).prefix(200))"])
                    }
                }
            }
            var all = SearchResult()
            for await result in group {
                all.failures += result.failures
                guard let server = result.server else { continue }
                all.server = server
                group.cancelAll()
                break
            }
            return all
        }
    }

    /// A request that may have been acted upon must not be repeated, unless that does no harm.
    ///
    /// ENETUNREACH (101), ECONNREFUSED (111) and EHOSTUNREACH (113) come before a request is sent.
    private static func mayTryAnother(_ request: Request, after error: any Error) -> Bool {
        if request.method == .GET || error is NIOConnectionError || error is NIOSSLError || error is NotAServer {
            return true
        }
        if let error = error as? IOError { return [101, 111, 113].contains(error.errnoCode) }
        return error as? HTTPClientError == .connectTimeout
    }

    private func execute(_ request: Request, server: String) async throws -> HTTPClientResponse {
        var outgoing = HTTPClientRequest(url: server + request.url)
        outgoing.method = request.method
        outgoing.tlsConfiguration = tls.withLock { $0 }
        outgoing.headers.add(name: "Accept", value: "application/json")
        outgoing.headers.add(name: "User-Agent", value: userAgent)
        if let token = try tokens.current() { outgoing.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let body = request.body {
            outgoing.headers.add(name: "Content-Type", value: request.contentType)
            outgoing.body = .bytes(ByteBuffer(bytes: body))
        }
        let deadline = request.isWatch ? .distantFuture : NIODeadline.now() + (request.timeout ?? limits.requestTimeout)
        return try await client.withLock { $0 }.execute(outgoing, deadline: deadline)
    }

    /// What a caller is told; throws when it was cancelled.
    func failure(_ request: Request, _ error: any Error, _ server: String? = nil) throws -> ClientError {
        if error is CancellationError || Task.isCancelled { throw CancellationError() }
        let server = server ?? choice.withLock { $0.preferred }
        return ClientError(request: "\(request.method) \(server)\(request.url)", reason: words(error))
    }

    /// What people are told of the commonest errors; others are told as they are.
    private func words(_ error: any Error) -> String {
        if let error = error as? IOError { return SystemError("", errno: error.errnoCode).reason }
        let known = error as? HTTPClientError
        if known == .connectTimeout { return "there is no answer, not even a refusal" }
        if known == .deadlineExceeded || known == .readTimeout { return "the answer takes too long" }
        return "\(error)"
    }
}

/// Somebody answers with a certificate that is not an API server's.
private struct NotAServer: Error, CustomStringConvertible {
    let name: String
    var description: String { "its certificate is not that of an API server: it does not name \(name)" }
}

extension StatusError {
    /// The reason that goes with an HTTP status of which the body says nothing (apimachinery's NewGenericServerResponse).
    static func reason(forCode code: Int) -> String {
        switch code {
        case 400: Reason.badRequest
        case 401: Reason.unauthorized
        case 403: Reason.forbidden
        case 404: Reason.notFound
        case 405: Reason.methodNotAllowed
        case 406: Reason.notAcceptable
        case 409: Reason.conflict
        case 410: Reason.expired
        case 413: Reason.requestEntityTooLarge
        case 415: Reason.unsupportedMediaType
        case 422: Reason.invalid
        case 429: Reason.tooManyRequests
        case 503: Reason.serviceUnavailable
        case 504: Reason.timeout
        default: Reason.internalError
        }
    }
}
