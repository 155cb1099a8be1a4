// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// A private key (RSA or elliptic curve) held by libcrypto; it never changes, so threads may share it.
package final class PrivateKey: Sendable {
    /// What kind of key to make.
    package enum Algorithm: Hashable, Sendable {
        /// Elliptic curve NIST P-256: small and fast, for TLS.
        case p256
        /// RSA of 2048 bits: for service-account tokens, whose RS256 every verifier understands.
        case rsa2048
    }

    // An EVP_PKEY is reference-counted with atomics and is only read after its creation.
    nonisolated(unsafe) let pointer: OpaquePointer

    private init(owning pointer: consuming Owned) { self.pointer = pointer.release() }

    deinit { EVP_PKEY_free(pointer) }

    /// Generates a key; RSA takes some tens of milliseconds on a board.
    package static func generate(_ algorithm: Algorithm = .p256) throws(PKIError) -> PrivateKey {
        let operation = "generate a private key"
        let name = algorithm == .p256 ? "EC" : "RSA"
        let context = try Owned(EVP_PKEY_CTX_new_from_name(nil, name, nil), EVP_PKEY_CTX_free, operation)
        try check(EVP_PKEY_keygen_init(context.pointer), operation)
        switch algorithm {
        case .p256: try check(EVP_PKEY_CTX_set_group_name(context.pointer, "P-256"), operation)
        case .rsa2048: try check(EVP_PKEY_CTX_set_rsa_keygen_bits(context.pointer, 2048), operation)
        }
        var key: OpaquePointer?
        try check(EVP_PKEY_generate(context.pointer, &key), operation)
        return PrivateKey(owning: try Owned(key, EVP_PKEY_free, operation))
    }

    /// Reads an unencrypted key in PEM form (PKCS #8, PKCS #1 or SEC 1).
    package convenience init(pem: [UInt8]) throws(PKIError) {
        let operation = "read a private key"
        let key = try reading(pem, operation) { (bio) throws(PKIError) in
            // The call-back keeps libcrypto from asking for a passphrase on the terminal.
            try Owned(
                PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in -1 }, nil), EVP_PKEY_free, operation,
                kind: .malformed
            ).release()
        }
        self.init(owning: try Owned(key, EVP_PKEY_free, operation))
    }

    /// The key in PEM form (PKCS #8, `BEGIN PRIVATE KEY`), unencrypted.
    package func pem() throws(PKIError) -> [UInt8] {
        try written("write a private key") { PEM_write_bio_PrivateKey($0, pointer, nil, nil, 0, nil, nil) }
    }

    /// The public half.
    package func publicKey() throws(PKIError) -> PublicKey {
        try PublicKey(
            spki: encoded("write a public key") { cursor in i2d_PUBKEY(pointer, cursor) })
    }

    /// The algorithm of the tokens that this key signs; nil for keys of another kind.
    package var signatureAlgorithm: SignatureAlgorithm? { SignatureAlgorithm(key: pointer) }

    /// Signs a message with SHA-256, in libcrypto's form: PKCS #1 v1.5 for RSA, a DER sequence for elliptic curves.
    package func sign(_ message: [UInt8]) throws(PKIError) -> [UInt8] {
        let operation = "sign"
        let context = try Owned(EVP_MD_CTX_new(), EVP_MD_CTX_free, operation)
        try check(EVP_DigestSignInit(context.pointer, nil, EVP_sha256(), nil, pointer), operation)
        var length = 0
        try check(EVP_DigestSign(context.pointer, nil, &length, message, message.count), operation)
        var signature = [UInt8](repeating: 0, count: length)
        try check(EVP_DigestSign(context.pointer, &signature, &length, message, message.count), operation)
        signature.removeLast(signature.count - length)
        return signature
    }
}
