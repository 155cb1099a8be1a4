// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// A certification authority: a certificate and its key, able to issue certificates.
package struct CertificateAuthority: Sendable {
    package let certificate: Certificate
    package let key: PrivateKey

    /// Joins an authority's certificate and key; throws if they do not belong together.
    package init(certificate: Certificate, key: PrivateKey) throws(PKIError) {
        let operation = "use the authority \(certificate.subject)"
        guard certificate.isAuthority else { throw PKIError(.unsupported, operation, "it may not issue certificates") }
        guard try key.publicKey() == certificate.publicKey else {
            throw PKIError(.malformed, operation, "its private key belongs to another certificate")
        }
        self.certificate = certificate
        self.key = key
    }

    /// Makes a new self-signed authority with a new key.
    package static func create(
        subject: DistinguishedName, validity: Validity, algorithm: PrivateKey.Algorithm = .p256
    ) throws(PKIError) -> CertificateAuthority {
        let key = try PrivateKey.generate(algorithm)
        let builder = try CertificateBuilder(
            subject: subject, issuer: nil, key: key.pointer, validity: validity)
        try builder.addUsage(isAuthority: true)
        try builder.addKeyIdentifiers(issuer: nil)
        return try CertificateAuthority(certificate: builder.sign(with: key), key: key)
    }

    /// Issues a certificate for a public key.
    ///
    /// It is never valid longer than the authority itself; where the authority has expired already, that is an error.
    package func issue(_ profile: CertificateProfile, for key: PublicKey) throws(PKIError) -> Certificate {
        var validity = profile.validity
        validity.notBefore = max(validity.notBefore, certificate.validity.notBefore)
        validity.notAfter = min(validity.notAfter, certificate.validity.notAfter)
        guard validity.notBefore <= validity.notAfter else {
            throw PKIError(
                .untrusted, "issue a certificate for \(profile.subject)",
                "the authority \(certificate.subject) is not valid in that time")
        }
        let builder = try CertificateBuilder(
            subject: profile.subject, issuer: X509_get_subject_name(certificate.pointer), key: key.pointer,
            validity: validity)
        try builder.addUsage(isAuthority: false)
        try builder.add(purposes: profile.purposes)
        // A certificate without a subject must mark its alternative names as critical (RFC 5280, section 4.2.1.6).
        let isAnonymous = profile.subject.commonName.isEmpty && profile.subject.organizations.isEmpty
        try builder.add(profile.alternativeNames, critical: isAnonymous)
        try builder.addKeyIdentifiers(issuer: certificate.pointer)
        return try builder.sign(with: self.key)
    }

    /// Certifies another authority (a cross-certificate, RFC 5280, section 3.2): with it behind a certificate of the other
    /// one, who trusts only this authority can verify that certificate.
    ///
    /// - Parameter other: must have another name than this authority, or verifiers take one for the other.
    package func certify(_ other: Certificate) throws(PKIError) -> Certificate {
        let operation = "certify the authority \(other.subject)"
        guard other.isAuthority, other.subject != certificate.subject else {
            throw PKIError(.unsupported, operation, "it is no authority, or has the name of the one that certifies it")
        }
        let builder = try CertificateBuilder(
            subject: other.subject, issuer: X509_get_subject_name(certificate.pointer), key: other.publicKey.pointer,
            validity: Validity(
                notBefore: max(certificate.validity.notBefore, other.validity.notBefore),
                notAfter: min(certificate.validity.notAfter, other.validity.notAfter)))
        try builder.addUsage(isAuthority: true)
        try builder.addKeyIdentifiers(issuer: certificate.pointer)
        return try builder.sign(with: self.key)
    }

    /// Issues a certificate for a new key.
    package func issue(
        _ profile: CertificateProfile, algorithm: PrivateKey.Algorithm = .p256
    ) throws(PKIError) -> (certificate: Certificate, key: PrivateKey) {
        let key = try PrivateKey.generate(algorithm)
        return (try issue(profile, for: key.publicKey()), key)
    }
}
