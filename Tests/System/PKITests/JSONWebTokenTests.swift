// SPDX-License-Identifier: Apache-2.0

import JSON
import PKI
import Testing

@Suite struct JSONWebTokenTests {
    static let claims: JSON = [
        "iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:a:b", "exp": 2000,
    ]

    @Test(arguments: [PrivateKey.Algorithm.p256, .rsa2048])
    func tokensAreVerifiedByTheirKeyOnly(algorithm: PrivateKey.Algorithm) throws {
        let key = try PrivateKey.generate(algorithm)
        let publicKey = try key.publicKey()
        let text = try JSONWebToken.sign(Self.claims, key: key, keyID: publicKey.keyID)
        let token = try JSONWebToken(parsing: text)
        #expect(token.claims == Self.claims)
        #expect(token.keyID == publicKey.keyID)
        #expect(token.isSigned(by: publicKey))
        #expect(try !token.isSigned(by: PrivateKey.generate(algorithm).publicKey()))
        #expect(try !token.isSigned(by: PrivateKey.generate(algorithm == .p256 ? .rsa2048 : .p256).publicKey()))
    }

    @Test func changedClaimsAreNoticed() throws {
        let key = try PrivateKey.generate()
        let parts = try JSONWebToken.sign(Self.claims, key: key, keyID: nil).split(separator: ".")
        let forged = Base64.encode(Array(#"{"sub":"system:admin"}"#.utf8), .url)
        let token = try JSONWebToken(parsing: "\(parts[0]).\(forged).\(parts[2])")
        #expect(try !token.isSigned(by: key.publicKey()))
    }

    /// The classic attacks: no signature, and the public key taken for an HMAC secret.
    @Test(arguments: ["none", "HS256", "RS512", "rs256", ""])
    func theHeaderCannotChooseTheAlgorithm(algorithm: String) throws {
        let key = try PrivateKey.generate(.rsa2048)
        let header = Base64.encode(Array(#"{"alg":"\#(algorithm)"}"#.utf8), .url)
        let body = Base64.encode(Self.claims.serialized(), .url)
        let signature = try key.sign(Array("\(header).\(body)".utf8))
        for ending in ["", Base64.encode(signature, .url)] {
            #expect(try !JSONWebToken(parsing: "\(header).\(body).\(ending)").isSigned(by: key.publicKey()))
        }
    }

    @Test(arguments: [
        "", ".", "..", "a.b", "e30.e30", "e30.e30.e30.e30", "e30.W10.", "bnVsbA.e30.", "e30.e3.", "e30.{}.",
        "e30=.e30.",
        "eyJjcml0IjpbXX0.e30.", "e30.eyJhIjo.x",
    ])
    func malformedTokensAreRefused(text: String) {
        #expect(throws: PKIError.self) { try JSONWebToken(parsing: text) }
    }

    @Test func overlongTokensAreRefused() {
        let body = String(repeating: "A", count: 100_000)
        #expect(throws: PKIError.self) { try JSONWebToken(parsing: "e30.\(body).e30") }
    }

    @Test func timesAreChecked() throws {
        func token(_ claims: JSON) throws -> JSONWebToken {
            try JSONWebToken(
                parsing: "e30." + Base64.encode(claims.serialized(), .url) + ".")
        }
        let window = try token(["nbf": 1000, "iat": 1000, "exp": 2000])
        try window.checkTimes(now: 1500)
        try window.checkTimes(now: 950)
        try window.checkTimes(now: 2050)
        #expect(throws: PKIError.self) { try window.checkTimes(now: 2060) }
        #expect(throws: PKIError.self) { try window.checkTimes(now: 939) }
        try token([:]).checkTimes(now: 5)
        #expect(throws: PKIError.self) { try token(["exp": "2000"]).checkTimes(now: 5) }
        #expect(throws: PKIError.self) { try token(["nbf": true]).checkTimes(now: 5) }
    }

    /// openssl verifies the token's signature against the PEM key: the raw ES256 form, converted, is a real signature.
    @Test func opensslVerifiesAToken() throws {
        let openssl = try OpenSSLCommand()
        let key = try PrivateKey.generate(.rsa2048)
        let token = try JSONWebToken.sign(Self.claims, key: key, keyID: nil)
        let parts = token.split(separator: ".")
        try openssl.write(Array("\(parts[0]).\(parts[1])".utf8), to: "message")
        try openssl.write(#require(Base64.decode(parts[2], .url)), to: "signature")
        try openssl.write(key.publicKey().pem(), to: "public.pem")
        let verdict = try openssl.run("dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "message")
        #expect(verdict.status == 0, "\(verdict.output)")
    }

    /// The example of RFC 7515, appendix A.3: an ES256 token made elsewhere.
    @Test func theExampleOfTheStandardVerifies() throws {
        let token = try JSONWebToken(
            parsing: "eyJhbGciOiJFUzI1NiJ9"
                + ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
                + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
        let x = try #require(Base64.decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", .url))
        let y = try #require(Base64.decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", .url))
        // SubjectPublicKeyInfo of a P-256 key: a constant head, 4 for "uncompressed", and the point.
        let head: [UInt8] = [
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
            0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
        ]
        let key = try PublicKey(spki: head + x + y)
        #expect(token.isSigned(by: key))
        #expect(token.claims["iss"] == "joe")
        let jwk = try key.jsonWebKey()
        #expect(jwk["x"] == "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")
        #expect(jwk["y"] == "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
        #expect(jwk["kty"] == "EC" && jwk["crv"] == "P-256" && jwk["alg"] == "ES256")
    }

    @Test func rsaKeySetsHoldModulusAndExponent() throws {
        let openssl = try OpenSSLCommand()
        let key = try PrivateKey.generate(.rsa2048).publicKey()
        let set = try PublicKey.jsonWebKeySet([key])
        let jwk = try #require(set["keys"]?[0])
        #expect(jwk["e"] == "AQAB" && jwk["use"] == "sig" && jwk["kid"]?.string == key.keyID)
        try openssl.write(key.pem(), to: "public.pem")
        let modulus = try openssl.run("rsa", "-pubin", "-in", "public.pem", "-noout", "-modulus").output
        let ours = try #require(Base64.decode(jwk["n"]?.string ?? "", .url))
        #expect(modulus.contains("Modulus=" + hexadecimal(ours).uppercased()))
    }
}
