// SPDX-License-Identifier: Apache-2.0

package import ClusterFormation
import HTTPTransport
import KubeAPI
package import KubeClient
import LinuxSystem
package import Logging
import NIOCore
import NIOPosix

/// How commands on this machine reach its cluster.
package struct ClusterAccess: Sendable {
    private let configuration: Configuration
    private let logger: Logger

    package init(_ configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// What this machine has joined; nil where it is a cluster of its own.
    ///
    /// - Throws: `ClusterFormationError` when it is damaged.
    package func membership() throws -> Membership? {
        try Membership.load(stateDirectory: configuration.directories.state)
    }

    /// Works with the cluster as its administrator.
    ///
    /// - Parameter operation: what is attempted, for the error: `make a join line`.
    /// - Throws: ``JoinError`` on a worker, which has no administrator's key.
    package func asAdministrator<Result: Sendable>(
        _ operation: String, _ body: (HTTPSClient) async throws -> Result
    ) async throws -> Result {
        try requireControlPlane(operation)
        return try await with(try administrator(operation), body)
    }

    /// Works with the cluster as the administrator, or on a worker as the node.
    package func asLocalIdentity<Result: Sendable>(
        _ body: (HTTPSClient) async throws -> Result
    ) async throws -> Result {
        if let membership = try membership() { return try await asNode(membership, body) }
        return try await with(try administrator("ask the API"), body)
    }

    /// Refuses what only the machine of the control plane can do.
    ///
    /// - Throws: ``JoinError`` on a worker.
    package func requireControlPlane(_ operation: String) throws {
        guard try isWorker() else { return }
        // It may be damaged, or not for the caller to read: then the place is not told.
        let server = (try? membership())?.cluster.servers.first
        throw JoinError(
            operation, reason: "this node is a worker of \(server.map { "the cluster at \($0)" } ?? "another cluster")",
            remedy: "run it on the control plane")
    }

    private func isWorker() throws(SystemError) -> Bool {
        do {
            return try Membership.exists(stateDirectory: configuration.directories.state)
        } catch  where error.isDenied {
            // Who may not know is told by the next step what to do.
            return false
        }
    }

    /// Works with a cluster that this machine is a node of.
    ///
    /// - Parameter patience: how long the server may work on a request; nil for what is usual.
    func asNode<Result: Sendable>(
        _ membership: Membership, patience: TimeAmount? = nil, _ body: (HTTPSClient) async throws -> Result
    ) async throws -> Result {
        let settings = membership.clientSettings(configuration.joined(membership), logger: logger, patience: patience)
        return try await with(
            try HTTPSClient(settings, group: MultiThreadedEventLoopGroup.singleton, logger: logger), body)
    }

    private func administrator(_ operation: String) throws -> HTTPSClient {
        let credentials = try AdministratorCredentials.read(configuration, operation)
        var settings = HTTPSClientConfiguration(
            servers: [configuration.localServer],
            tls: HTTPClientTLS(
                verification: .authorities(credentials.authorityPEM),
                identity: (credentials.certificatePEM, credentials.keyPEM)))
        // Commands must be quick, also when something is wrong.
        settings.limits.attempts = 1
        settings.limits.connectTimeout = .seconds(2)
        return try HTTPSClient(settings, group: MultiThreadedEventLoopGroup.singleton, logger: logger)
    }

    private func with<Result: Sendable>(
        _ client: HTTPSClient, _ body: (HTTPSClient) async throws -> Result
    ) async throws -> Result {
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await body(client))
        } catch {
            result = .failure(error)
        }
        try await client.close()
        return try result.get()
    }
}
