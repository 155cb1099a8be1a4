// SPDX-License-Identifier: Apache-2.0

import COpenSSL
package import JSON

extension PublicKey {
    /// The key's identifier in tokens: the Base64url SHA-256 of its SPKI, as upstream's service-account signer makes it.
    package var keyID: String { Base64.encode(SHA256.hash(spki), .url) }

    /// The key as a JSON Web Key for signatures (RFC 7517; parameters of RFC 7518, section 6).
    package func jsonWebKey() throws(PKIError) -> JSON {
        let operation = "write a JSON Web Key"
        guard let algorithm = signatureAlgorithm else {
            throw PKIError(.unsupported, operation, "the key is neither RSA (2048 bits or more) nor P-256")
        }
        var key: JSON = [
            "use": "sig", "kty": algorithm == .rs256 ? "RSA" : "EC", "kid": .string(keyID),
            "alg": .string(algorithm.rawValue),
        ]
        switch algorithm {
        case .rs256:
            key["n"] = .string(Base64.encode(try number("n"), .url))
            key["e"] = .string(Base64.encode(try number("e"), .url))
        case .es256:
            key["crv"] = "P-256"
            key["x"] = .string(Base64.encode(try number("qx", width: 32), .url))
            key["y"] = .string(Base64.encode(try number("qy", width: 32), .url))
        }
        return key
    }

    /// The key set `{"keys": [...]}` that an issuer publishes (RFC 7517, section 5).
    package static func jsonWebKeySet(_ keys: [PublicKey]) throws(PKIError) -> JSON {
        var list: [JSON] = []
        for key in keys { list.append(try key.jsonWebKey()) }
        return ["keys": .array(list)]
    }

    /// A number among the key's parameters, big-endian, padded with zeros to `width` bytes.
    private func number(_ name: String, width: CInt? = nil) throws(PKIError) -> [UInt8] {
        let operation = "write a JSON Web Key"
        var found: OpaquePointer?
        try check(EVP_PKEY_get_bn_param(pointer, name, &found), operation)
        let number = try Owned(found, BN_free, operation)
        let length = width ?? (BN_num_bits(number.pointer) + 7) / 8
        var bytes = [UInt8](repeating: 0, count: Int(length))
        guard BN_bn2binpad(number.pointer, &bytes, length) == length else { throw .openSSL(.library, operation) }
        return bytes
    }
}
