// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import KubeAPI
import KubeClient
import Kubelet
import LinuxSystem
package import Logging
import PKI

/// `swiftlet certificates renew`: issues certificates anew, whatever their age, and has the running agent use them.
package struct CertificateRenewalOperation: Sendable {
    private static let operation = "renew certificates"

    private let configuration: Configuration
    private let logger: Logger

    package init(_ configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// What was done.
    package struct Outcome: Sendable {
        package var names: [String]
        /// Whether an agent runs and uses them; otherwise the next start will.
        package var isInUse: Bool
    }

    /// Renews.
    ///
    /// - Parameters:
    ///   - names: the certificates; all but the authorities where it is empty.
    ///   - limit: how long the control plane may take for each, and the agent to take them over.
    /// - Throws: ``JoinError``; certificates that were not renewed stay as they were.
    package func run(_ names: [String], within limit: Duration) async throws -> Outcome {
        try JoinError.requireRoot(Self.operation)
        let renewed: [String]
        let wanted: [String: String]
        if let membership = try Membership.load(stateDirectory: configuration.directories.state) {
            renewed = try await renewWorker(membership, names, limit)
            let fresh = try Membership.load(stateDirectory: configuration.directories.state)
            wanted = try fresh?.inUse().certificates ?? [:]
        } else {
            let identity = try renewControlPlane(names)
            renewed = names.isEmpty ? ClusterIdentity.certificateNames : names
            wanted = identity.inUse.certificates
        }
        var handover = CertificateHandover(configuration)
        return Outcome(
            names: renewed, isInUse: try await handover.run(within: limit) { $0.certificates == wanted })
    }

    private func check(_ names: [String], known: [String]) throws {
        guard let unknown = names.first(where: { !known.contains($0) }) else { return }
        throw JoinError(
            Self.operation, reason: "there is no certificate \"\(unknown)\" here that is renewed",
            remedy: unknown.hasPrefix("ca")
                ? "the authority is replaced by 'swiftlet certificates rotate-ca' on the control plane"
                : "name one of \(known.joined(separator: ", "))")
    }

    private func renewControlPlane(_ names: [String]) throws -> ClusterIdentity {
        let known = ClusterIdentity.certificateNames
        try check(names, known: known)
        guard try Files.status(configuration.keyDirectory) != nil else {
            throw JoinError(
                Self.operation, reason: "this machine has none yet",
                remedy: "start the agent ('systemctl start swiftlet'), which makes them")
        }
        let identity = try configuration.loadIdentity(
            of: NodeIdentity.discover(configuration), renewing: Set(names.isEmpty ? known : names), logger: logger)
        try configuration.writeKubeconfig(identity)
        return identity
    }

    private func renewWorker(
        _ membership: Membership, _ names: [String], _ limit: Duration
    ) async throws -> [String] {
        let kinds = CertificateRenewal.Kind.allCases
        try check(names, known: kinds.map(\.fileName))
        let wanted = kinds.filter { names.isEmpty || names.contains($0.fileName) }
        let addresses = try NodeIdentity.discover(configuration.joined(membership)).addresses
        do {
            try await ClusterAccess(configuration, logger: logger).asNode(membership) { client in
                for kind in wanted { try await renew(kind, membership, addresses, client, limit) }
            }
        } catch let error as StatusError where error.code == 401 {
            throw JoinError(
                Self.operation, reason: "the control plane does not accept this node's certificate (\(error.message))",
                remedy: "see 'swiftlet certificates status'; if it has expired, run 'swiftlet leave --force' and join"
                    + " again")
        } catch let error as StatusError {
            throw JoinError(Self.operation, reason: error.message, remedy: "the control plane said so")
        } catch let error as ClientError {
            throw JoinError(
                Self.operation, reason: error.reason,
                remedy: "the control plane issues certificates: see that it runs and that this board reaches it")
        } catch let error as RenewalError {
            throw JoinError(Self.operation, reason: error.reason, remedy: "see 'kubectl get csr' on the control plane")
        }
        return wanted.map(\.fileName)
    }

    private func renew(
        _ kind: CertificateRenewal.Kind, _ membership: Membership, _ addresses: [IPAddress], _ client: HTTPSClient,
        _ limit: Duration
    ) async throws {
        let state = configuration.directories.state
        let renewal = try CertificateRenewal(
            kind, nodeName: membership.nodeName, current: membership[kind].pem, client: client,
            addresses: { addresses }, random: 0, now: { FileTime.now().seconds }, logger: logger
        ) { credential in
            // What the agent has written meanwhile stays.
            try Membership.change(stateDirectory: state) {
                $0[kind] = .init(certificatePEM: credential.certificate, keyPEM: credential.key)
            }
        }
        try await renewal.renew(within: limit)
    }
}
