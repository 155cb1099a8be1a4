// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
package import PKI

/// A certificate with its private key, parsed and as PEM.
package struct Credential: Sendable {
    package let certificate: Certificate
    package let key: PrivateKey
    package let certificatePEM: [UInt8]
    package let keyPEM: [UInt8]

    init(certificate: Certificate, key: PrivateKey) throws(PKIError) {
        self.certificate = certificate
        self.key = key
        certificatePEM = try certificate.pem()
        keyPEM = try key.pem()
    }
}

/// One of the certificates that a node needs: its file name and what it must say.
struct CredentialRequirement {
    /// The file name without `.crt` and `.key`.
    let name: String
    let subject: DistinguishedName
    var alternativeNames = SubjectAlternativeNames()
    let purposes: [CertificateProfile.Purpose]
    var schedule = CertificateSchedule.standard

    /// What a kubelet shows to the API server.
    static func kubeletClient(nodeName: String) -> CredentialRequirement {
        CredentialRequirement(name: "kubelet-client", subject: nodeSubject(nodeName), purposes: [.client])
    }

    /// What a kubelet shows to the API server that connects to it.
    static func kubeletServer(
        nodeName: String, dnsNames: [String], addresses: [IPAddress]
    ) -> CredentialRequirement {
        CredentialRequirement(
            name: "kubelet", subject: nodeSubject(nodeName),
            alternativeNames: SubjectAlternativeNames(dnsNames: dnsNames, ipAddresses: addresses), purposes: [.server])
    }

    /// The identity of a node (kubernetes.io, "Using Node Authorization").
    static func nodeSubject(_ nodeName: String) -> DistinguishedName {
        DistinguishedName(commonName: "system:node:\(nodeName)", organizations: ["system:nodes"])
    }

    /// Why a certificate does not do any more; nil where it does.
    func objection(to certificate: Certificate, authority: CertificateAuthority, now: Int64) -> String? {
        if certificate.subject != subject { return "it names \(certificate.subject)" }
        let names = certificate.alternativeNames
        if Set(names.dnsNames) != Set(alternativeNames.dnsNames)
            || Set(names.ipAddresses) != Set(alternativeNames.ipAddresses)
        {
            return "names or addresses changed"
        }
        let lives = (certificate.validity, authority.certificate.validity)
        if let reason = schedule.objection(to: lives.0, authority: lives.1, now: now) { return reason }
        do {
            let verifier = try CertificateVerifier(trusting: [authority.certificate])
            // At a time when both hold: a clock that is behind must not make a node throw its certificates away.
            let time = min(max(now, certificate.validity.notBefore), certificate.validity.notAfter - 1)
            try verifier.verify(certificate, purpose: purposes[0], at: time)
        } catch {
            return error.reason
        }
        return nil
    }

    /// Issues a certificate for `key`.
    func issue(by authority: CertificateAuthority, for key: PrivateKey, now: Int64) throws(PKIError) -> Credential {
        try Credential(certificate: issue(by: authority, for: key.publicKey(), now: now), key: key)
    }

    /// Issues a certificate for a key that its owner keeps.
    func issue(by authority: CertificateAuthority, for key: PublicKey, now: Int64) throws(PKIError) -> Certificate {
        let profile = CertificateProfile(
            subject: subject, alternativeNames: alternativeNames, purposes: purposes,
            validity: schedule.validity(now: now, authority: authority.certificate.validity))
        return try authority.issue(profile, for: key)
    }
}
