// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// A PKCS #10 certificate signing request (RFC 2986) whose signature has been verified.
package struct CertificateSigningRequest: Hashable, Sendable {
    package let subject: DistinguishedName
    package let alternativeNames: SubjectAlternativeNames
    package let publicKey: PublicKey
    /// The request in PEM form.
    package let pem: [UInt8]

    package static func == (left: Self, right: Self) -> Bool { left.pem == right.pem }
    package func hash(into hasher: inout Hasher) { hasher.combine(pem) }

    /// Makes a request, signed with the key that it asks to certify.
    package init(
        subject: DistinguishedName, alternativeNames: SubjectAlternativeNames = .init(), key: PrivateKey
    ) throws(PKIError) {
        let operation = "make a certificate request"
        let request = try Owned(X509_REQ_new(), X509_REQ_free, operation)
        let name = try subject.makeName()
        try check(X509_REQ_set_version(request.pointer, 0), operation)
        try check(X509_REQ_set_subject_name(request.pointer, name.pointer), operation)
        try check(X509_REQ_set_pubkey(request.pointer, key.pointer), operation)
        if !alternativeNames.isEmpty { try Self.add(alternativeNames, to: request, operation) }
        try check(X509_REQ_sign(request.pointer, key.pointer, EVP_sha256()), operation)
        self.subject = subject
        self.alternativeNames = alternativeNames
        publicKey = try key.publicKey()
        pem = try written(operation) { PEM_write_bio_X509_REQ($0, request.pointer) }
    }

    /// Parses a request and verifies that its sender holds the private key.
    package init(pem: [UInt8]) throws(PKIError) {
        let operation = "parse a certificate request"
        let pointer = try reading(pem, operation) { (bio) throws(PKIError) in
            try Owned(
                PEM_read_bio_X509_REQ(bio, nil, { _, _, _, _ in -1 }, nil), X509_REQ_free, operation, kind: .malformed
            ).release()
        }
        let request = try Owned(pointer, X509_REQ_free, operation)
        guard let key = X509_REQ_get0_pubkey(request.pointer) else { throw .openSSL(.malformed, operation) }
        guard X509_REQ_verify(request.pointer, key) == 1 else {
            ERR_clear_error()
            throw PKIError(.untrusted, operation, "its signature is not by the key that it carries")
        }
        subject = try DistinguishedName(reading: X509_REQ_get_subject_name(request.pointer))
        alternativeNames = try Self.alternativeNames(of: request)
        publicKey = try PublicKey(spki: encoded(operation) { cursor in i2d_PUBKEY(key, cursor) })
        self.pem = pem
    }

    private static func add(
        _ names: SubjectAlternativeNames, to request: borrowing Owned, _ operation: String
    ) throws(PKIError) {
        let stack = try names.makeNames()
        let value = UnsafeMutableRawPointer(stack.pointer)
        let alternative = try Owned(
            X509V3_EXT_i2d(NID_subject_alt_name, 0, value), X509_EXTENSION_free, operation)
        let list = try Owned(OPENSSL_sk_new_null(), OPENSSL_sk_free, operation)
        try check(OPENSSL_sk_push(list.pointer, UnsafeRawPointer(alternative.pointer)), operation)
        try check(X509_REQ_add_extensions(request.pointer, list.pointer), operation)
    }

    private static func alternativeNames(of request: borrowing Owned) throws(PKIError) -> SubjectAlternativeNames {
        guard let list = X509_REQ_get_extensions(request.pointer) else { return SubjectAlternativeNames() }
        defer { OPENSSL_sk_pop_free(list) { X509_EXTENSION_free($0.map(OpaquePointer.init)) } }
        var critical: CInt = 0
        let found = X509V3_get_d2i(list, NID_subject_alt_name, &critical, nil)
        guard let found else {
            guard critical == -1 else { throw .openSSL(.malformed, "parse a request's alternative names") }
            return SubjectAlternativeNames()
        }
        defer { GENERAL_NAMES_free(OpaquePointer(found)) }
        return try SubjectAlternativeNames(reading: OpaquePointer(found))
    }
}
