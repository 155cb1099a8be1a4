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
    private let membership: CurrentMembership
    private let client: HTTPSClient
    private let kubelet: HTTPServerTLS
    private let addresses: Mutex<[IPAddress]>
    private let logger: Logger

    init(
        _ membership: CurrentMembership, node: NodeIdentity, client: HTTPSClient, kubelet: HTTPServerTLS, logger: Logger
    ) {
        self.membership = membership
        addresses = Mutex(node.addresses)
        self.client = client
        self.kubelet = kubelet
        self.logger = logger
    }

    /// Runs until it is cancelled.
    func run() async throws {
        let membership = membership.value
        let clientRenewal = try renewal(.client, membership, membership.client) { [self] key in
            try self.membership.change { $0.client = key }
            try client.replaceTLS(
                HTTPClientTLS(verification: .authorities(membership.authorityPEM), identity: key.identity))
        }
        let servingRenewal = try renewal(.serving, membership, membership.serving) { [self] key in
            try self.membership.change { $0.serving = key }
            try kubelet.replace(Self.serverIdentity(key, membership))
        }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await clientRenewal.run() }
            group.addTask { try await servingRenewal.run() }
        }
    }

    /// Takes in that the machine has other addresses; the serving certificate follows when the Node tells of them.
    func addressesChanged(_ node: NodeIdentity) {
        let isChanged = addresses.withLock { addresses in
            defer { addresses = node.addresses }
            return addresses != node.addresses
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
                SubjectAlternativeNames(ipAddresses: addresses.withLock { $0 }.filter { !$0.isLoopback })
            }, random: .random(in: 0...1), now: { FileTime.now().seconds }, logger: logger
        ) { credential in
            try install(.init(certificatePEM: credential.certificate, keyPEM: credential.key))
        }
    }
}
