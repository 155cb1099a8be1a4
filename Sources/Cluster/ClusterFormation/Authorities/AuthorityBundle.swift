// SPDX-License-Identifier: Apache-2.0

package import PKI

/// The authorities that a node trusts, as a bundle in PEM names them: the one that signs comes first.
package struct AuthorityBundle: Sendable {
    /// While an authority is replaced there are two.
    private static let maximum = 4

    package let certificates: [Certificate]

    /// - Throws: ``PKIError`` when the bundle is damaged, or holds what is no authority.
    package init(pem: [UInt8]) throws(PKIError) {
        let certificates = try Certificate.bundle(pem: pem)
        guard certificates.count <= Self.maximum, certificates.allSatisfy(\.isAuthority) else {
            throw PKIError(
                .unsupported, "read the cluster's authorities",
                "there must be 1 to \(Self.maximum) certificates, all of them authorities'")
        }
        self.certificates = certificates
    }

    /// The SHA-256 of each, in hexadecimal.
    package var fingerprints: [String] { certificates.map { hexadecimal($0.fingerprint) } }

    /// The SHA-256 of the authority that issued a certificate, whatever its age; nil where it is none of these.
    package func issuer(of certificate: Certificate, purpose: CertificateProfile.Purpose) -> String? {
        for authority in certificates {
            do {
                try CertificateVerifier(trusting: [authority]).verify(
                    certificate, purpose: purpose, at: max(certificate.validity.notBefore, authority.validity.notBefore)
                )
                return hexadecimal(authority.fingerprint)
            } catch {
                // It is by another one, or by nobody that is trusted.
                continue
            }
        }
        return nil
    }

    /// Whether the authority that signs now issued a certificate.
    package func isCurrent(_ certificate: Certificate, purpose: CertificateProfile.Purpose) -> Bool {
        issuer(of: certificate, purpose: purpose) == fingerprints.first
    }
}
