// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import KubeAPI
import NIOHTTP1
import PKI
import Synchronization

/// Finds out who makes a request: a bearer token first if there is one, then the client certificate, else nobody.
final class Authenticator: Sendable {
    private let tokens: [String: UserInfo]
    private let serviceAccounts: ServiceAccountTokens?
    private let clock: any WallClock
    private let certificateUsers = BoundedCache<ObjectIdentifier, CertificateUser>(capacity: 256)
    private let tokenUsers = BoundedCache<String, TokenUser>(capacity: 1024)

    /// What a connection's certificate says; keeps the peer alive so that its identity is not given to another one.
    private struct CertificateUser: Sendable {
        let peer: HTTPPeer
        let user: UserInfo
        let expiresAt: Int64
    }

    private struct TokenUser: Sendable {
        let user: UserInfo
        /// When the verdict must be found again; seconds since 1970.
        let validUntil: Int64
    }

    /// How long a token's verdict is trusted before its account, pod and node are looked up again.
    private static let verdictSeconds: Int64 = 10

    init(staticTokens: [String: UserInfo], serviceAccounts: ServiceAccountTokens?, clock: any WallClock) {
        tokens = staticTokens
        self.serviceAccounts = serviceAccounts
        self.clock = clock
    }

    /// The user behind a request.
    ///
    /// - Throws: `Unauthorized` (401) when credentials are shown that do not hold.
    func authenticate(_ request: HTTPRequest) throws(StatusError) -> UserInfo {
        if let authorization = request.headers.first(name: "Authorization") {
            guard let token = Self.bearerToken(authorization) else { throw Self.unauthorized }
            return try user(ofToken: token)
        }
        if request.peer.certificateError != nil { throw Self.unauthorized }
        if let certificate = request.peer.certificate { return try user(of: request.peer, certificate) }
        return .anonymous
    }

    static let unauthorized = StatusError(
        code: 401, reason: StatusError.Reason.unauthorized, message: "Unauthorized")

    /// The token of an `Authorization` header; nil where it has none.
    static func bearerToken(_ header: String) -> String? {
        let prefix = "bearer "
        guard header.utf8.count > prefix.utf8.count, header.prefix(prefix.count).lowercased() == prefix else {
            return nil
        }
        return MediaType.trim(header.dropFirst(prefix.count))
    }

    // MARK: Tokens

    private func user(ofToken token: String) throws(StatusError) -> UserInfo {
        if let user = tokens[token] { return user }
        let now = clock.now
        if let cached = tokenUsers[token], cached.validUntil > now { return cached.user }
        guard let serviceAccounts else { throw Self.unauthorized }
        let verified: ServiceAccountTokens.Verified
        do {
            verified = try serviceAccounts.verify(token, audiences: serviceAccounts.audiences, now: now)
        } catch {
            throw Self.unauthorized
        }
        if let expiry = verified.expiresAt {
            tokenUsers[token] = TokenUser(user: verified.user, validUntil: min(now + Self.verdictSeconds, expiry))
        }
        return verified.user
    }

    /// The user behind a token for some audiences, those of this server if there are none, and which of them it is for.
    func review(token: String, audiences: [String]) throws(PKIError) -> (user: UserInfo, audiences: [String]) {
        if let user = tokens[token] { return (user, []) }
        guard let serviceAccounts else { throw PKIError(.untrusted, "review a token", "there are no service accounts") }
        let wanted = audiences.isEmpty ? serviceAccounts.audiences : audiences
        let verified = try serviceAccounts.verify(token, audiences: wanted, now: clock.now)
        return (verified.user, verified.audiences)
    }

    // MARK: Certificates

    private func user(of peer: HTTPPeer, _ der: [UInt8]) throws(StatusError) -> UserInfo {
        let now = clock.now
        let key = ObjectIdentifier(peer)
        if let cached = certificateUsers[key], cached.peer === peer {
            guard cached.expiresAt > now else { throw Self.unauthorized }
            return cached.user
        }
        let certificate: Certificate
        do {
            certificate = try Certificate(der: der)
        } catch {
            throw Self.unauthorized
        }
        let subject = certificate.subject
        let validity = certificate.validity
        guard !subject.commonName.isEmpty, validity.contains(validity.judged(at: now)) else {
            throw Self.unauthorized
        }
        let user = UserInfo(
            name: subject.commonName, groups: subject.organizations + [UserInfo.WellKnown.authenticatedGroup],
            extra: [UserInfo.ExtraKey.credentialID: ["X509SHA256=\(hexadecimal(certificate.fingerprint))"]])
        certificateUsers[key] = CertificateUser(peer: peer, user: user, expiresAt: certificate.validity.notAfter)
        return user
    }
}
