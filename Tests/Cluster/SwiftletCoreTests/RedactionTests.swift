// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import SwiftletCore

@Suite struct RedactionTests {
    private static let random = "kJ8f+Qw2ZtY7rLpV0sNcXbE4mHdGaU1oRiT5yWvC9xA="

    @Test(arguments: [
        ("password=hunter22 user=me", "password=[removed] user=me"),
        ("DB_PASSWORD: hunter22, next", "DB_PASSWORD: [removed], next"),
        (#"{"apiKey": "abc def", "name": "web"}"#, #"{"apiKey": "[removed]", "name": "web"}"#),
        (#"{\"client_secret\":\"abc\"}"#, #"{\"client_secret\":\"[removed]\"}"#),
        ("run --token abc --node a", "run --token [removed] --node a"),
        ("run --db-password=abc -v", "run --db-password=[removed] -v"),
        ("Authorization: Bearer abcdefgh x", "Authorization: [removed] x"),
        ("sent bearer abcdefgh.ijk, refused", "sent bearer [removed] refused"),
        ("see https://me:pw@host/path", "see https://[removed]@host/path"),
        ("join 10.0.0.1:16443/abcdef.0123456789abcdef/aa", "join 10.0.0.1:16443/abcdef.[removed]/aa"),
        ("got eyJhbGciOiJI.eyJzdWIi.c2ln ok", "got [removed] ok"),
        ("blob \(random) ok", "blob [removed] ok"),
        ("a\n-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\nb", "a\n[removed]\nb"),
        (#""-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----""#, #""[removed]""#),
        ("-----BEGIN PRIVATE KEY-----\nAAAA", "[removed]"), ("ENCRYPTION_KEY=12", "ENCRYPTION_KEY=[removed]"),
        ("client-key-data: abc", "client-key-data: [removed]"), ("password=", "password="),
        ("auth: 'a b' c", "auth: '[removed]' c"), ("password=a\nnext", "password=[removed]\nnext"),
    ])
    func secretsGo(text: String, expected: String) {
        #expect(Redaction().clean(text) == expected)
    }

    @Test(arguments: [
        "Pod started namespace=default pod=web container-id=\(String(repeating: "0f", count: 32))",
        "secrets \"db\" not found", "image docker.io/library/web@sha256:\(String(repeating: "ab", count: 32))",
        "/var/lib/swiftlet/pods/0b7cdd9a-8c7f-4a0f-9c2b-111111111111/volumes/kubernetes.io~empty-dir/data",
        "the token expired", "-----BEGIN CERTIFICATE-----", "key=value keys: 3", "2026-05-01T10:00:00.123Z INFO x",
        "inet 10.1.0.1/24 brd 10.1.0.255 scope global swiftlet0", "a://b/c@d", "--token", "", "-", "password",
    ])
    func harmlessTextsStay(text: String) {
        #expect(Redaction().clean(text) == text)
    }

    @Test func knownValuesGoWhereverTheyStand() {
        var known = KnownSecrets()
        known.add("correct horse battery".utf8)
        known.add("correct horse".utf8)
        known.add("first line\nsecond line\n".utf8)
        known.add("true".utf8)
        known.add("public".utf8)
        known.add("s3cret".utf8)
        let redaction = Redaction(known)
        #expect(
            redaction.clean("xcorrect horse batteryx correct horsecorrect horse")
                == "x[removed]x [removed][removed]")
        #expect(redaction.clean("a second line b first line") == "a [removed] b [removed]")
        // A known identifier does not hide the secret behind it.
        var identifier = KnownSecrets()
        identifier.add("1abcde".utf8)
        #expect(Redaction(identifier).clean("16443/1abcde.0123456789abcdef/0") == "16443/[removed].[removed]/0")
        #expect(redaction.clean("true public s3cret s3cre") == "true public [removed] s3cre")
    }

    @Test func documentsKeepTheirForm() {
        let document: JSON = [
            "name": "web", "tokens": 3, "password": "abc", "nested": [["clientSecret": "x", "url": "http://a:b@c/"]],
            "message": "password=abc",
        ]
        #expect(
            Redaction().clean(document) == [
                "name": "web", "tokens": 3, "password": "[removed]",
                "nested": [["clientSecret": "[removed]", "url": "http://[removed]@c/"]],
                "message": "password=[removed]",
            ])
    }

    /// Whatever the bytes are, nothing crashes and cleaning twice changes nothing more.
    @Test func anyBytesAreTaken() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("-----BEGIN PRIVATE KEY-----password=:\"'\\ \n://@eyJ.token+/aZ0\u{FF}".utf8)
        for _ in 0..<2000 {
            let text = (0..<Int.random(in: 0...80, using: &generator)).compactMap { _ in
                alphabet.randomElement(using: &generator)
            }
            let once = Redaction().clean(text)
            #expect(once.count <= text.count + 40 * Redaction.mark.utf8.count)
        }
    }

    @Test func bundlesAreBounded() {
        var contents = BundleContents(Redaction(), fileLimit: 1000, totalLimit: 5000)
        let line = Array("a line of a log that goes on and on\n".utf8)
        let long = Array(repeatElement(line, count: 60).joined())
        contents.add("log", long)
        #expect(contents.files[0].bytes.count <= 1000)
        #expect(contents.files[0].bytes.starts(with: line))
        #expect(contents.files[0].bytes.suffix(line.count) == line[...])
        for index in 0..<20 { contents.add("log\(index)", long) }
        contents.add("document", JSON.array(Array(repeating: "a text", count: 500)))
        #expect(contents.files.reduce(0) { $0 + $1.bytes.count } <= 5000)
        #expect(contents.omitted.contains("log19: the bundle is full"))
        #expect(contents.omitted.contains("document: the bundle is full"))
    }
}
