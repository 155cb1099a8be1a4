// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// Verifies certificate chains against a set of trusted certificates (RFC 5280, section 6).
package final class CertificateVerifier: Sendable {
    // An X509_STORE has its own lock and is not changed after its creation.
    private nonisolated(unsafe) let store: OpaquePointer
    /// The certificates that are trusted.
    package let trusted: [Certificate]

    /// Trusts `certificates`, whether they are self-signed or not.
    package init(trusting certificates: [Certificate]) throws(PKIError) {
        let operation = "prepare certificate verification"
        let owned = try Owned(X509_STORE_new(), X509_STORE_free, operation)
        for certificate in certificates {
            try check(X509_STORE_add_cert(owned.pointer, certificate.pointer), operation)
        }
        trusted = certificates
        store = owned.release()
    }

    deinit { X509_STORE_free(store) }

    /// Throws unless `certificate` leads to a trusted one at `time` and may be used for `purpose`.
    ///
    /// - Parameters:
    ///   - intermediates: further certificates that the peer sent.
    ///   - time: seconds since 1970.
    package func verify(
        _ certificate: Certificate, intermediates: [Certificate] = [], purpose: CertificateProfile.Purpose,
        at time: Int64
    ) throws(PKIError) {
        let operation = "verify the certificate of \(certificate.subject)"
        ERR_clear_error()
        let untrusted = try Owned(OPENSSL_sk_new_null(), OPENSSL_sk_free, operation)
        for intermediate in intermediates.prefix(Limits.certificates) {
            try check(OPENSSL_sk_push(untrusted.pointer, UnsafeRawPointer(intermediate.pointer)), operation)
        }
        let context = try Owned(X509_STORE_CTX_new(), X509_STORE_CTX_free, operation)
        try check(X509_STORE_CTX_init(context.pointer, store, certificate.pointer, untrusted.pointer), operation)
        let parameters = X509_STORE_CTX_get0_param(context.pointer)
        X509_VERIFY_PARAM_set_time(parameters, Int(time))
        X509_VERIFY_PARAM_set_depth(parameters, 8)
        // A trusted certificate ends the chain even if it is itself an intermediate, as in Go's verifier.
        try check(X509_VERIFY_PARAM_set_flags(parameters, UInt(X509_V_FLAG_PARTIAL_CHAIN)), operation)
        let usage = purpose == .server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT
        try check(X509_VERIFY_PARAM_set_purpose(parameters, usage), operation)
        guard X509_verify_cert(context.pointer) == 1 else {
            let code = X509_STORE_CTX_get_error(context.pointer)
            ERR_clear_error()
            let reason = X509_verify_cert_error_string(Int(code)).map { String(cString: $0) }
            throw PKIError(.untrusted, operation, reason ?? "error \(code)")
        }
    }
}
