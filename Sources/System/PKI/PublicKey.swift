// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// A public key held by libcrypto; it never changes, so threads may share it.
package final class PublicKey: Sendable {
    // An EVP_PKEY is reference-counted with atomics and is only read after its creation.
    nonisolated(unsafe) let pointer: OpaquePointer

    /// The key as SubjectPublicKeyInfo in DER (RFC 5280, section 4.1.2.7).
    package let spki: [UInt8]

    /// Reads a SubjectPublicKeyInfo in DER.
    package init(spki: [UInt8]) throws(PKIError) {
        let operation = "read a public key"
        ERR_clear_error()
        let key = try spki.withUnsafeBufferPointer { (buffer) throws(PKIError) in
            var cursor = buffer.baseAddress
            let key = try Owned(d2i_PUBKEY(nil, &cursor, buffer.count), EVP_PKEY_free, operation, kind: .malformed)
            guard cursor == buffer.baseAddress.map({ $0 + buffer.count }) else {
                throw PKIError(.malformed, operation, "bytes after the key")
            }
            return key.release()
        }
        pointer = key
        self.spki = spki
    }

    /// Reads a key in PEM form: `BEGIN PUBLIC KEY`, `BEGIN RSA PUBLIC KEY`, a certificate's, or a private key's public half.
    package convenience init(pem: [UInt8]) throws(PKIError) {
        let operation = "read a public key"
        let spki = try reading(pem, operation) { (bio) throws(PKIError) -> [UInt8]? in
            if let key = PEM_read_bio_PUBKEY(bio, nil, { _, _, _, _ in -1 }, nil) {
                let owned = try Owned(key, EVP_PKEY_free, operation)
                return try encoded(operation) { cursor in i2d_PUBKEY(owned.pointer, cursor) }
            }
            return nil
        }
        if let spki {
            try self.init(spki: spki)
        } else if let certificate = try? Certificate(pem: pem) {
            // Not a certificate either: the private-key reader below has the last word and the error.
            try self.init(spki: certificate.publicKey.spki)
        } else {
            try self.init(spki: PrivateKey(pem: pem).publicKey().spki)
        }
    }

    deinit { EVP_PKEY_free(pointer) }

    /// The key in PEM form, `BEGIN PUBLIC KEY`.
    package func pem() throws(PKIError) -> [UInt8] {
        try written("write a public key") { PEM_write_bio_PUBKEY($0, pointer) }
    }

    /// The algorithm of the tokens that this key verifies; nil for keys of another kind.
    package var signatureAlgorithm: SignatureAlgorithm? { SignatureAlgorithm(key: pointer) }

    /// Whether `signature`, in the form that ``PrivateKey/sign(_:)`` makes, is this key's over `message`.
    package func isValid(signature: [UInt8], of message: [UInt8]) -> Bool {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, pointer) == 1 else { return false }
        return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}

extension PublicKey: Equatable {
    package static func == (left: PublicKey, right: PublicKey) -> Bool { left.spki == right.spki }
}

/// A signature algorithm of JSON Web Algorithms (RFC 7518, section 3.1).
package enum SignatureAlgorithm: String, Hashable, Sendable {
    /// RSA PKCS #1 v1.5 with SHA-256.
    case rs256 = "RS256"
    /// ECDSA on P-256 with SHA-256.
    case es256 = "ES256"

    init?(key: OpaquePointer) {
        if EVP_PKEY_is_a(key, "RSA") == 1 {
            // Shorter keys are forbidden (RFC 7518, section 3.3).
            guard EVP_PKEY_get_bits(key) >= 2048 else { return nil }
            self = .rs256
        } else if EVP_PKEY_is_a(key, "EC") == 1 {
            var name = [CChar](repeating: 0, count: 64)
            var length = 0
            guard EVP_PKEY_get_group_name(key, &name, name.count, &length) == 1,
                String(decoding: name.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self) == "prime256v1"
            else { return nil }
            self = .es256
        } else {
            return nil
        }
    }
}
