// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import HTTPTransport
import JSON
import KubeAPI
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
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
    }

    let limits: HTTPSClientConfiguration.Limits
    private let servers: [String]
    private let userAgent: String
    private let client: Mutex<HTTPClient>
    private let makeClient: @Sendable () -> HTTPClient
    private let tokens: TokenSource
    private let tls: Mutex<TLSConfiguration>
    /// The server that answered last.
    private let preferred = Atomic(0)
    private let logger: Logger

    init(
        _ configuration: HTTPSClientConfiguration, group: any EventLoopGroup, logger: Logger
    ) throws(HTTPTransportError) {
        precondition(!configuration.servers.isEmpty, "a client needs a server")
        limits = configuration.limits
        servers = configuration.servers.map { server in
            var server = server
            while server.hasSuffix("/") { server.removeLast() }
            return server
        }
        userAgent = configuration.userAgent
        tokens = TokenSource(configuration.token, lifetime: configuration.limits.tokenLifetime)
        tls = Mutex(try configuration.tls.configuration())
        var settings = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: configuration.limits.connectTimeout, read: configuration.limits.silenceTimeout))
        settings.connectionPool.retryConnectionEstablishment = false
        let final = settings
        makeClient = { HTTPClient(eventLoopGroupProvider: .shared(group), configuration: final) }
        client = Mutex(makeClient())
        self.logger = logger
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
        let old = client.withLock { client in
            let old = client
            client = makeClient()
            return old
        }
        // Its requests fail, and are made again by those who need them.
        old.shutdown { _ in }
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

    /// Tries the servers in turn, beginning with the one that answered last.
    private func sendToAnyServer(_ request: Request) async throws -> HTTPClientResponse {
        let first = preferred.load(ordering: .relaxed)
        var lastError: (any Error)?
        for offset in servers.indices {
            let index = (first + offset) % servers.count
            do {
                let response = try await execute(request, server: servers[index])
                if offset > 0 { preferred.store(index, ordering: .relaxed) }
                return response
            } catch {
                if Task.isCancelled { throw CancellationError() }
                lastError = error
                guard Self.mayTryAnother(request, after: error) else { break }
                logger.debug(
                    "An API server does not answer", metadata: ["server": "\(servers[index])", "error": "\(error)"])
            }
        }
        throw try failure(request, lastError ?? CancellationError())
    }

    /// A request that may have been acted upon must not be repeated, unless that does no harm.
    ///
    /// ENETUNREACH (101), ECONNREFUSED (111) and EHOSTUNREACH (113) come before a request is sent.
    private static func mayTryAnother(_ request: Request, after error: any Error) -> Bool {
        if request.method == .GET || error is NIOConnectionError || error is NIOSSLError { return true }
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
        let deadline = request.isWatch ? NIODeadline.distantFuture : .now() + limits.requestTimeout
        return try await client.withLock { $0 }.execute(outgoing, deadline: deadline)
    }

    /// What a caller is told; throws when it was cancelled.
    func failure(_ request: Request, _ error: any Error) throws -> ClientError {
        if error is CancellationError || Task.isCancelled { throw CancellationError() }
        let server = servers[preferred.load(ordering: .relaxed)]
        return ClientError(request: "\(request.method) \(server)\(request.url)", reason: "\(error)")
    }
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
