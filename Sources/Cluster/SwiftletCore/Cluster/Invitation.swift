// SPDX-License-Identifier: Apache-2.0

package import ClusterFormation
package import JSON
import KubeAPI
import LinuxSystem
package import Logging
import PKI

/// What `swiftlet add-node` prints: join lines with a new token, one for each address of this machine.
package struct Invitation: Sendable {
    package let lines: [JoinLine]
    /// When the token expires (RFC 3339).
    package let expires: String
    package let uses: Int

    /// Makes a token and the lines for it.
    ///
    /// - Parameter lifetime: seconds.
    package static func make(
        _ configuration: Configuration, uses: Int, lifetime: Int, logger: Logger
    ) async throws -> Invitation {
        let node = try NodeIdentity.discover(configuration)
        let tokens = JoinTokens(configuration, logger: logger)
        let token = try await tokens.create(uses: uses, lifetime: lifetime)
        let credentials = try AdministratorCredentials.read(configuration, "make a join line")
        let fingerprint = try Membership.fingerprints(of: credentials.authorityPEM).first
        return Invitation(
            lines: node.addresses.filter(configuration.isServed).map {
                JoinLine(host: "\($0)", port: configuration.api.port, token: token, fingerprint: fingerprint)
            },
            expires: KubeTime(seconds: KubeTime.now().seconds + lifetime).text, uses: uses)
    }

    package var json: JSON {
        ["lines": JSON(lines.map(\.description)), "expires": .string(expires), "uses": JSON(uses)]
    }
}

/// The cluster's join tokens, for commands on the control plane.
package struct JoinTokens: Sendable {
    /// A token with how it stands.
    package struct Listed: Sendable {
        package let record: JoinTokenRecord
        /// `valid`, `expired` or `used`.
        package let state: String

        package var json: JSON {
            [
                "id": .string(record.id), "expires": .string(record.expiresAt.text), "usesLeft": JSON(record.usesLeft),
                "state": .string(state),
            ]
        }
    }

    private let access: ClusterAccess

    package init(_ configuration: Configuration, logger: Logger) {
        access = ClusterAccess(configuration, logger: logger)
    }

    private static let now: @Sendable () -> KubeTime = { .now() }

    func create(uses: Int, lifetime: Int) async throws -> JoinToken {
        try await access.asAdministrator("make a join line") { client in
            try await JoinTokenStore(client: client, now: Self.now).create(uses: uses, lifetime: lifetime)
        }
    }

    /// All tokens, the newest first.
    package func list() async throws -> [Listed] {
        let records = try await access.asAdministrator("list tokens") { client in
            try await JoinTokenStore(client: client, now: Self.now).list()
        }
        let now = Self.now()
        return records.map { record in
            Listed(
                record: record,
                state: record.expiresAt <= now ? "expired" : record.usesLeft == 0 ? "used" : "valid")
        }
    }

    /// - Returns: whether there was such a token.
    package func revoke(_ id: String) async throws -> Bool {
        guard JoinToken.isID(id) else { return false }
        return try await access.asAdministrator("revoke a token") { client in
            try await JoinTokenStore(client: client, now: Self.now).revoke(id)
        }
    }
}

/// `swiftlet remove-node`.
package struct NodeRemovalOperation: Sendable {
    private let access: ClusterAccess

    package init(_ configuration: Configuration, logger: Logger) {
        access = ClusterAccess(configuration, logger: logger)
    }

    package func run(
        _ name: String, force: Bool, timeout: Duration, progress: (NodeRemoval.Progress) -> Void
    ) async throws {
        let operation = "remove node \"\(name)\""
        do {
            try await access.asAdministrator(operation) { client in
                try await NodeRemoval(client: client).remove(name, force: force, timeout: timeout, progress: progress)
            }
        } catch let error as StatusError where error.isNotFound {
            throw JoinError(
                operation, reason: "the cluster has no node of this name, or none any more",
                remedy: "'swiftlet kubectl get nodes' shows those that there are")
        }
    }
}
