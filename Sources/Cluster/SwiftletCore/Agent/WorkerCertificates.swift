// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import ControllerRuntime
import HTTPTransport
import JSON
import KubeAPI
import KubeClient
import Kubelet
import LinuxSystem
import Logging
import PKI
import Synchronization

/// Keeps a worker's certificates and the authorities that it trusts right, on disk and in the running process.
///
/// Certificates are renewed through the API. The authorities are fetched from the control plane whenever it publishes others,
/// over a connection that is verified by those that are trusted already; the Node object tells what this node uses.
final class WorkerCertificates: Sendable {
    private enum Work: Hashable, Sendable {
        /// Compare the authorities and the report on the Node with what is true.
        case synchronise
        /// Take over what is on disk.
        case reload
    }

    /// The ConfigMap that changes whenever the cluster trusts other authorities. It only tells of the change.
    private static let bundle = (namespace: "kube-public", name: "kube-root-ca.crt")

    private let membership: CurrentMembership
    private let runDirectory: String
    private let client: HTTPSClient
    private let kubelet: HTTPServerTLS
    private let notice: CertificateNotice
    private let addresses: Mutex<[IPAddress]>
    /// The client certificate in use. Held while a change of the membership is put to use, so that the newest one is used last.
    private let usage: Mutex<Membership.CertifiedKey>
    private let queue = WorkQueue<Work>(shortestDelay: .seconds(1), longestDelay: .seconds(60))
    private let random: Double
    private let now: @Sendable () -> Int64
    private let logger: Logger

    /// - Parameters:
    ///   - random: 0 to 1: where in the time that is good for it this node renews.
    ///   - now: Seconds since 1970.
    init(
        _ membership: CurrentMembership, node: NodeIdentity, runDirectory: String, client: HTTPSClient,
        kubelet: HTTPServerTLS, notice: CertificateNotice, random: Double = .random(in: 0...1),
        now: @escaping @Sendable () -> Int64 = { FileTime.now().seconds }, logger: Logger
    ) {
        self.membership = membership
        usage = Mutex(membership.value.client)
        addresses = Mutex(node.addresses)
        self.runDirectory = runDirectory
        self.client = client
        self.kubelet = kubelet
        self.notice = notice
        self.random = random
        self.now = now
        self.logger = logger
    }

    /// Runs until it is cancelled.
    func run() async throws {
        let clientRenewal = try renewal(.client)
        let servingRenewal = try renewal(.serving)
        let published = Informer(
            .configMaps, client: client, namespace: Self.bundle.namespace,
            options: .init(fieldSelector: "metadata.name=\(Self.bundle.name)"), logger: logger)
        published.addHandler { [queue] _ in queue.add(.synchronise) }
        let controller = Controller("worker-certificates", workers: 1, queue: queue, logger: logger) { [self] work in
            switch work {
            case .synchronise:
                try await fetchAuthorities()
                clientRenewal.look()
                servingRenewal.look()
                try await report()
            case .reload:
                // Nothing is changed but what somebody else has changed on disk.
                let membership = try change { _ in }
                try await clientRenewal.adopt(membership.client.pem)
                try await servingRenewal.adopt(membership.serving.pem)
            }
            return nil
        }
        try membership.value.inUse().write(runDirectory: runDirectory)
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await clientRenewal.run() }
            group.addTask { try await servingRenewal.run() }
            group.addTask { try await published.run() }
            group.addTask { try await controller.run() }
            group.addTask { [notice, queue] in
                for await _ in notice.notices { queue.add(.reload) }
            }
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

    private func renewal(_ kind: CertificateRenewal.Kind) throws -> CertificateRenewal {
        try CertificateRenewal(
            kind, nodeName: membership.value.nodeName, current: membership.value[kind].pem, client: client,
            addresses: { [self] in addresses.withLock { $0 } },
            isSufficient: { [self] in membership.value.isByCurrentAuthority($0, kind) }, random: random, now: now,
            logger: logger
        ) { [self] credential in
            try change { $0[kind] = .init(certificatePEM: credential.certificate, keyPEM: credential.key) }
            queue.add(.synchronise)
        }
    }

    // MARK: Authorities

    /// Takes over the authorities that the cluster trusts now.
    private func fetchAuthorities() async throws {
        let document = try await client.rawGet(JoinPath.authorities)
        let bundle = Array((document["authorities"]?.string ?? "").utf8)
        guard bundle != membership.value.authorityPEM else { return }
        let authorities = try AuthorityBundle(pem: bundle)
        try change { $0.authorityPEM = bundle }
        logger.notice(
            "The cluster trusts other authorities",
            metadata: ["authorities": "\(authorities.fingerprints.map { $0.prefix(16) }.joined(separator: " "))"])
    }

    /// Tells on the Node what is used, where it does not say so yet.
    private func report() async throws {
        let membership = membership.value
        let use = try membership.inUse()
        let wanted = NodeCertificates.annotations(use)
        let node = try await client.get(.nodes, namespace: nil, name: membership.nodeName)
        guard wanted.contains(where: { node.annotations[$0.key] != $0.value }) else { return }
        _ = try await client.patch(
            .nodes, namespace: nil, name: membership.nodeName, subresource: nil, type: .merge,
            patch: ["metadata": ["annotations": JSON(wanted)]], options: .init())
    }

    // MARK: Changes

    /// Writes a changed membership, then uses it.
    @discardableResult
    private func change(_ body: (inout Membership) -> Void) throws -> Membership {
        try usage.withLock { used in
            let new = try membership.change(body)
            try client.replaceTLS(new.clientTLS)
            try kubelet.replace(new.serverTLS)
            // As upstream's kubelet: no connection goes on with a certificate that was replaced.
            if new.client != used { client.retireConnections() }
            used = new.client
            try new.inUse().write(runDirectory: runDirectory)
            return new
        }
    }
}

extension Membership {
    /// How this node recognises the control plane, and what it shows to it.
    var clientTLS: HTTPClientTLS {
        HTTPClientTLS(verification: .authorities(authorityPEM), identity: client.identity)
    }

    /// What the kubelet's server shows, and whom it trusts.
    var serverTLS: HTTPServerTLS.Identity {
        .init(
            certificateChain: serving.identity.certificateChain, privateKey: serving.identity.privateKey,
            clientAuthorities: authorityPEM)
    }

    /// One of the two certificates.
    subscript(kind: CertificateRenewal.Kind) -> CertifiedKey {
        get {
            switch kind {
            case .client: client
            case .serving: serving
            }
        }
        set {
            switch kind {
            case .client: client = newValue
            case .serving: serving = newValue
            }
        }
    }

    /// Whether the authority that signs now issued a certificate.
    func isByCurrentAuthority(_ certificate: Certificate, _ kind: CertificateRenewal.Kind) -> Bool {
        // A bundle that cannot be read is no reason for other certificates.
        (try? authorities().isCurrent(certificate, purpose: kind.purpose)) ?? true
    }

    /// What an agent with this membership uses.
    func inUse() throws -> CertificatesInUse {
        let authorities = try authorities()
        var certificates: [String: String] = [:]
        var issuers: Set<String> = []
        for kind in CertificateRenewal.Kind.allCases {
            let certificate = try Certificate(pem: self[kind].pem)
            certificates[kind.fileName] = hexadecimal(certificate.fingerprint)
            issuers.insert(authorities.issuer(of: certificate, purpose: kind.purpose) ?? "")
        }
        return CertificatesInUse(
            authorities: authorities.fingerprints, certificates: certificates,
            certifiedBy: issuers.count == 1 ? issuers.first ?? "" : "")
    }
}

extension CertificateRenewal.Kind {
    /// The name of the certificate's file without its ending.
    var fileName: String {
        switch self {
        case .client: "kubelet-client"
        case .serving: "kubelet"
        }
    }

    var purpose: CertificateProfile.Purpose {
        switch self {
        case .client: .client
        case .serving: .server
        }
    }
}

/// How a Node object tells what certificates its node uses.
enum NodeCertificates {
    private static let trusted = "swiftlet.io/trusted-authorities"
    private static let certifiedBy = "swiftlet.io/certified-by"

    static func annotations(_ use: CertificatesInUse) -> [String: String] {
        [trusted: use.authorities.joined(separator: ","), certifiedBy: use.certifiedBy]
    }

    static func use(_ node: KubeObject) -> RotationMachine.Use {
        RotationMachine.Use(
            trusted: Set((node.annotations[trusted] ?? "").split(separator: ",").map(String.init)),
            certifiedBy: node.annotations[certifiedBy] ?? "")
    }
}
