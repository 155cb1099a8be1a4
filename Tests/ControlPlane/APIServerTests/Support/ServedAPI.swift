// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import KubeClient
import LinuxSystem
import Logging
import NIOCore
import NIOPosix
import PKI
import Storage
import StorageSQLite

@testable import APIServer

/// An API server on a free port of the loopback interface, with its credentials.
struct ServedAPI: Sendable {
    let server: APIServer
    let client: InProcessClient
    let storage: SQLiteStorage
    let port: Int
    let authority: CertificateAuthority

    static let adminToken = "admin-token-for-tests"

    /// Serves while `body` runs.
    static func run(
        configure: (inout APIServerConfiguration) -> Void = { _ in }, logger: Logger = Logger(label: "test"),
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
            advertised: .init(host: "10.9.9.9", port: 16443), serviceAccountKey: try .generate(.rsa2048))
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
            logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await storage.run() }
            let addresses = try await server.bind()
            group.addTask { try await server.run() }
            try await server.waitUntilReady()
            let served = ServedAPI(
                server: server, client: server.client(user: .loopback, manager: "test"), storage: storage,
                port: addresses.first?.port ?? 0, authority: authority)
            let result: Result<Void, any Error>
            do {
                try await body(served)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            group.cancelAll()
            // The servers end by being cancelled.
            do { try await group.waitForAll() } catch is CancellationError {}
            try result.get()
        }
    }

    var url: String { "https://127.0.0.1:\(port)" }
}
