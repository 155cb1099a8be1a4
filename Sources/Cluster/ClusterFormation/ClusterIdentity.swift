// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
package import Logging
package import PKI

/// Who a cluster is: its certification authority, the certificates of the first node and the key of its tokens.
package struct ClusterIdentity: Sendable {
    /// What the certificates must say about the node; they are issued anew when it changes.
    package struct Subject: Sendable, Hashable {
        package var nodeName: String
        /// The machine's host name, which may differ from the node's name.
        package var hostName: String
        /// Addresses by which clients reach the API server and the kubelet.
        package var addresses: [IPAddress]
        /// The cluster address of the `kubernetes` Service.
        package var serviceAddress: IPAddress
        /// The DNS domain of Services.
        package var clusterDomain: String
        /// Further DNS names of the API server.
        package var extraNames: [String]

        package init(
            nodeName: String, hostName: String? = nil, addresses: [IPAddress], serviceAddress: IPAddress,
            clusterDomain: String = "cluster.local", extraNames: [String] = []
        ) {
            self.nodeName = nodeName
            self.hostName = hostName ?? nodeName
            self.addresses = addresses
            self.serviceAddress = serviceAddress
            self.clusterDomain = clusterDomain
            self.extraNames = extraNames
        }
    }

    /// The cluster's authorities; the one that signs has signed all the certificates below.
    package let authorities: AuthoritySet
    /// The trusted authorities' certificates, the one that signs first.
    package let authorityPEM: [UInt8]
    /// What is shown behind a certificate, so that also who knows only the previous authority can verify it; mostly empty.
    package let intermediatePEM: [UInt8]
    /// How long certificates last.
    package let schedule: CertificateSchedule
    /// The API server's serving certificate.
    package let apiServer: Credential
    /// What the API server shows to kubelets (`kube-apiserver-kubelet-client`, group `system:masters`).
    package let apiServerKubeletClient: Credential
    /// The kubelet's serving certificate.
    package let kubeletServer: Credential
    /// What the kubelet shows to the API server (`system:node:NAME`, group `system:nodes`).
    package let kubeletClient: Credential
    /// The administrator (`kubernetes-admin`, group `system:masters`).
    package let admin: Credential
    /// The key that signs service-account tokens: RSA, so that RS256 verifies everywhere.
    package let serviceAccountKey: PrivateKey

    /// The authority that signs.
    package var authority: CertificateAuthority { authorities.signing }

    /// The names of all certificates but the authorities', as their files are called.
    package static let certificateNames = [
        "apiserver", "apiserver-kubelet-client", "kubelet", "kubelet-client", "admin",
    ]

    /// The certificates but the authorities' by their names.
    package var credentials: [(name: String, credential: Credential)] {
        Array(
            zip(Self.certificateNames, [apiServer, apiServerKubeletClient, kubeletServer, kubeletClient, admin])
        ).map { (name: $0.0, credential: $0.1) }
    }

    /// When the first certificate is due, in seconds since 1970; nil where none will be.
    package var renewalDue: Int64? {
        schedule.due(credentials.map(\.credential.certificate.validity), authority: authority.certificate.validity)
    }

    /// Whether a certificate is due by its age.
    package func isRenewalDue(now: Int64) -> Bool {
        credentials.contains { _, credential in
            let lives = (credential.certificate.validity, authority.certificate.validity)
            return schedule.objection(to: lives.0, authority: lives.1, now: now) != nil
        }
    }

    /// What a joining node pins: the SHA-256 of the authority's certificate in hexadecimal.
    package var authorityFingerprint: String { hexadecimal(authority.certificate.fingerprint) }

    /// Loads the identity, creating whatever is missing.
    ///
    /// Doing it twice changes nothing on disk. The authority and the token key are made once, together with everything
    /// else and before the directory gets its name; if one of them is lost later, this throws, because replacing it would
    /// lock out every client. The other certificates heal: they are issued anew when they are damaged, near their end, or
    /// do not match `subject` any more; call this again from time to time to renew them in the running process.
    ///
    /// - Parameters:
    ///   - directory: the absolute path of the key directory; it is only accessible to root.
    ///   - now: seconds since 1970; a clock that is far behind does no harm, see `Validity.clockless`.
    ///   - schedule: how long certificates last.
    ///   - renewing: names of certificates that are issued anew in any case.
    package static func loadOrCreate(
        directory path: String, subject: Subject, now: Int64, schedule: CertificateSchedule = .standard,
        renewing: Set<String> = [], logger: Logger
    ) throws -> ClusterIdentity {
        let files = try CredentialDirectory(path: path) { fresh in
            let authority = try CertificateAuthority.create(
                subject: DistinguishedName(commonName: authorityName),
                validity: .clockless(now: now, lifetimeSeconds: authorityLifetimeSeconds))
            try fresh.write(authority.key, "ca")
            try fresh.write(authority.certificate, "ca")
            try fresh.write(PrivateKey.generate(.rsa2048), "service-account")
            logger.info("Created the cluster's certification authority", metadata: ["path": "\(path)"])
        }
        let authorities = try files.authorities()
        let authority = authorities.signing
        func credential(_ requirement: CredentialRequirement) throws -> Credential {
            var requirement = requirement
            requirement.schedule = schedule
            return try files.credential(
                requirement, authority: authority, now: now, isWanted: renewing.contains(requirement.name)
            ) { name, reason in
                logger.info("Issued a certificate", metadata: ["certificate": "\(name)", "reason": "\(reason)"])
            }
        }
        let requirements = Requirements(subject)
        return ClusterIdentity(
            authorities: authorities, authorityPEM: try authorities.bundle(),
            intermediatePEM: try authorities.bridge?.pem() ?? [], schedule: schedule,
            apiServer: try credential(requirements.apiServer),
            apiServerKubeletClient: try credential(requirements.apiServerKubeletClient),
            kubeletServer: try credential(requirements.kubeletServer),
            kubeletClient: try credential(requirements.kubeletClient), admin: try credential(requirements.admin),
            serviceAccountKey: try files.requiredKey("service-account"))
    }

    /// Ten years, as upstream's tools do it.
    static let authorityLifetimeSeconds: Int64 = 3650 * 86400
    /// A name in the certificates of all API servers, and in no node's: by it they are recognised wherever they are.
    package static let serverName = "kubernetes.default.svc"
    /// What the first authority of a cluster is called.
    static let authorityName = "swiftlet-ca"
}

/// The certificates of a node with the control plane (kubernetes.io, "PKI certificates and requirements").
private struct Requirements {
    let apiServer: CredentialRequirement
    let apiServerKubeletClient: CredentialRequirement
    let kubeletServer: CredentialRequirement
    let kubeletClient: CredentialRequirement
    let admin: CredentialRequirement

    init(_ subject: ClusterIdentity.Subject) {
        let loopback: [IPAddress] = [.loopbackV4, .loopbackV6]
        let serviceNames = [
            "kubernetes", "kubernetes.default", ClusterIdentity.serverName,
            "\(ClusterIdentity.serverName).\(subject.clusterDomain)",
        ]
        apiServer = CredentialRequirement(
            name: "apiserver", subject: DistinguishedName(commonName: "kube-apiserver"),
            alternativeNames: SubjectAlternativeNames(
                dnsNames: unique(
                    serviceNames + ["localhost", subject.hostName, subject.nodeName]
                        + [LocalHostName.name(of: subject.hostName)].compactMap { $0 } + subject.extraNames),
                ipAddresses: unique(loopback + [subject.serviceAddress] + subject.addresses)),
            purposes: [.server])
        apiServerKubeletClient = CredentialRequirement(
            name: "apiserver-kubelet-client",
            subject: DistinguishedName(
                commonName: "kube-apiserver-kubelet-client", organizations: ["system:masters"]),
            purposes: [.client])
        kubeletServer = .kubeletServer(
            nodeName: subject.nodeName, dnsNames: unique([subject.nodeName, subject.hostName, "localhost"]),
            addresses: unique(loopback + subject.addresses))
        kubeletClient = .kubeletClient(nodeName: subject.nodeName)
        admin = CredentialRequirement(
            name: "admin",
            subject: DistinguishedName(commonName: "kubernetes-admin", organizations: ["system:masters"]),
            purposes: [.client])
    }
}

/// The elements in their order, each once.
private func unique<Element: Hashable>(_ elements: [Element]) -> [Element] {
    var seen: Set<Element> = []
    return elements.filter { seen.insert($0).inserted }
}
