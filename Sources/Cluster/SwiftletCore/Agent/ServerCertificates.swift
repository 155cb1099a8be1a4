// SPDX-License-Identifier: Apache-2.0

import APIServer
import ClusterFormation
import ControllerRuntime
import HTTPTransport
import LinuxSystem
import Logging
import PKI
import Synchronization

/// Keeps everything right by which a control plane is known, and knows others, while it runs: certificates for the addresses
/// that the machine has now, renewed long before they end, the authorities that are trusted, and where others are told to find
/// it.
final class ServerCertificates: Sendable {
    private enum Work: Hashable, Sendable {
        /// Look whether a certificate is due by its age.
        case look
        /// Take over what is on disk.
        case reload
    }

    /// The longest time between two looks at the clock, which may have been set in between.
    private static let longestSleep: Int64 = 60
    /// Between two looks at the files, where damage heals.
    private static let reloadInterval = Duration.seconds(12 * 3600)

    private let load: @Sendable (NodeIdentity) throws -> ClusterIdentity
    private let current: CurrentIdentity
    private let server: APIServer
    private let kubelet: HTTPServerTLS
    private let addresses: ControlPlaneAddresses
    /// The node that the certificates in use are for; held while others are put in place, so that those for addresses of before
    /// never come last.
    private let installed: Mutex<NodeIdentity>
    /// The node that others have been told of.
    private let announced: Mutex<NodeIdentity>
    private let configuration: Configuration
    private let notice: CertificateNotice
    private let now: @Sendable () -> Int64
    private let logger: Logger

    /// - Parameters:
    ///   - current: gets every new identity.
    ///   - load: the identity for a node's addresses; what does not fit any more is issued anew.
    init(
        _ configuration: Configuration, node: NodeIdentity, current: CurrentIdentity, server: APIServer,
        kubelet: HTTPServerTLS, addresses: ControlPlaneAddresses, notice: CertificateNotice,
        now: @escaping @Sendable () -> Int64 = { FileTime.now().seconds }, logger: Logger,
        load: @escaping @Sendable (NodeIdentity) throws -> ClusterIdentity
    ) {
        self.configuration = configuration
        installed = Mutex(node)
        announced = Mutex(node)
        self.current = current
        self.server = server
        self.kubelet = kubelet
        self.addresses = addresses
        self.notice = notice
        self.now = now
        self.load = load
        self.logger = logger
    }

    /// Looks from time to time until it is cancelled.
    func run() async throws {
        let queue = WorkQueue<Work>(shortestDelay: .seconds(1), longestDelay: .seconds(300))
        let controller = Controller("server-certificates", workers: 1, queue: queue, logger: logger) { [self] work in
            switch work {
            case .look: return .seconds(try renewWhatIsDue())
            case .reload:
                try install()
                return Self.reloadInterval
            }
        }
        queue.add(.look)
        queue.add(.reload, after: Self.reloadInterval)
        try publish(current.value)
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await controller.run() }
            group.addTask { [notice] in
                for await _ in notice.notices { queue.add(.reload) }
            }
        }
    }

    /// Takes in that the machine has other addresses. Those who connect by a new one find a certificate for it before anybody
    /// is sent there.
    func addressesChanged(_ node: NodeIdentity) async throws {
        guard announced.withLock({ $0 }) != node else { return }
        try install(node)
        try await server.advertise(addresses.advertisement)
        announced.withLock { $0 = node }
        logger.notice(
            "The machine's addresses changed",
            metadata: ["addresses": "\(node.addresses.map(\.description).joined(separator: " "))"])
    }

    /// - Returns: the seconds until the next look.
    private func renewWhatIsDue() throws -> Int64 {
        let now = now()
        if current.value.isRenewalDue(now: now) {
            try install()
            return Self.longestSleep
        }
        guard Validity.isClockSet(now), let due = current.value.renewalDue else { return Self.longestSleep }
        // A second more: what is due is what is over.
        return min(max(due - now, 0) + 1, Self.longestSleep)
    }

    /// Puts certificates in place.
    ///
    /// - Parameter node: nil for the one that they are for already.
    private func install(_ node: NodeIdentity? = nil) throws {
        try installed.withLock { installed in
            let node = node ?? installed
            let identity = try load(node)
            try server.replaceTLS(identity.apiServerTLS)
            server.replaceKubeletTLS(identity.kubeletClientTLS)
            try kubelet.replace(identity.kubeletTLS)
            addresses.change(node, identity)
            installed = node
            current.replace(identity)
            try publish(identity)
        }
    }

    /// Writes what others read: the administrator's kubeconfig, and what is in use.
    private func publish(_ identity: ClusterIdentity) throws {
        try configuration.writeKubeconfig(identity)
        try identity.inUse.write(runDirectory: configuration.directories.run)
    }
}

extension ClusterIdentity {
    /// What the API server shows, and whom it trusts.
    var apiServerTLS: HTTPServerTLS.Identity {
        .init(
            certificateChain: apiServer.certificatePEM + intermediatePEM, privateKey: apiServer.keyPEM,
            clientAuthorities: authorityPEM)
    }

    /// What the kubelet's server shows, and whom it trusts.
    var kubeletTLS: HTTPServerTLS.Identity {
        .init(
            certificateChain: kubeletServer.certificatePEM + intermediatePEM, privateKey: kubeletServer.keyPEM,
            clientAuthorities: authorityPEM)
    }

    /// What the API server shows to kubelets, and how it recognises them.
    var kubeletClientTLS: HTTPClientTLS {
        HTTPClientTLS(
            verification: .authorities(authorityPEM),
            identity: (
                apiServerKubeletClient.certificatePEM + intermediatePEM, apiServerKubeletClient.keyPEM
            ))
    }

    /// What an agent with this identity uses.
    var inUse: CertificatesInUse {
        CertificatesInUse(
            authorities: authorities.fingerprints,
            certificates: Dictionary(
                credentials.map { ($0.name, hexadecimal($0.credential.certificate.fingerprint)) },
                uniquingKeysWith: { first, _ in first }), certifiedBy: authorityFingerprint)
    }
}

extension Configuration {
    /// How long the cluster's certificates last.
    var certificateSchedule: CertificateSchedule {
        CertificateSchedule(lifetimeSeconds: Int64(certificates.lifetimeMinutes) * 60)
    }

    /// Where a control plane keeps its keys.
    var keyDirectory: String { "\(directories.state)/pki" }

    /// The address of the Service `kubernetes`: the first of its range.
    var serviceAddress: IPAddress {
        get throws {
            let services = try range("network.serviceCIDR", network.serviceCIDR)
            return services.address.advanced(by: 1) ?? services.address
        }
    }

    /// The cluster's identity for the addresses that a node has; what is missing, due or does not fit is made.
    ///
    /// - Parameter renewing: the names of certificates that are issued anew in any case.
    func loadIdentity(
        of node: NodeIdentity, renewing: Set<String> = [], logger: Logger
    ) throws -> ClusterIdentity {
        try ClusterIdentity.loadOrCreate(
            directory: keyDirectory,
            subject: .init(
                nodeName: node.name, hostName: node.hostName, addresses: node.addresses,
                serviceAddress: try serviceAddress, clusterDomain: network.clusterDomain,
                extraNames: api.certificateNames),
            now: FileTime.now().seconds, schedule: certificateSchedule, renewing: renewing, logger: logger)
    }

    /// Writes the administrator's kubeconfig.
    func writeKubeconfig(_ identity: ClusterIdentity) throws {
        try Kubeconfig(server: localServer, authorityPEM: identity.authorityPEM, user: identity.admin)
            .write(to: kubeconfigPath)
    }
}
