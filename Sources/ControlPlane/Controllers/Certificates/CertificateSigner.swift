// SPDX-License-Identifier: Apache-2.0

package import PKI

/// Issues the cluster's certificates; whoever composes the control plane says with which authority.
package protocol CertificateSigner: Sendable {
    /// Issues a certificate.
    ///
    /// - Parameters:
    ///   - profile: What the certificate is to say; its end is never later than that of the authority.
    ///   - key: The key that the requester holds.
    /// - Returns: The certificate in PEM.
    func sign(_ profile: CertificateProfile, for key: PublicKey) async throws -> [UInt8]
}

/// Signs with the authority of the moment, whose key is in memory.
package struct AuthoritySigner: CertificateSigner {
    private let authority: @Sendable () -> CertificateAuthority

    /// - Parameter authority: asked for each certificate: an authority may be replaced while its cluster runs.
    package init(_ authority: @escaping @Sendable () -> CertificateAuthority) { self.authority = authority }

    package func sign(_ profile: CertificateProfile, for key: PublicKey) async throws -> [UInt8] {
        try authority().issue(profile, for: key).pem()
    }
}
