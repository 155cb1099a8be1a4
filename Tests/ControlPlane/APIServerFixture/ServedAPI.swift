// SPDX-License-Identifier: Apache-2.0

package import APIServer
import HTTPTransport
import JSON
import KubeAPI
import KubeClient
import LinuxSystem
package import Logging
import NIOCore
import NIOPosix
package import PKI
package import StorageSQLite

/// An API server on a free port of the loopback interface, with its credentials, for tests.
package struct ServedAPI: Sendable {
    package let server: APIServer
    /// May do everything.
    package let client: InProcessClient
    package let storage: SQLiteStorage
    package let port: Int
    package let authority: CertificateAuthority

    package static let adminToken = "admin-token-for-tests"

    /// Serves while `body` runs.
    package static func run(
        configure: (inout APIServerConfiguration) -> Void = { _ in }, extensions: [any PathExtension] = [],
        logger: Logger = Logger(label: "test"),
        _ body: @Sendable @escaping (ServedAPI) async throws -> Void
    ) async throws {
        let now = SystemClock().now
        let authority = try CertificateAuthority.create(
            subject: .init(commonName: "test-ca"), validity: .backdated(now: now, lifetimeSeconds: 86400))
        let (certificate, key) = try authority.issue(
            .init(
                subject: .init(commonName: "kube-apiserver"),
                alternativeNames: .init(dnsNames: ["localhost"], ipAddresses: [.loopbackV4]), purposes: [.server],
                validity: .backdated(now: now, lifetimeSeconds: 86400)))
        var configuration = APIServerConfiguration(
            advertised: .init(endpoint: .init(host: "10.9.9.9", port: 16443)),
            serviceAccountKey: try .generate(.rsa2048))
        configuration.listeners = [.init(host: "127.0.0.1", port: 0)]
        configuration.tls = try HTTPServerTLS(
            .init(
                certificateChain: certificate.pem(), privateKey: key.pem(),
                clientAuthorities: authority.certificate.pem()))
        configuration.staticTokens[adminToken] = UserInfo(
            name: "admin",
            groups: [UserInfo.WellKnown.mastersGroup, UserInfo.WellKnown.authenticatedGroup])
        configure(&configuration)
        let storage = try SQLiteStorage(.init(location: .memory), logger: logger)
        let server = try APIServer(
            configuration: configuration, storage: storage, group: MultiThreadedEventLoopGroup.singleton,
            extensions: { _ in extensions }, logger: logger)
        try await whileRunning([{ try await storage.run() }]) {
            let addresses = try await server.bind()
            try await whileRunning([{ try await server.run() }]) {
                try await server.waitUntilReady()
                try await body(
                    ServedAPI(
                        server: server, client: server.client(user: .loopback, manager: "test"), storage: storage,
                        port: addresses.first?.port ?? 0, authority: authority))
            }
        }
    }

    package var url: String { "https://127.0.0.1:\(port)" }
}

/// Runs tasks that end by being cancelled, while `body` runs.
package func whileRunning(
    _ tasks: [@Sendable () async throws -> Void], _ body: () async throws -> Void
) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for task in tasks { group.addTask { try await task() } }
        let result: Result<Void, any Error>
        do {
            try await body()
            result = .success(())
        } catch {
            result = .failure(error)
        }
        group.cancelAll()
        do { try await group.waitForAll() } catch is CancellationError {}
        try result.get()
    }
}
