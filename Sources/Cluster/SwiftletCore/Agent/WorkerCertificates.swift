// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import HTTPTransport
import KubeClient
import Kubelet
import LinuxSystem
import Logging
import PKI
import Synchronization

/// Renews a worker's certificates through the API, on disk and in the running process.
final class WorkerCertificates: Sendable {
    private struct State {
        var membership: Membership
        var addresses: [IPAddress]
    }

    private let stateDirectory: String
    private let client: HTTPSClient
    private let kubelet: HTTPServerTLS
    private let state: Mutex<State>
    private let logger: Logger

    init(
        _ membership: Membership, node: NodeIdentity, stateDirectory: String, client: HTTPSClient,
        kubelet: HTTPServerTLS, logger: Logger
    ) {
        state = Mutex(State(membership: membership, addresses: node.addresses))
        self.stateDirectory = stateDirectory
        self.client = client
        self.kubelet = kubelet
        self.logger = logger
    }

    /// Runs until it is cancelled.
    func run() async throws {
        let membership = state.withLock { $0.membership }
        let clientRenewal = try renewal(.client, membership, membership.client) { [self] key in
            try keep { $0.client = key }
            try client.replaceTLS(
                HTTPClientTLS(verification: .authorities(membership.authorityPEM), identity: key.identity))
        }
        let servingRenewal = try renewal(.serving, membership, membership.serving) { [self] key in
            try keep { $0.serving = key }
            try kubelet.replace(Self.serverIdentity(key, membership))
        }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await clientRenewal.run() }
            group.addTask { try await servingRenewal.run() }
        }
    }

    /// Takes in that the machine has other addresses; the serving certificate follows when the Node tells of them.
    func addressesChanged(_ node: NodeIdentity) {
        let isChanged = state.withLock { state in
            defer { state.addresses = node.addresses }
            return state.addresses != node.addresses
        }
        if isChanged { client.reconnect() }
    }

    static func serverIdentity(
        _ key: Membership.CertifiedKey, _ membership: Membership
    ) -> HTTPServerTLS.Identity {
        .init(
            certificateChain: key.identity.certificateChain, privateKey: key.identity.privateKey,
            clientAuthorities: membership.authorityPEM)
    }

    private func renewal(
        _ kind: CertificateRenewal.Kind, _ membership: Membership, _ current: Membership.CertifiedKey,
        install: @escaping @Sendable (Membership.CertifiedKey) throws -> Void
    ) throws -> CertificateRenewal {
        try CertificateRenewal(
            kind, nodeName: membership.nodeName, current: current.pem, client: client,
            names: { [self] in
                SubjectAlternativeNames(ipAddresses: state.withLock { $0.addresses }.filter { !$0.isLoopback })
            }, random: .random(in: 0...1), now: { FileTime.now().seconds }, logger: logger
        ) { credential in
            try install(.init(certificatePEM: credential.certificate, keyPEM: credential.key))
        }
    }

    /// Writes a changed membership before it is used.
    private func keep(_ change: (inout Membership) -> Void) throws {
        try state.withLock { state in
            var membership = state.membership
            change(&membership)
            try membership.save(stateDirectory: stateDirectory)
            state.membership = membership
        }
    }
}
