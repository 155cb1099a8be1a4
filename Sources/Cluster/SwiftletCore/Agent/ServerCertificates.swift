// SPDX-License-Identifier: Apache-2.0

import APIServer
import ClusterFormation
import HTTPTransport
import LinuxSystem
import Logging
import Synchronization

/// Keeps what a control plane shows of itself right while it runs: certificates for the addresses that the machine has now,
/// renewed long before they end, and where others are told to find it.
final class ServerCertificates: Sendable {
    /// Between two looks at how long certificates still last.
    private static let interval = Duration.seconds(12 * 3600)

    private let load: @Sendable (NodeIdentity) throws -> ClusterIdentity
    private let server: APIServer
    private let kubelet: HTTPServerTLS
    private let addresses: ControlPlaneAddresses
    private let node: Mutex<NodeIdentity>
    private let logger: Logger

    /// - Parameter load: the identity for a node's addresses; what does not fit any more is issued anew.
    init(
        node: NodeIdentity, server: APIServer, kubelet: HTTPServerTLS, addresses: ControlPlaneAddresses, logger: Logger,
        load: @escaping @Sendable (NodeIdentity) throws -> ClusterIdentity
    ) {
        self.node = Mutex(node)
        self.server = server
        self.kubelet = kubelet
        self.addresses = addresses
        self.load = load
        self.logger = logger
    }

    /// Looks from time to time until it is cancelled.
    func run() async throws {
        while true {
            try await Task.sleep(for: Self.interval, tolerance: .seconds(600))
            do {
                try install(node.withLock { $0 })
            } catch {
                logger.error(
                    "Certificates could not be renewed and will be tried again", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Takes in that the machine has other addresses. Those who connect by a new one find a certificate for it before anybody
    /// is sent there.
    func addressesChanged(_ node: NodeIdentity) async throws {
        guard self.node.withLock({ $0 }) != node else { return }
        try install(node)
        try await server.advertise(addresses.advertisement)
        self.node.withLock { $0 = node }
        logger.notice(
            "The machine's addresses changed",
            metadata: ["addresses": "\(node.addresses.map(\.description).joined(separator: " "))"])
    }

    private func install(_ node: NodeIdentity) throws {
        let identity = try load(node)
        try server.replaceTLS(identity.apiServerTLS)
        try kubelet.replace(identity.kubeletTLS)
        addresses.change(node, identity)
    }
}

extension ClusterIdentity {
    /// What the API server shows, and whom it trusts.
    var apiServerTLS: HTTPServerTLS.Identity {
        .init(
            certificateChain: apiServer.certificatePEM, privateKey: apiServer.keyPEM, clientAuthorities: authorityPEM)
    }

    /// What the kubelet's server shows, and whom it trusts.
    var kubeletTLS: HTTPServerTLS.Identity {
        .init(
            certificateChain: kubeletServer.certificatePEM, privateKey: kubeletServer.keyPEM,
            clientAuthorities: authorityPEM)
    }
}
