// SPDX-License-Identifier: Apache-2.0

import Foundation
import LinuxSystem
import PKI
import Testing

@Suite struct CertificateTests {
    static let now: Int64 = 1_790_000_000
    static let year: Int64 = 365 * 86400

    static func authority(_ name: String = "test-ca") throws -> CertificateAuthority {
        try CertificateAuthority.create(
            subject: DistinguishedName(commonName: name),
            validity: .backdated(now: now, lifetimeSeconds: 10 * year))
    }

    static func serverProfile(validity: Validity? = nil) throws -> CertificateProfile {
        let v6 = try #require(IPAddress("fd00::1"))
        return CertificateProfile(
            subject: DistinguishedName(commonName: "system:node:pi", organizations: ["system:nodes", "second, group"]),
            alternativeNames: SubjectAlternativeNames(
                dnsNames: ["kubernetes", "*.example.org"], ipAddresses: [IPAddress(v4: 10, 152, 0, 1), v6]),
            purposes: [.server], validity: validity ?? .backdated(now: now, lifetimeSeconds: year))
    }

    @Test func opensslVerifiesTheChainAndReadsTheFields() throws {
        let openssl = try OpenSSLCommand()
        let authority = try Self.authority()
        let leaf = try authority.issue(Self.serverProfile())
        try openssl.write(authority.certificate.pem(), to: "ca.pem")
        try openssl.write(leaf.certificate.pem(), to: "leaf.pem")
        let verdict = try openssl.run(
            "verify", "-x509_strict", "-attime", "\(Self.now)", "-purpose", "sslserver", "-verify_hostname",
            "kubernetes", "-CAfile", "ca.pem", "leaf.pem")
        #expect(verdict.status == 0, "\(verdict.output)")
        let wrongPurpose = try openssl.run(
            "verify", "-attime", "\(Self.now)", "-purpose", "sslclient", "-CAfile", "ca.pem", "leaf.pem")
        #expect(wrongPurpose.status != 0)
        let text = try openssl.run("x509", "-in", "leaf.pem", "-noout", "-text", "-nameopt", "oneline").output
        for expected in [
            "Version: 3", "Issuer: CN = test-ca", "O = system:nodes", "O = \"second, group\"", "CN = system:node:pi",
            "X509v3 Basic Constraints: critical", "CA:FALSE", "Digital Signature, Key Encipherment",
            "TLS Web Server Authentication",
            "DNS:kubernetes, DNS:*.example.org, IP Address:10.152.0.1, IP Address:FD00:0:0:0:0:0:0:1",
            "X509v3 Authority Key Identifier", "ecdsa-with-SHA256", "prime256v1",
        ] {
            #expect(text.contains(expected), "\(expected) is not in \(text)")
        }
        let authorityText = try openssl.run("x509", "-in", "ca.pem", "-noout", "-text").output
        #expect(authorityText.contains("CA:TRUE") && authorityText.contains("Certificate Sign"))
        let fingerprint = try openssl.run("x509", "-in", "leaf.pem", "-noout", "-fingerprint", "-sha256").output
        let ours = hexadecimal(leaf.certificate.fingerprint).uppercased()
        #expect(fingerprint.filter { $0 != ":" }.contains(ours))
    }

    @Test func fieldsAreReadBack() throws {
        let profile = try Self.serverProfile()
        let authority = try Self.authority()
        let leaf = try authority.issue(profile)
        let read = try Certificate(der: leaf.certificate.der)
        #expect(read == leaf.certificate)
        #expect(read.subject == profile.subject)
        #expect(read.issuer.commonName == "test-ca")
        #expect(read.alternativeNames == profile.alternativeNames)
        #expect(read.validity == profile.validity)
        #expect(read.serialNumber.count == 16)
        #expect(!read.isAuthority && authority.certificate.isAuthority)
        #expect(try read.publicKey == leaf.key.publicKey())
        #expect(try authority.issue(profile).certificate.serialNumber != read.serialNumber)
    }

    @Test func theVerifierChecksTimePurposeAndIssuer() throws {
        let authority = try Self.authority()
        let profile = try Self.serverProfile()
        let leaf = try authority.issue(profile).certificate
        let verifier = try CertificateVerifier(trusting: [authority.certificate])
        try verifier.verify(leaf, purpose: .server, at: Self.now)
        for (purpose, time) in [
            (CertificateProfile.Purpose.client, Self.now), (.server, profile.validity.notAfter + 1),
            (.server, profile.validity.notBefore - 1), (.server, 0),
        ] {
            #expect(throws: PKIError.self) { try verifier.verify(leaf, purpose: purpose, at: time) }
        }
        // An authority of the same name with another key.
        let impostor = try CertificateVerifier(trusting: [Self.authority().certificate])
        #expect(throws: PKIError.self) { try impostor.verify(leaf, purpose: .server, at: Self.now) }
        let nobody = try CertificateVerifier(trusting: [])
        #expect(throws: PKIError.self) { try nobody.verify(leaf, purpose: .server, at: Self.now) }
    }

    @Test func aLeafCannotIssueCertificates() throws {
        let leaf = try Self.authority().issue(Self.serverProfile())
        #expect(throws: PKIError.self) { try CertificateAuthority(certificate: leaf.certificate, key: leaf.key) }
        let authority = try Self.authority()
        #expect(throws: PKIError.self) { try CertificateAuthority(certificate: authority.certificate, key: leaf.key) }
    }

    @Test func hostsAreMatched() throws {
        let leaf = try Self.authority().issue(Self.serverProfile()).certificate
        for host in ["kubernetes", "a.example.org", "10.152.0.1", "fd00:0::1"] { #expect(leaf.matches(host: host)) }
        for host in ["a.b.example.org", "example.org", "10.152.0.2", "system:node:pi", "", "kubernetes\0.evil"] {
            #expect(!leaf.matches(host: host), "\(host)")
        }
    }

    @Test func aLeafNeverOutlivesItsAuthority() throws {
        let authority = try Self.authority()
        let leaf = try authority.issue(
            Self.serverProfile(validity: .backdated(now: Self.now, lifetimeSeconds: 100 * Self.year)))
        #expect(leaf.certificate.validity.notAfter == authority.certificate.validity.notAfter)
        #expect(throws: PKIError.self) {
            try authority.issue(
                Self.serverProfile(validity: .backdated(now: Self.now + 20 * Self.year, lifetimeSeconds: 60)))
        }
    }

    @Test func clocklessCertificatesHoldIn1970AndAfterTheClockIsSet() throws {
        let validity = Validity.clockless(now: 1000, lifetimeSeconds: Self.year)
        let authority = try CertificateAuthority.create(
            subject: DistinguishedName(commonName: "clockless"), validity: validity)
        let leaf = try authority.issue(Self.serverProfile(validity: validity)).certificate
        let verifier = try CertificateVerifier(trusting: [authority.certificate])
        for time in [0, 1000, Validity.plausibleNow, Validity.plausibleNow + Self.year - 1] {
            try verifier.verify(leaf, purpose: .server, at: time)
        }
        // Beyond 2050 the encoding changes from UTCTime to GeneralizedTime.
        let late = Validity(notBefore: 0, notAfter: 4_000_000_000)
        let lasting = try CertificateAuthority.create(subject: DistinguishedName(commonName: "late"), validity: late)
        #expect(lasting.certificate.validity == late)
    }

    @Test func aCertifiedAuthorityIsRecognisedByWhoKnowsOnlyTheOther() throws {
        let openssl = try OpenSSLCommand()
        let (old, new) = (try Self.authority("old"), try Self.authority("new"))
        let bridge = try old.certify(new.certificate)
        #expect(bridge.isAuthority && bridge.subject == new.certificate.subject)
        let leaf = try new.issue(Self.serverProfile()).certificate
        let verifier = try CertificateVerifier(trusting: [old.certificate])
        #expect(throws: PKIError.self) { try verifier.verify(leaf, purpose: .server, at: Self.now) }
        try verifier.verify(leaf, intermediates: [bridge], purpose: .server, at: Self.now)
        for (name, certificate) in [("leaf", leaf), ("bridge", bridge)] {
            try openssl.write(certificate.pem(), to: "\(name).pem")
        }
        // Those who know the old one, the new one, or both.
        for trusted in [[old], [new], [old, new]] {
            try openssl.write(trusted.flatMap { try $0.certificate.pem() }, to: "ca.pem")
            let verdict = try openssl.run(
                "verify", "-x509_strict", "-attime", "\(Self.now)", "-CAfile", "ca.pem", "-untrusted", "bridge.pem",
                "leaf.pem")
            #expect(verdict.status == 0, "\(verdict.output)")
        }
        #expect(throws: PKIError.self) { try old.certify(leaf) }
        #expect(throws: PKIError.self) { try old.certify(Self.authority("old").certificate) }
    }

    @Test func aClockThatWasNeverSetJudgesNoAge() {
        let validity = Validity(notBefore: Self.now, notAfter: Self.now + 60)
        for time in [0, 1_000_000, Validity.plausibleNow - 1] {
            #expect(validity.contains(validity.judged(at: time)))
        }
        for time in [Validity.plausibleNow, Self.now - 1, Self.now + 61] {
            #expect(!validity.contains(validity.judged(at: time)))
        }
        #expect(validity.judged(at: Self.now + 5) == Self.now + 5)
    }

    @Test func requestsAreSignedParsedAndIssued() throws {
        let openssl = try OpenSSLCommand()
        let key = try PrivateKey.generate()
        let subject = DistinguishedName(commonName: "system:node:pi", organizations: ["system:nodes"])
        let names = SubjectAlternativeNames(dnsNames: ["pi"], ipAddresses: [IPAddress(v4: 192, 168, 1, 2)])
        let request = try CertificateSigningRequest(subject: subject, alternativeNames: names, key: key)
        try openssl.write(request.pem, to: "request.pem")
        let verdict = try openssl.run("req", "-in", "request.pem", "-noout", "-verify", "-text")
        #expect(verdict.status == 0 && verdict.output.contains("DNS:pi, IP Address:192.168.1.2"), "\(verdict.output)")

        let parsed = try CertificateSigningRequest(pem: request.pem)
        #expect(parsed.subject == subject && parsed.alternativeNames == names)
        let authority = try Self.authority()
        let certificate = try authority.issue(
            CertificateProfile(
                subject: parsed.subject, alternativeNames: parsed.alternativeNames, purposes: [.client],
                validity: .backdated(now: Self.now, lifetimeSeconds: 3600)), for: parsed.publicKey)
        #expect(try certificate.publicKey == key.publicKey())
        try CertificateVerifier(trusting: [authority.certificate]).verify(certificate, purpose: .client, at: Self.now)
    }

    @Test func requestsOfOpensslAreParsed() throws {
        let openssl = try OpenSSLCommand()
        try openssl.run(
            "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "request.pem", "-subj",
            "/O=developers/O=testers/CN=jane", "-addext", "subjectAltName=URI:spiffe://x/y,DNS:jane")
        let request = try CertificateSigningRequest(pem: openssl.read("request.pem"))
        #expect(
            request.subject == DistinguishedName(commonName: "jane", organizations: ["developers", "testers"]))
        #expect(request.alternativeNames == SubjectAlternativeNames(dnsNames: ["jane"], uris: ["spiffe://x/y"]))
    }

    @Test func forgedRequestsAreRefused() throws {
        let request = try CertificateSigningRequest(
            subject: DistinguishedName(commonName: "harmless"), key: PrivateKey.generate())
        let lines = String(decoding: request.pem, as: UTF8.self).split(separator: "\n")
        var der = try #require(Base64.decode(lines.dropFirst().dropLast().joined()))
        let place = try #require(der.firstRange(of: Array("harmless".utf8)))
        der.replaceSubrange(place, with: Array("sysadmin".utf8))
        let forged =
            "-----BEGIN CERTIFICATE REQUEST-----\n\(Base64.encode(der))\n-----END CERTIFICATE REQUEST-----\n"
        let error = #expect(throws: PKIError.self) { try CertificateSigningRequest(pem: Array(forged.utf8)) }
        #expect(error?.kind == .untrusted)
    }

    @Test func bundlesAreReadWhole() throws {
        let authorities = try [Self.authority("one"), Self.authority("two")]
        let pem = try authorities.flatMap { try $0.certificate.pem() + Array("a comment\n".utf8) }
        #expect(try Certificate.bundle(pem: pem) == authorities.map(\.certificate))
        #expect(throws: PKIError.self) { try Certificate.bundle(pem: []) }
        let broken = pem + Array("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".utf8)
        #expect(throws: PKIError.self) { try Certificate.bundle(pem: broken) }
    }

    /// Cutting and flipping bytes gives an error or a certificate, never a crash.
    @Test func damagedCertificatesNeverCrash() throws {
        let der = try Self.authority().issue(Self.serverProfile()).certificate.der
        for index in der.indices {
            #expect(throws: PKIError.self) { try Certificate(der: Array(der[..<index])) }
            for flip: UInt8 in [0x01, 0x80, 0xFF] {
                var damaged = der
                damaged[index] ^= flip
                // Whether it still parses depends on the byte; that it returns is the test.
                _ = try? Certificate(der: damaged)
            }
        }
        #expect(throws: PKIError.self) { try Certificate(der: der + [0]) }
    }

    @Test func namesThatDoNotFitAreRefused() throws {
        let authority = try Self.authority()
        var profile = try Self.serverProfile()
        profile.alternativeNames.dnsNames = ["naïve.example"]
        #expect(throws: PKIError.self) { try authority.issue(profile) }
    }

    /// Node names may be longer than X.520's 64 characters for a common name; Go reads and writes them too.
    @Test func longCommonNamesAreKept() throws {
        var profile = try Self.serverProfile()
        profile.subject.commonName = "system:node:" + String(repeating: "x", count: 253)
        let leaf = try Self.authority().issue(profile).certificate
        #expect(try Certificate(pem: leaf.pem()).subject == profile.subject)
    }
}
