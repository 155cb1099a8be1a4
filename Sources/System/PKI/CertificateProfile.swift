// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// What a certificate is to say, beside the key that it certifies.
package struct CertificateProfile: Hashable, Sendable {
    /// What the key may be used for in TLS (extended key usage, RFC 5280, section 4.2.1.12).
    package enum Purpose: Hashable, Sendable {
        case server
        case client
    }

    package var subject: DistinguishedName
    package var alternativeNames: SubjectAlternativeNames
    package var purposes: [Purpose]
    package var validity: Validity

    package init(
        subject: DistinguishedName, alternativeNames: SubjectAlternativeNames = .init(), purposes: [Purpose],
        validity: Validity
    ) {
        self.subject = subject
        self.alternativeNames = alternativeNames
        self.purposes = purposes
        self.validity = validity
    }
}

/// A certificate under construction.
struct CertificateBuilder: ~Copyable {
    private static let operation = "make a certificate"
    private let certificate: Owned

    /// Starts a version 3 certificate with a random positive serial number of 127 bits.
    init(
        subject: DistinguishedName, issuer: OpaquePointer?, key: OpaquePointer, validity: Validity
    ) throws(PKIError) {
        let owned = try Owned(X509_new(), X509_free, Self.operation)
        let name = try subject.makeName()
        try check(X509_set_version(owned.pointer, 2), Self.operation)
        try check(X509_set_subject_name(owned.pointer, name.pointer), Self.operation)
        try check(X509_set_issuer_name(owned.pointer, issuer ?? name.pointer), Self.operation)
        try check(X509_set_pubkey(owned.pointer, key), Self.operation)
        try Self.setSerialNumber(of: owned.pointer)
        try Self.set(validity, of: owned.pointer)
        certificate = owned
    }

    private static func setSerialNumber(of certificate: OpaquePointer) throws(PKIError) {
        var bytes = try randomBytes(count: 16)
        bytes[0] = bytes[0] & 0x7F | 0x40
        let number = try Owned(BN_bin2bn(bytes, CInt(bytes.count), nil), BN_free, operation)
        guard let serial = BN_to_ASN1_INTEGER(number.pointer, nil) else { throw .openSSL(.library, operation) }
        defer { ASN1_INTEGER_free(serial) }
        try check(X509_set_serialNumber(certificate, serial), operation)
    }

    private static func set(_ validity: Validity, of certificate: OpaquePointer) throws(PKIError) {
        guard validity.notBefore <= validity.notAfter else {
            throw PKIError(.malformed, operation, "it would never be valid")
        }
        guard let notBefore = ASN1_TIME_set(nil, Int(validity.notBefore)) else { throw .openSSL(.malformed, operation) }
        defer { ASN1_TIME_free(notBefore) }
        guard let notAfter = ASN1_TIME_set(nil, Int(validity.notAfter)) else { throw .openSSL(.malformed, operation) }
        defer { ASN1_TIME_free(notAfter) }
        try check(X509_set1_notBefore(certificate, notBefore), operation)
        try check(X509_set1_notAfter(certificate, notAfter), operation)
    }

    /// Basic constraints and key usage: of an authority, or of a key that signs handshakes.
    func addUsage(isAuthority: Bool) throws(PKIError) {
        guard let constraints = BASIC_CONSTRAINTS_new() else { throw .openSSL(.library, Self.operation) }
        defer { BASIC_CONSTRAINTS_free(constraints) }
        constraints.pointee.ca = isAuthority ? 0xFF : 0
        try add(NID_basic_constraints, constraints)
        guard let usage = ASN1_BIT_STRING_new() else { throw .openSSL(.library, Self.operation) }
        defer { ASN1_BIT_STRING_free(usage) }
        // The bit numbers of RFC 5280, section 4.2.1.3: digitalSignature 0, keyEncipherment 2, keyCertSign 5, cRLSign 6.
        for bit: CInt in isAuthority ? [0, 2, 5] : [0, 2] {
            try check(ASN1_BIT_STRING_set_bit(usage, bit, 1), Self.operation)
        }
        try add(NID_key_usage, usage)
    }

    func add(purposes: [CertificateProfile.Purpose]) throws(PKIError) {
        if purposes.isEmpty { return }
        let stack = try Owned(OPENSSL_sk_new_null(), OPENSSL_sk_free, Self.operation)
        for purpose in purposes {
            let object = OBJ_nid2obj(purpose == .server ? NID_server_auth : NID_client_auth)
            // Objects of known kinds are static: they are not freed.
            try check(OPENSSL_sk_push(stack.pointer, UnsafeRawPointer(object)), Self.operation)
        }
        try check(
            X509_add1_ext_i2d(certificate.pointer, NID_ext_key_usage, UnsafeMutableRawPointer(stack.pointer), 0, 0),
            Self.operation)
    }

    func add(_ names: SubjectAlternativeNames, critical: Bool) throws(PKIError) {
        if names.isEmpty { return }
        let stack = try names.makeNames()
        try check(
            X509_add1_ext_i2d(
                certificate.pointer, NID_subject_alt_name, UnsafeMutableRawPointer(stack.pointer), critical ? 1 : 0, 0),
            Self.operation)
    }

    /// The key identifiers by which verifiers find the issuer among several of one name.
    func addKeyIdentifiers(issuer: OpaquePointer?) throws(PKIError) {
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer ?? certificate.pointer, certificate.pointer, nil, nil, 0)
        for (kind, value) in [(NID_subject_key_identifier, "hash"), (NID_authority_key_identifier, "keyid")] {
            guard let identifier = X509V3_EXT_nconf_nid(nil, &context, kind, value) else {
                throw .openSSL(.library, Self.operation)
            }
            defer { X509_EXTENSION_free(identifier) }
            try check(X509_add_ext(certificate.pointer, identifier, -1), Self.operation)
        }
    }

    private func add(_ kind: CInt, _ value: UnsafeMutableRawPointer) throws(PKIError) {
        try check(X509_add1_ext_i2d(certificate.pointer, kind, value, 1, 0), Self.operation)
    }

    /// Signs with SHA-256.
    consuming func sign(with key: PrivateKey) throws(PKIError) -> Certificate {
        try check(X509_sign(certificate.pointer, key.pointer, EVP_sha256()), "sign a certificate")
        // The encoding was made by signing; parsing it again would find nothing new, but Certificate owns what it reads.
        X509_up_ref(certificate.pointer)
        return try Certificate(owning: Owned(certificate.pointer, X509_free, Self.operation))
    }
}
