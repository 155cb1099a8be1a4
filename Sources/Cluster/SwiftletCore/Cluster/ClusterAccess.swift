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
        if let membership = try membership() {
            let server = membership.cluster.servers.first ?? "the control plane"
            throw JoinError(
                operation, reason: "this node is a worker of the cluster at \(server)", remedy: "run it there")
        }
        return try await with(try administrator(), body)
    }

    /// Works with the cluster as the administrator, or on a worker as the node.
    package func asLocalIdentity<Result: Sendable>(
        _ body: (HTTPSClient) async throws -> Result
    ) async throws -> Result {
        if let membership = try membership() { return try await asNode(membership, body) }
        return try await with(try administrator(), body)
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

    private func administrator() throws -> HTTPSClient {
        let directory = configuration.keyDirectory
        var settings = HTTPSClientConfiguration(
            servers: [configuration.localServer],
            tls: HTTPClientTLS(
                // While the authority is replaced, the server may show a certificate by either.
                verification: .authorities(try AuthorityFiles.trusted(directory: directory)),
                identity: (try Files.read("\(directory)/admin.crt"), try Files.read("\(directory)/admin.key"))))
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
