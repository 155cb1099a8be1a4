// SPDX-License-Identifier: Apache-2.0

package import APIServer
package import JSON
package import KubeAPI
package import KubeClient
package import Logging
import PKI
import Synchronization

/// The server's side of joining: lets boards with a token in, and nodes out.
///
/// The order makes every step repeatable. A token is used up for a board's key, a Node is made for that key, and
/// certificates are issued for it as often as it asks until the token expires; so a board that lost the answer asks again.
package struct JoinService: PathExtension {
    package let prefix = JoinPath.prefix
    private let client: any ResourceClient
    private let tokens: JoinTokenStore
    private let admission: NodeAdmission
    private let identity: @Sendable () -> ClusterIdentity
    private let facts: @Sendable () -> ClusterFacts
    private let now: @Sendable () -> KubeTime
    private let refusals = RefusalLog()
    private let removals = RemovalsInProgress()
    private let logger: Logger

    /// - Parameters:
    ///   - client: may read and change everything.
    ///   - identity: of the cluster, as it is now.
    ///   - reserved: the names of the API servers as they are now, which no node may have in its certificate.
    ///   - facts: what nodes must know, as it is now.
    package init(
        client: any ResourceClient, identity: @escaping @Sendable () -> ClusterIdentity,
        reserved: @escaping @Sendable () -> NodeAdmission.Reserved,
        facts: @escaping @Sendable () -> ClusterFacts, now: @escaping @Sendable () -> KubeTime, logger: Logger
    ) {
        self.client = client
        tokens = JoinTokenStore(client: client, now: now)
        admission = NodeAdmission(client: client, reserved: reserved, now: now)
        self.identity = identity
        self.facts = facts
        self.now = now
        self.logger = logger
    }

    /// A node that leaves waits until its pods have gone.
    package func isLongRunning(_ path: String) -> Bool { path == JoinPath.leave }

    package func answer(_ request: ExtensionRequest) async throws -> JSON {
        switch (request.method, request.path) {
        case ("GET", JoinPath.authorities):
            ["authorities": .string(Self.text(identity().authorityPEM)), "time": .string(now().text)]
        case ("POST", JoinPath.join): try await join(request).json
        case ("POST", JoinPath.leave): try await leave(request)
        default: throw StatusError(code: 404, reason: StatusError.Reason.notFound, message: "404 page not found")
        }
    }

    // MARK: Joining

    private func join(_ request: ExtensionRequest) async throws -> JoinAnswer {
        guard let token = request.token.flatMap({ JoinToken($0) }) else {
            throw Self.refusal(.unknown)
        }
        let wanted = try Self.parse(request.body)
        try Self.checkVersions(wanted)
        try NodeAdmission.checkName(wanted.nodeName)
        let (clientKey, servingKey) = try Self.keys(of: wanted)
        let key = hexadecimal(SHA256.hash(clientKey.spki))
        do {
            // What is wrong with the board must not use its token up.
            try await tokens.check(token, key: key)
            try await admission.check(wanted, key: key)
            try await tokens.admit(token, key: key)
        } catch let refusal as JoinTokenRecord.Refusal {
            tell(refusal, token, wanted)
            throw Self.refusal(refusal)
        }
        let admitted = try await admission.register(wanted, key: key)
        let answer = try issue(wanted, clientKey, servingKey, admitted)
        logger.notice(
            "A board joined the cluster",
            metadata: ["node": "\(wanted.nodeName)", "token": "\(token.id)", "pod-network": "\(admitted.nodeCIDR)"])
        return answer
    }

    /// Whoever asks has proven nothing: what it says is bounded, and is not told as a node's.
    private func tell(_ refusal: JoinTokenRecord.Refusal, _ token: JoinToken, _ wanted: JoinRequest) {
        guard let leftOut = refusals.tell() else { return }
        logger.warning(
            "A board was not let in",
            metadata: [
                "token": "\(token.id)", "claimed-name": "\(wanted.nodeName)", "reason": "\(refusal)",
                "left-out": "\(leftOut)",
            ])
    }

    private func issue(
        _ request: JoinRequest, _ clientKey: PublicKey, _ servingKey: PublicKey, _ admitted: NodeAdmission.Admitted
    ) throws -> JoinAnswer {
        let seconds = Int64(now().seconds)
        let identity = self.identity()
        func pem(_ requirement: CredentialRequirement, _ key: PublicKey) throws -> String {
            var requirement = requirement
            requirement.schedule = identity.schedule
            return Self.text(try requirement.issue(by: identity.authority, for: key, now: seconds).pem())
        }
        return JoinAnswer(
            clientCertificate: try pem(.kubeletClient(nodeName: request.nodeName), clientKey),
            servingCertificate: try pem(
                .kubeletServer(
                    nodeName: request.nodeName, dnsNames: [request.nodeName], addresses: request.addresses),
                servingKey),
            authorities: Self.text(identity.authorityPEM), nodeCIDR: admitted.nodeCIDR, cluster: facts(),
            warnings: admitted.warnings)
    }

    private static func text(_ pem: [UInt8]) -> String { String(decoding: pem, as: UTF8.self) }

    private static func parse(_ body: JSON?) throws -> JoinRequest {
        do {
            return try JoinRequest(body ?? .null)
        } catch {
            throw StatusError.badRequest("the request to join: \(error)")
        }
    }

    /// The keys that the certificate requests are for. What else a request says does not count: the certificate says what
    /// a node's must.
    private static func keys(of request: JoinRequest) throws -> (client: PublicKey, serving: PublicKey) {
        func key(_ field: String, _ pem: String) throws -> PublicKey {
            do {
                return try CertificateSigningRequest(pem: Array(pem.utf8)).publicKey
            } catch {
                throw StatusError.badRequest("the request to join: \(field): \(error.reason)")
            }
        }
        return (
            try key("clientRequest", request.clientRequest), try key("servingRequest", request.servingRequest)
        )
    }

    /// Upstream's policy: a kubelet is no newer than the API server and at most three minor versions older
    /// (kubernetes.io, "Version Skew Policy").
    private static func checkVersions(_ request: JoinRequest) throws {
        guard request.protocolVersion == JoinRequest.currentProtocol else {
            throw StatusError.badRequest(
                "the board speaks version \(request.protocolVersion) of the join protocol and this server version"
                    + " \(JoinRequest.currentProtocol); install the same version of Swiftlet on both")
        }
        let server = 36
        guard let minor = request.version.split(separator: ".").dropFirst().first.flatMap({ Int($0) }),
            request.version.hasPrefix("v1."), (server - 3...server).contains(minor)
        else {
            throw StatusError.badRequest(
                "the board has version \(request.version) and this server v1.\(server); a node may be at most three"
                    + " minor versions older than the server and not newer")
        }
    }

    private static func refusal(_ refusal: JoinTokenRecord.Refusal) -> StatusError {
        let message =
            switch refusal {
            case .unknown: "the token is not known here; it may have been revoked or mistyped"
            case .expired: "the token has expired"
            case .used: "the token has been used already"
            }
        return StatusError(
            code: 401, reason: StatusError.Reason.unauthorized,
            message: message + "; make another one with 'swiftlet add-node' on the control plane")
    }

    // MARK: Leaving

    private func leave(_ request: ExtensionRequest) async throws -> JSON {
        guard let name = request.user.nodeName else {
            throw StatusError(
                code: 403, reason: StatusError.Reason.forbidden, message: "only a node may leave, with its certificate")
        }
        guard removals.begin(name) else {
            throw StatusError(
                code: 409, reason: StatusError.Reason.conflict,
                message: "the node \"\(name)\" is leaving already; wait for the attempt before to end")
        }
        defer { removals.end(name) }
        let removal = NodeRemoval(client: client)
        let force = request.body?["force"]?.bool ?? false
        let timeout = min(max(request.body?["timeoutSeconds"]?.int ?? 60, 0), JoinPath.longestLeave)
        do {
            try await removal.remove(name, force: force, timeout: .seconds(timeout)) { _ in }
        } catch let error as JoinError {
            throw StatusError(
                code: 409, reason: StatusError.Reason.conflict, message: "\(error.reason); \(error.remedy)")
        }
        logger.notice("A node left the cluster", metadata: ["node": "\(name)"])
        return ["node": .string(name)]
    }
}

/// The nodes that are on their way out: a second attempt would only take up room beside the first.
private final class RemovalsInProgress: Sendable {
    private let names = Mutex<Set<String>>([])

    /// - Returns: false where one is going on.
    func begin(_ name: String) -> Bool { names.withLock { $0.insert(name).inserted } }

    func end(_ name: String) { names.withLock { _ = $0.remove(name) } }
}
