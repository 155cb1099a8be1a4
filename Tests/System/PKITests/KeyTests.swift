// SPDX-License-Identifier: Apache-2.0

import PKI
import Testing

@Suite struct KeyTests {
    @Test func digestsMatchTheStandard() throws {
        // FIPS 180-4's examples.
        #expect(
            hexadecimal(SHA256.hash(Array("abc".utf8)))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            hexadecimal(SHA256.hash([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        var pieces = try SHA256()
        pieces.update(Array("a".utf8))
        pieces.update([])
        pieces.update(Array("bc".utf8))
        #expect(pieces.finish() == SHA256.hash(Array("abc".utf8)))
    }

    @Test func randomBytesDiffer() throws {
        #expect(try randomBytes(count: 0).isEmpty)
        #expect(try randomBytes(count: 32).count == 32)
        #expect(try randomBytes(count: 32) != randomBytes(count: 32))
    }

    @Test func constantTimeComparisonIsByContent() {
        #expect(constantTimeEqual("", ""))
        #expect(constantTimeEqual("token", "token"))
        #expect(!constantTimeEqual("token", "tokem"))
        #expect(!constantTimeEqual("token", "token2"))
    }

    /// RFC 4648, section 10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func base64FollowsTheStandard(plain: String, text: String) {
        #expect(Base64.encode(Array(plain.utf8)) == text)
        #expect(Base64.decode(text) == Array(plain.utf8))
        let bare = text.filter { $0 != "=" }
        #expect(Base64.encode(Array(plain.utf8), .url) == bare)
        #expect(Base64.decode(bare, .url) == Array(plain.utf8))
    }

    @Test func base64KeepsEveryByte() {
        for count in 250...256 {
            let bytes = (0..<count).map { UInt8($0) }
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
            #expect(Base64.decode(Base64.encode(bytes, .url), .url) == bytes)
        }
        #expect(Base64.encode([0xFB, 0xFF], .url) == "-_8")
        #expect(Base64.encode([0xFB, 0xFF]) == "+/8=")
    }

    @Test(arguments: ["Zg", "Zg=", "Zh==", "Z===", "====", "Zm9v\n", "Zm 9v", "-_8=", "Zg==Zg=="])
    func base64RefusesOtherText(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test(arguments: ["Z", "Zh", "Zg==", "+/8", "Zm9"])
    func base64URLRefusesOtherText(text: String) {
        #expect(Base64.decode(text, .url) == nil)
    }

    @Test(arguments: [PrivateKey.Algorithm.p256, .rsa2048])
    func keysSurviveTheirPEMForm(algorithm: PrivateKey.Algorithm) throws {
        let key = try PrivateKey.generate(algorithm)
        let copy = try PrivateKey(pem: key.pem())
        #expect(try copy.publicKey() == key.publicKey())
        #expect(try PublicKey(pem: key.publicKey().pem()) == key.publicKey())
        #expect(try PublicKey(pem: key.pem()) == key.publicKey())
        #expect(key.signatureAlgorithm == (algorithm == .p256 ? .es256 : .rs256))
    }

    @Test(arguments: [PrivateKey.Algorithm.p256, .rsa2048])
    func opensslVerifiesOurSignature(algorithm: PrivateKey.Algorithm) throws {
        let openssl = try OpenSSLCommand()
        let key = try PrivateKey.generate(algorithm)
        let message = Array("attack at dawn".utf8)
        let signature = try key.sign(message)
        try openssl.write(key.publicKey().pem(), to: "public.pem")
        try openssl.write(signature, to: "signature")
        try openssl.write(message, to: "message")
        let result = try openssl.run("dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "message")
        #expect(result.status == 0 && result.output.contains("Verified OK"), "\(result.output)")
        #expect(try key.publicKey().isValid(signature: signature, of: message))
        #expect(try !key.publicKey().isValid(signature: signature, of: message + [0]))
        #expect(try !key.publicKey().isValid(signature: Array(signature.dropLast()), of: message))
        #expect(try !PrivateKey.generate(algorithm).publicKey().isValid(signature: signature, of: message))
    }

    @Test(arguments: [["-traditional"], []])
    func keysOfOpensslAreRead(form: [String]) throws {
        let openssl = try OpenSSLCommand()
        try openssl.run("genrsa", "-out", "key.pem", "2048")
        if !form.isEmpty { try openssl.run("rsa", "-in", "key.pem", "-traditional", "-out", "key.pem") }
        #expect(try PrivateKey(pem: openssl.read("key.pem")).signatureAlgorithm == .rs256)
    }

    @Test func keysUnfitForTokensHaveNoAlgorithm() throws {
        let openssl = try OpenSSLCommand()
        try openssl.run("genrsa", "-out", "short.pem", "1024")
        try openssl.run("ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", "p384.pem")
        #expect(try PrivateKey(pem: openssl.read("short.pem")).signatureAlgorithm == nil)
        #expect(try PrivateKey(pem: openssl.read("p384.pem")).signatureAlgorithm == nil)
    }

    @Test func encryptedKeysAreRefusedWithoutAsking() throws {
        let openssl = try OpenSSLCommand()
        try openssl.run("genrsa", "-aes256", "-passout", "pass:secret", "-out", "key.pem", "2048")
        let pem = try openssl.read("key.pem")
        #expect(throws: PKIError.self) { try PrivateKey(pem: pem) }
    }

    @Test(arguments: ["", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "-----BEGIN"])
    func hostileKeysAreRefused(text: String) {
        #expect(throws: PKIError.self) { try PrivateKey(pem: Array(text.utf8)) }
        #expect(throws: PKIError.self) { try PublicKey(pem: Array(text.utf8)) }
        #expect(throws: PKIError.self) { try PublicKey(spki: Array(text.utf8)) }
    }
}
