// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
package import KubeAPI
import KubeClient
package import LinuxSystem
package import Logging
package import NIOCore
import PKI

/// The board's side of joining.
///
/// Nothing is sent before the cluster has shown an authority with the hash of the join line, and the token goes only to
/// a server with a certificate by that authority. The keys are made once and kept until the board has joined, so that a
/// second attempt is the same board to the cluster.
package struct JoinClient: Sendable {
    /// What the board tells of itself.
    package struct Board: Sendable {
        package var nodeName: String
        package var machineID: String
        package var addresses: [IPAddress]
        /// `v1.36.0`.
        package var version: String
        package var stateDirectory: String

        package init(
            nodeName: String, machineID: String, addresses: [IPAddress], version: String, stateDirectory: String
        ) {
            self.nodeName = nodeName
            self.machineID = machineID
            self.addresses = addresses
            self.version = version
            self.stateDirectory = stateDirectory
        }
    }

    /// What came of it.
    package struct Result: Sendable {
        package let membership: Membership
        package let warnings: [String]
    }

    private static let operation = "join"
    /// A clock that is off by so many seconds is told.
    private static let toleratedSkew = 300.0

    private let line: JoinLine
    private let board: Board
    private let group: any EventLoopGroup
    private let logger: Logger

    package init(line: JoinLine, board: Board, group: any EventLoopGroup, logger: Logger) {
        self.line = line
        self.board = board
        self.group = group
        self.logger = logger
    }

    /// Joins; on disk nothing has changed for the agent until ``Membership/create(stateDirectory:)``, which is not done here.
    ///
    /// - Parameters:
    ///   - skipsVerification: takes whatever authority the server shows where the line has no hash.
    ///   - now: this board's time.
    /// - Throws: ``JoinError``.
    package func join(skipsVerification: Bool, now: KubeTime) async throws -> Result {
        guard line.fingerprint != nil || skipsVerification else {
            throw JoinError(
                Self.operation, reason: "the join line has no hash, so anybody could pretend to be the cluster",
                remedy: "use the whole line of 'swiftlet add-node', or give --insecure-skip-ca-verification")
        }
        let (authority, serverTime) = try await fetchAuthority()
        let keys = try PendingKeys.loadOrCreate(stateDirectory: board.stateDirectory)
        let answer: JoinAnswer
        do {
            answer = try await ask(keys, authority)
        } catch let error as JoinError where error.isAboutCertificate {
            // The server's word on the time is not to be trusted yet, but good enough for a hint.
            guard let difference = Self.difference(now, serverTime) else { throw error }
            throw JoinError(
                Self.operation, reason: "\(difference), so their certificates do not count for each other",
                remedy: "set the clock that is wrong ('timedatectl set-ntp true', or 'date --set' without a time"
                    + " server), and run the same command again. (\(error.reason))")
        }
        // The server has been verified by now; while its authority is being replaced it names two.
        let trusted = answer.authorities.isEmpty ? authority : Array(answer.authorities.utf8)
        _ = try Membership.fingerprints(of: trusted)
        var cluster = answer.cluster
        // By this one it works: perhaps through a router that the server does not know of.
        cluster.servers = ServerList.merge(cluster.servers, former: ["https://\(line.endpoint)"])
        let membership = Membership(
            nodeName: board.nodeName, nodeCIDR: answer.nodeCIDR, cluster: cluster, authorityPEM: trusted,
            client: .init(certificatePEM: Array(answer.clientCertificate.utf8), keyPEM: try keys.client.pem()),
            serving: .init(certificatePEM: Array(answer.servingCertificate.utf8), keyPEM: try keys.serving.pem()))
        return Result(membership: membership, warnings: answer.warnings + Self.clockWarning(now, serverTime))
    }

    /// Forgets the keys of an attempt: after it has succeeded, or was given up.
    package static func forgetAttempt(stateDirectory: String) throws {
        try PendingKeys.remove(stateDirectory: stateDirectory)
    }

    // MARK: Steps

    /// The authority that the line names, from a server that nobody has verified yet.
    private func fetchAuthority() async throws -> (pem: [UInt8], time: KubeTime?) {
        let document = try await withClient(HTTPClientTLS(verification: .none), token: .none) { client in
            try await client.rawGet(JoinPath.authorities)
        }
        let bundle = Array((document["authorities"]?.string ?? "").utf8)
        let certificates: [Certificate]
        do {
            certificates = try Certificate.bundle(pem: bundle)
        } catch {
            throw JoinError(
                Self.operation, reason: "\(line.endpoint) answers, but not like a Swiftlet server (\(error.reason))",
                remedy: "check address and port of the join line")
        }
        let time = document["time"]?.string.flatMap { KubeTime($0) }
        guard let fingerprint = line.fingerprint else { return (bundle, time) }
        guard let pinned = certificates.first(where: { hexadecimal($0.fingerprint) == fingerprint }) else {
            let shown = certificates.map { hexadecimal($0.fingerprint).prefix(16) + "…" }.joined(separator: ", ")
            throw JoinError(
                Self.operation,
                reason: "the authority of \(line.endpoint) has the hash \(shown) and not \(fingerprint.prefix(16))…",
                remedy: "the token was not sent. Get a new line with 'swiftlet add-node'; if that has the same hash as"
                    + " yours, something on the network pretends to be the cluster")
        }
        return (try pinned.pem(), time)
    }

    private func ask(_ keys: PendingKeys, _ authority: [UInt8]) async throws -> JoinAnswer {
        let subject = CredentialRequirement.nodeSubject(board.nodeName)
        func request(_ key: PrivateKey) throws -> String {
            String(decoding: try CertificateSigningRequest(subject: subject, key: key).pem, as: UTF8.self)
        }
        let message = JoinRequest(
            nodeName: board.nodeName, machineID: board.machineID, addresses: board.addresses, version: board.version,
            clientRequest: try request(keys.client), servingRequest: try request(keys.serving))
        let tls = HTTPClientTLS(verification: .authorities(authority))
        let document = try await withClient(tls, token: .value(line.token.description)) { client in
            try await client.rawPost(JoinPath.join, body: message.json)
        }
        do {
            return try JoinAnswer(document)
        } catch {
            throw JoinError(
                Self.operation, reason: "the answer of \(line.endpoint) cannot be understood: \(error)",
                remedy: "install the same version of Swiftlet on both")
        }
    }

    /// Runs a request and says in words of this command what went wrong.
    private func withClient(
        _ tls: HTTPClientTLS, token: HTTPSClientConfiguration.Token,
        _ body: (HTTPSClient) async throws -> JSON
    ) async throws -> JSON {
        var settings = HTTPSClientConfiguration(servers: ["https://\(line.endpoint)"], tls: tls, token: token)
        settings.limits.responseBytes = 1 << 20
        let client = try HTTPSClient(settings, group: group, logger: logger)
        let answer: Swift.Result<JSON, any Error>
        do {
            answer = .success(try await body(client))
        } catch {
            answer = .failure(error)
        }
        try await client.close()
        switch answer {
        case .success(let document): return document
        case .failure(let error as StatusError):
            throw JoinError(
                Self.operation, reason: error.message, remedy: "the cluster at \(line.endpoint) said so")
        case .failure(let error as ClientError):
            throw JoinError(
                Self.operation, reason: error.reason, remedy: remedy(for: error.reason),
                isAboutCertificate: Self.isAboutCertificate(error.reason))
        case .failure(let error): throw error
        }
    }

    private func remedy(for reason: String) -> String {
        if Self.isAboutCertificate(reason) {
            return
                "the server's certificate is not by the cluster's authority, or not for \(line.host): use a line with"
                + " one of the control plane's own addresses; if its address changed, restart the agent there"
        }
        return "see that this board reaches \(line.endpoint) (same network, no firewall on port \(line.port)) and that"
            + " the agent runs there"
    }

    private static func isAboutCertificate(_ reason: String) -> Bool {
        reason.contains("CERTIFICATE_VERIFY_FAILED") || reason.contains("certificate")
    }

    /// What the clocks say where they differ by more than is tolerated.
    private static func difference(_ now: KubeTime, _ server: KubeTime?) -> String? {
        guard let server, abs(now.timeInterval(since: server)) > toleratedSkew else { return nil }
        return "this board's clock says \(now.text) and the cluster's \(server.text)"
    }

    private static func clockWarning(_ now: KubeTime, _ server: KubeTime?) -> [String] {
        difference(now, server).map { [$0 + "; set up NTP ('timedatectl set-ntp true')"] } ?? []
    }
}

/// The keys of a board that is about to join.
private struct PendingKeys {
    private static let directoryName = "joining"
    private static let fileLimit = 64 << 10

    let client: PrivateKey
    let serving: PrivateKey

    static func loadOrCreate(stateDirectory: String) throws -> PendingKeys {
        let directory = try DirectoryHandle.create(path: "\(stateDirectory)/\(directoryName)", permissions: 0o700)
        func key(_ name: String) throws -> PrivateKey {
            // A damaged key is replaced: nothing depends on it yet.
            if let bytes = try directory.readFile(name, limit: fileLimit), let key = try? PrivateKey(pem: bytes) {
                return key
            }
            let key = try PrivateKey.generate()
            try directory.replaceFile(name, with: key.pem(), permissions: 0o600)
            return key
        }
        return PendingKeys(client: try key("client.key"), serving: try key("serving.key"))
    }

    static func remove(stateDirectory: String) throws { try Files.removeTree("\(stateDirectory)/\(directoryName)") }
}
