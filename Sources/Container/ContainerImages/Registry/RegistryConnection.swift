// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import JSON
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import PKI
import Synchronization

/// Requests to one server of a registry about one repository: authentication, redirects and timeouts.
///
/// Lives for one pull; credentials and tokens go with it.
final class RegistryConnection: Sendable {
    let endpoint: RegistryConfiguration.Endpoint
    private let base: WebAddress
    private let repository: String
    private let domain: String
    private let credentials: RegistryCredentials
    private let timeouts: RegistryConfiguration.Timeouts
    private let client: HTTPClient
    private let tls: TLSConfiguration?
    private let logger: Logger
    /// The value of the `Authorization` header that the server accepted last.
    private let authorization: Mutex<String?>

    static let maximumRedirects = 5
    static let userAgent = "swiftlet"

    init(
        endpoint: RegistryConfiguration.Endpoint, reference: ImageReference, credentials: RegistryCredentials,
        timeouts: RegistryConfiguration.Timeouts, client: HTTPClient, logger: Logger
    ) throws(ImageError) {
        guard let base = WebAddress(endpoint.url) else {
            throw ImageError(
                .unsupported, "reach registry \(reference.domain)", "\"\(endpoint.url)\" is no http or https address",
                remedy: "correct the registry's address in the configuration")
        }
        self.endpoint = endpoint
        self.base = base
        self.repository = reference.path
        self.domain = reference.domain
        self.credentials = credentials
        self.timeouts = timeouts
        self.client = client
        self.logger = logger
        tls = try Self.tls(endpoint)
        authorization = Mutex(credentials.registryToken.isEmpty ? nil : "Bearer \(credentials.registryToken)")
    }

    private static func tls(_ endpoint: RegistryConfiguration.Endpoint) throws(ImageError) -> TLSConfiguration? {
        guard endpoint.caFile != nil || endpoint.skipVerify else { return nil }
        var tls = TLSConfiguration.makeClientConfiguration()
        if endpoint.skipVerify { tls.certificateVerification = .none }
        if let file = endpoint.caFile {
            do {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(file))
            } catch {
                throw ImageError(
                    .system, "read the certificate authorities of \(endpoint.url) from \(file)", "\(error)",
                    remedy: "correct caFile in the registry's configuration")
            }
        }
        return tls
    }

    /// Sends a GET below the repository's address and returns the response once its status is 200 or 206.
    ///
    /// - Parameters:
    ///   - path: `manifests/latest`, `blobs/sha256:…`.
    ///   - headers: `Accept`, `Range`.
    func get(_ path: String, headers: HTTPHeaders) async throws(AttemptFailure) -> HTTPClientResponse {
        var query: [(String, String)] = []
        // A mirror serves several registries; containerd tells it this way which one is meant.
        if !isOwnServer { query.append(("ns", domain)) }
        let address = base.appending("/v2/\(repository)/\(path)", query: query)
        let first = try await send(address, headers: headers, authorization: authorization.withLock { $0 })
        if first.status != .unauthorized { return try await accept(first, address) }
        let challenges = first.headers["WWW-Authenticate"].flatMap(AuthenticationChallenge.parse)
        try await drain(first)
        let answer = try await self.answer(challenges, address)
        authorization.withLock { $0 = answer }
        let second = try await send(address, headers: headers, authorization: answer)
        return try await accept(second, address)
    }

    private var isOwnServer: Bool {
        base.authority == domain || domain == ImageReference.defaultDomain && base.authority == "registry-1.docker.io"
    }

    /// Follows redirects; credentials go only to the server that asked for them.
    private func send(
        _ address: WebAddress, headers: HTTPHeaders, authorization: String?
    ) async throws(AttemptFailure) -> HTTPClientResponse {
        var address = address
        for _ in 0...Self.maximumRedirects {
            var headers = headers
            if let authorization, address.origin == base.origin {
                headers.replaceOrAdd(name: "Authorization", value: authorization)
            }
            let response = try await execute(.GET, address, headers: headers)
            guard [301, 302, 303, 307, 308].contains(response.status.code) else { return response }
            guard let location = response.headers.first(name: "Location"), let next = address.resolving(location) else {
                throw AttemptFailure(failure(.unavailable, address, "redirects without a usable address"))
            }
            // A blob is verified by its digest, whoever sends it; a manifest that a tag names is not.
            if address.scheme == "https", next.scheme == "http", !address.target.contains("/blobs/") {
                throw AttemptFailure(failure(.unavailable, address, "redirects from https to http, which is refused"))
            }
            try await drain(response)
            address = next
        }
        throw AttemptFailure(failure(.unavailable, address, "redirects more than \(Self.maximumRedirects) times"))
    }

    private func execute(
        _ method: HTTPMethod, _ address: WebAddress, headers: HTTPHeaders, body: ByteBuffer? = nil
    ) async throws(AttemptFailure) -> HTTPClientResponse {
        var request = HTTPClientRequest(url: address.description)
        request.method = method
        request.headers = headers
        request.headers.replaceOrAdd(name: "User-Agent", value: Self.userAgent)
        if let body { request.body = .bytes(body) }
        if address.origin == base.origin { request.tlsConfiguration = tls }
        do {
            let limit = timeouts.connect + timeouts.response
            return try await client.execute(request, timeout: TimeAmount(limit), logger: logger)
        } catch {
            throw transportFailure(error, address)
        }
    }

    /// Passes a good response on and turns every other into an error with the server's words.
    private func accept(
        _ response: HTTPClientResponse, _ address: WebAddress
    ) async throws(AttemptFailure) -> HTTPClientResponse {
        let code = response.status.code
        if code == 200 || code == 206 { return response }
        let words = await explanation(response)
        let reason = "unexpected status from GET request to \(address): \(response.status)\(words)"
        switch code {
        case 401, 403: throw AttemptFailure(refusal(address, reason))
        case 404: throw AttemptFailure(failure(.notFound, address, reason))
        case 429, 408, 500...:
            let wait = RetryPolicy.retryAfter(response.headers)
            throw AttemptFailure(failure(.unavailable, address, reason), isTemporary: true, retryAfter: wait)
        default: throw AttemptFailure(failure(.unavailable, address, reason))
        }
    }

    private func refusal(_ address: WebAddress, _ reason: String) -> ImageError {
        let remedy =
            credentials.isEmpty
            ? "check the image's name; a private image needs credentials (imagePullSecrets)"
            : "check the credentials (imagePullSecrets) and what they may pull"
        return ImageError(
            .unauthorized, "",
            "pull access denied, repository does not exist or may require authorization: \(reason)", remedy: remedy)
    }

    private func failure(_ kind: ImageError.Kind, _ address: WebAddress, _ reason: String) -> ImageError {
        ImageError(kind, "", reason)
    }

    /// A failure below HTTP: the name, the connection, TLS or a deadline.
    func transportFailure(_ error: any Error, _ address: WebAddress? = nil) -> AttemptFailure {
        let remedy = "check that \(base.authority) can be reached from this machine"
        let place = (address ?? base).description
        let reason =
            switch error as? HTTPClientError {
            case .deadlineExceeded?, .readTimeout?: "\(place): the registry does not answer in time"
            case .connectTimeout?: "\(place): the connection takes too long"
            case .remoteConnectionClosed?: "\(place): the registry closed the connection"
            default: "\(place): \(error)"
            }
        let isCancelled = error is CancellationError || error as? HTTPClientError == .cancelled
        return AttemptFailure(
            ImageError(.unavailable, "", isCancelled ? "cancelled" : reason, remedy: isCancelled ? nil : remedy),
            isTemporary: !isCancelled)
    }

    /// The registry's own words about an error (distribution-spec, "Error Codes"), at most a few.
    private func explanation(_ response: HTTPClientResponse) async -> String {
        // An answer that cannot be read explains nothing.
        guard let body = try? await response.body.collect(upTo: 16384),
            let json = try? JSON.parse(Array(body.readableBytesView))
        else { return "" }
        let words = json["errors"]?.elements.prefix(3).compactMap { error -> String? in
            let code = error["code"]?.string ?? ""
            return error["message"]?.string.map { code.isEmpty ? $0 : "\(code): \($0)" }
        }
        let text = words?.joined(separator: "; ") ?? json["details"]?.string ?? ""
        return text.isEmpty ? "" : " (\(text.prefix(512)))"
    }

    /// Reads a short body to its end, so that the connection can be used again.
    private func drain(_ response: HTTPClientResponse) async throws(AttemptFailure) {
        // A longer body is dropped with its connection.
        _ = try? await response.body.collect(upTo: 16384)
    }
}

// MARK: - Tokens

extension RegistryConnection {
    /// The `Authorization` header that answers the server's challenges.
    private func answer(
        _ challenges: [AuthenticationChallenge], _ address: WebAddress
    ) async throws(AttemptFailure) -> String {
        if let bearer = challenges.first(where: { $0.scheme == "bearer" }) {
            return "Bearer \(try await token(bearer, address))"
        }
        if challenges.contains(where: { $0.scheme == "basic" }) {
            guard !credentials.username.isEmpty || !credentials.password.isEmpty else {
                throw AttemptFailure(refusal(address, "no basic auth credentials"))
            }
            return basic
        }
        let schemes = challenges.map(\.scheme).joined(separator: ", ")
        throw AttemptFailure(refusal(address, "the registry asks for an unknown authentication (\(schemes))"))
    }

    private var basic: String { "Basic " + Base64.encode("\(credentials.username):\(credentials.password)".utf8) }

    /// Gets a token from the realm that the challenge names (distribution's token authentication specification).
    private func token(
        _ challenge: AuthenticationChallenge, _ address: WebAddress
    ) async throws(AttemptFailure) -> String {
        guard let realm = challenge.parameters["realm"].flatMap(WebAddress.init) else {
            throw AttemptFailure(failure(.unavailable, address, "the registry names no usable token server"))
        }
        let scope = challenge.parameters["scope"] ?? "repository:\(repository):pull"
        let service = challenge.parameters["service"]
        if !credentials.identityToken.isEmpty {
            let form = [("grant_type", "refresh_token"), ("refresh_token", credentials.identityToken)]
            return try await postForToken(realm, form, service: service, scope: scope)
        }
        var headers = HTTPHeaders()
        if !credentials.password.isEmpty { headers.add(name: "Authorization", value: basic) }
        var query = [("scope", scope)]
        if let service { query.insert(("service", service), at: 0) }
        let target = realm.appending("", query: query)
        let response = try await execute(.GET, target, headers: headers)
        if [404, 405].contains(response.status.code), !credentials.password.isEmpty {
            try await drain(response)
            let form = [
                ("grant_type", "password"), ("username", credentials.username), ("password", credentials.password),
            ]
            return try await postForToken(realm, form, service: service, scope: scope)
        }
        return try await readToken(response, target)
    }

    private func postForToken(
        _ realm: WebAddress, _ form: [(String, String)], service: String?, scope: String
    ) async throws(AttemptFailure) -> String {
        var fields = form + [("client_id", Self.userAgent), ("scope", scope)]
        if let service { fields.append(("service", service)) }
        let body = fields.map { "\(WebAddress.escape($0))=\(WebAddress.escape($1))" }.joined(separator: "&")
        let headers: HTTPHeaders = ["Content-Type": "application/x-www-form-urlencoded"]
        let response = try await execute(.POST, realm, headers: headers, body: ByteBuffer(string: body))
        return try await readToken(response, realm)
    }

    private func readToken(
        _ response: HTTPClientResponse, _ address: WebAddress
    ) async throws(AttemptFailure) -> String {
        guard response.status == .ok else {
            // The token server refuses with 400 or 401; the rest is as for the registry.
            if response.status == .badRequest {
                let words = await explanation(response)
                throw AttemptFailure(refusal(address, "the token server answered \(response.status)\(words)"))
            }
            _ = try await accept(response, address)
            throw AttemptFailure(failure(.unavailable, address, "the token server answered \(response.status)"))
        }
        do {
            let body = try await response.body.collect(upTo: 1 << 20)
            let json = try JSON.parse(Array(body.readableBytesView))
            if let token = json["token"]?.string ?? json["access_token"]?.string, !token.isEmpty { return token }
        } catch {
            throw transportFailure(error, address)
        }
        throw AttemptFailure(failure(.unavailable, address, "the token server gave no token"))
    }
}

extension TimeAmount {
    /// The same span, in nanoseconds.
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self = .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
