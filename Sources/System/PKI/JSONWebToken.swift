// SPDX-License-Identifier: Apache-2.0

import COpenSSL
package import JSON

/// A JSON Web Token (RFC 7519) in the compact form of a JSON Web Signature (RFC 7515).
package struct JSONWebToken: Sendable {
    package let header: JSON
    package let claims: JSON
    private let signedText: [UInt8]
    private let signature: [UInt8]

    /// Signs claims; the algorithm follows from the key, RS256 or ES256.
    ///
    /// - Parameter keyID: the `kid` by which a verifier finds the key, see ``PublicKey/keyID``.
    package static func sign(_ claims: JSON, key: PrivateKey, keyID: String?) throws(PKIError) -> String {
        let operation = "sign a token"
        guard let algorithm = key.signatureAlgorithm else {
            throw PKIError(.unsupported, operation, "the key is neither RSA (2048 bits or more) nor P-256")
        }
        var header: JSON = ["alg": .string(algorithm.rawValue)]
        if let keyID { header["kid"] = .string(keyID) }
        let text =
            Base64.encode(header.serialized(), .url) + "." + Base64.encode(claims.serialized(), .url)
        var signature = try key.sign(Array(text.utf8))
        if algorithm == .es256 { signature = try ECDSASignature.raw(fromDER: signature) }
        return text + "." + Base64.encode(signature, .url)
    }

    /// Takes a token apart without trusting it.
    package init(parsing token: String) throws(PKIError) {
        let operation = "parse a token"
        guard token.utf8.count <= Limits.tokenBytes else {
            throw PKIError(.malformed, operation, "it is longer than \(Limits.tokenBytes) bytes")
        }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw PKIError(.malformed, operation, "it has \(parts.count) parts, not 3") }
        func part(_ index: Int) throws(PKIError) -> [UInt8] {
            guard let bytes = Base64.decode(parts[index], .url) else {
                throw PKIError(.malformed, operation, "part \(index + 1) is not Base64url")
            }
            return bytes
        }
        func object(_ index: Int) throws(PKIError) -> JSON {
            let bytes = try part(index)
            let value: JSON
            do throws(JSONError) {
                value = try JSON.parse(bytes)
            } catch {
                throw PKIError(.malformed, operation, "part \(index + 1): \(error)")
            }
            guard value.object != nil else {
                throw PKIError(.malformed, operation, "part \(index + 1) is not a JSON object")
            }
            return value
        }
        header = try object(0)
        claims = try object(1)
        signature = try part(2)
        signedText = Array(token.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
        // A verifier must refuse extensions that it does not know (RFC 7515, section 4.1.11).
        guard header["crit"] == nil else {
            throw PKIError(.unsupported, operation, "it has critical header parameters")
        }
    }

    /// The identifier of the signing key, where the token has one.
    package var keyID: String? { header["kid"]?.string }

    /// Whether this key signed the token with the one algorithm that belongs to the key, whatever the header asks for.
    package func isSigned(by key: PublicKey) -> Bool {
        guard let algorithm = key.signatureAlgorithm, header["alg"]?.string == algorithm.rawValue else { return false }
        switch algorithm {
        case .rs256: return key.isValid(signature: signature, of: signedText)
        case .es256:
            guard let der = ECDSASignature.der(fromRaw: signature) else { return false }
            return key.isValid(signature: der, of: signedText)
        }
    }

    /// Throws unless `now` lies between the claims `nbf` and `exp` (RFC 7519, section 4.1), give or take the leeway.
    package func checkTimes(now: Int64, leewaySeconds: Int64 = 60) throws(PKIError) {
        let operation = "accept a token"
        if let expiry = claims["exp"] {
            guard let seconds = expiry.double else { throw PKIError(.malformed, operation, "exp is not a number") }
            guard Double(now) - Double(leewaySeconds) < seconds else {
                throw PKIError(.untrusted, operation, "it has expired")
            }
        }
        for name in ["nbf", "iat"] {
            guard let claim = claims[name] else { continue }
            guard let seconds = claim.double else { throw PKIError(.malformed, operation, "\(name) is not a number") }
            guard Double(now) + Double(leewaySeconds) >= seconds else {
                throw PKIError(.untrusted, operation, "it is not valid yet")
            }
        }
    }
}

/// The two forms of a P-256 signature: DER, and 32 + 32 bytes (RFC 7518, section 3.4).
private enum ECDSASignature {
    static func raw(fromDER der: [UInt8]) throws(PKIError) -> [UInt8] {
        let operation = "convert a signature"
        let parsed = der.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            return d2i_ECDSA_SIG(nil, &cursor, buffer.count)
        }
        let signature = try Owned(parsed, ECDSA_SIG_free, operation)
        var raw = [UInt8](repeating: 0, count: 64)
        let length = raw.withUnsafeMutableBufferPointer { buffer -> CInt in
            guard let base = buffer.baseAddress else { return -1 }
            let first = BN_bn2binpad(ECDSA_SIG_get0_r(signature.pointer), base, 32)
            return min(first, BN_bn2binpad(ECDSA_SIG_get0_s(signature.pointer), base + 32, 32))
        }
        guard length == 32 else { throw .openSSL(.library, operation) }
        return raw
    }

    static func der(fromRaw raw: [UInt8]) -> [UInt8]? {
        guard raw.count == 64, let signature = ECDSA_SIG_new() else { return nil }
        defer { ECDSA_SIG_free(signature) }
        let r = BN_bin2bn(Array(raw[..<32]), 32, nil)
        let s = BN_bin2bn(Array(raw[32...]), 32, nil)
        // On success the signature owns both numbers.
        guard r != nil, s != nil, ECDSA_SIG_set0(signature, r, s) == 1 else {
            BN_free(r)
            BN_free(s)
            return nil
        }
        // Encoding fails only for want of memory; then the signature counts as invalid.
        return try? encoded("convert a signature") { cursor in i2d_ECDSA_SIG(signature, cursor) }
    }
}
