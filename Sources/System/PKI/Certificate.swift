// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// An X.509 certificate (RFC 5280), parsed; it never changes, so threads may share it.
package final class Certificate: Sendable {
    // An X509 is reference-counted with atomics; its caches are filled under libcrypto's own lock.
    nonisolated(unsafe) let pointer: OpaquePointer

    package let subject: DistinguishedName
    package let issuer: DistinguishedName
    package let alternativeNames: SubjectAlternativeNames
    package let validity: Validity
    package let publicKey: PublicKey
    /// The serial number, big-endian without leading zeros.
    package let serialNumber: [UInt8]
    /// The certificate in DER.
    package let der: [UInt8]

    /// Takes over an `X509`.
    init(owning owned: consuming Owned) throws(PKIError) {
        let operation = "parse a certificate"
        let certificate = owned.pointer
        subject = try DistinguishedName(reading: X509_get_subject_name(certificate))
        issuer = try DistinguishedName(reading: X509_get_issuer_name(certificate))
        alternativeNames = try Self.alternativeNames(of: certificate)
        validity = Validity(
            notBefore: try Self.seconds(X509_get0_notBefore(certificate)),
            notAfter: try Self.seconds(X509_get0_notAfter(certificate)))
        publicKey = try PublicKey(
            spki: encoded(operation) { cursor in i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), cursor) })
        let serial = X509_get0_serialNumber(certificate)
        serialNumber = Array(
            UnsafeBufferPointer(start: ASN1_STRING_get0_data(serial), count: Int(ASN1_STRING_length(serial))))
        der = try encoded(operation) { cursor in i2d_X509(certificate, cursor) }
        pointer = owned.release()
    }

    /// Parses the first certificate of a PEM text.
    package convenience init(pem: [UInt8]) throws(PKIError) {
        let operation = "parse a certificate"
        let certificate = try reading(pem, operation) { (bio) throws(PKIError) in
            try Owned(
                PEM_read_bio_X509(bio, nil, { _, _, _, _ in -1 }, nil), X509_free, operation, kind: .malformed
            ).release()
        }
        try self.init(owning: Owned(certificate, X509_free, operation))
    }

    /// Parses a certificate in DER, as the TLS handshake gives it.
    package convenience init(der: [UInt8]) throws(PKIError) {
        let operation = "parse a certificate"
        ERR_clear_error()
        let certificate = try der.withUnsafeBufferPointer { (buffer) throws(PKIError) in
            var cursor = buffer.baseAddress
            let parsed = try Owned(d2i_X509(nil, &cursor, buffer.count), X509_free, operation, kind: .malformed)
            guard cursor == buffer.baseAddress.map({ $0 + buffer.count }) else {
                throw PKIError(.malformed, operation, "bytes after the certificate")
            }
            return parsed.release()
        }
        try self.init(owning: Owned(certificate, X509_free, operation))
    }

    deinit { X509_free(pointer) }

    /// Parses all certificates of a PEM text; text between them is ignored.
    package static func bundle(pem: [UInt8]) throws(PKIError) -> [Certificate] {
        let operation = "parse a certificate bundle"
        return try reading(pem, operation) { (bio) throws(PKIError) in
            var certificates: [Certificate] = []
            while let next = PEM_read_bio_X509(bio, nil, { _, _, _, _ in -1 }, nil) {
                certificates.append(try Certificate(owning: Owned(next, X509_free, operation)))
                guard certificates.count <= Limits.certificates else {
                    throw PKIError(.malformed, operation, "more than \(Limits.certificates) certificates")
                }
            }
            // The end of the text shows itself as "no start line"; anything else is a broken certificate.
            let last = ERR_peek_last_error()
            guard !certificates.isEmpty, Int(last & 0x7F_FFFF) == Int(PEM_R_NO_START_LINE) else {
                throw .openSSL(.malformed, operation)
            }
            ERR_clear_error()
            return certificates
        }
    }

    /// The certificate in PEM form.
    package func pem() throws(PKIError) -> [UInt8] {
        try written("write a certificate") { PEM_write_bio_X509($0, pointer) }
    }

    /// The SHA-256 digest of the DER form.
    package var fingerprint: [UInt8] { SHA256.hash(der) }

    /// Whether this is a certification authority's (basic constraints).
    package var isAuthority: Bool { X509_check_ca(pointer) == 1 }

    /// Whether a client that connects to `host`, a DNS name or an address in text form, may accept this certificate.
    package func matches(host: String) -> Bool {
        if host.utf8.contains(0) { return false }
        if X509_check_ip_asc(pointer, host, 0) == 1 { return true }
        return X509_check_host(pointer, host, host.utf8.count, CUnsignedInt(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT), nil)
            == 1
    }

    private static func alternativeNames(of certificate: OpaquePointer) throws(PKIError) -> SubjectAlternativeNames {
        var critical: CInt = 0
        let found = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nil)
        guard let found else {
            // -1: there is none; every other value is a broken or doubled extension.
            guard critical == -1 else { throw .openSSL(.malformed, "parse a certificate's alternative names") }
            return SubjectAlternativeNames()
        }
        defer { GENERAL_NAMES_free(OpaquePointer(found)) }
        return try SubjectAlternativeNames(reading: OpaquePointer(found))
    }

    /// Seconds since 1970.
    private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) throws(PKIError) -> Int64 {
        let operation = "parse a certificate's validity"
        guard let epoch = ASN1_TIME_set(nil, 0) else { throw .openSSL(.library, operation) }
        defer { ASN1_TIME_free(epoch) }
        var days: CInt = 0
        var seconds: CInt = 0
        try check(ASN1_TIME_diff(&days, &seconds, epoch, time), operation, kind: .malformed)
        return Int64(days) * 86400 + Int64(seconds)
    }
}

extension Certificate: Equatable {
    package static func == (left: Certificate, right: Certificate) -> Bool { left.der == right.der }
}
