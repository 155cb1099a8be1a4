// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1
import Testing

@testable import ContainerImages

struct RegistryProtocolTests {
    @Test func `challenges are parsed`() {
        let header =
            #"Bearer realm="https://auth.example/token",service="registry \"x\"",scope="repository:a/b:pull,push""#
        let challenge = AuthenticationChallenge.parse(header)
        #expect(
            challenge == [
                .init(
                    scheme: "bearer",
                    parameters: [
                        "realm": "https://auth.example/token", "service": #"registry "x""#,
                        "scope": "repository:a/b:pull,push",
                    ])
            ])
        let two = AuthenticationChallenge.parse("Basic realm=x, Bearer realm=\"y\" , service = z")
        #expect(two.map(\.scheme) == ["basic", "bearer"])
        #expect(two.last?.parameters == ["realm": "y", "service": "z"])
        #expect(AuthenticationChallenge.parse(" ,, ").isEmpty)
        #expect(AuthenticationChallenge.parse("Bearer realm=\"unterminated").count == 1)
    }

    @Test func `hostile challenges end`() {
        for header in ["=", "= = =", "\"", "a=\"", "\"\"\"", ",=,=,", "a = = b"] {
            _ = AuthenticationChallenge.parse(header)
        }
    }

    @Test(
        arguments: [
            ("https://other.example/x?y=1", "https://other.example/x?y=1"),
            ("//cdn.example/z", "https://cdn.example/z"),
            ("/v3/z", "https://reg.example:5000/v3/z"),
            ("z", "https://reg.example:5000/v2/a/z"),
            ("ftp://x/y", nil),
            ("https://user:secret@x/y", nil),
            ("/a b", nil),
        ] as [(String, String?)])
    func `locations are resolved`(location: String, expected: String?) throws {
        let base = try #require(WebAddress("https://reg.example:5000/v2/a/b?c"))
        #expect(base.resolving(location)?.description == expected)
    }

    @Test func `origins tell servers apart`() {
        #expect(WebAddress("https://a.example/x")?.origin == WebAddress("https://A.example:443/y")?.origin)
        #expect(WebAddress("https://a.example")?.origin != WebAddress("http://a.example")?.origin)
        #expect(WebAddress("https://a.example")?.origin != WebAddress("https://a.example:444")?.origin)
    }

    @Test func `back-off doubles, honours the server and ends`() {
        var timeouts = RegistryConfiguration.Timeouts()
        timeouts.attempts = 4
        timeouts.longestDelay = .seconds(10)
        let error = ImageError(.unavailable, "", "")
        let temporary = AttemptFailure(error, isTemporary: true)
        var policy = RetryPolicy(timeouts)
        #expect(policy.delay(after: temporary, jitter: 0.5) == .seconds(1))
        #expect(policy.delay(after: temporary, jitter: 0.5) == .seconds(2))
        #expect(
            policy.delay(after: AttemptFailure(error, isTemporary: true, retryAfter: .seconds(7)), jitter: 0)
                == .seconds(7))
        #expect(policy.delay(after: temporary, jitter: 0.5) == nil)
        policy.reset()
        #expect(policy.delay(after: temporary, jitter: 0.5) == .seconds(1))
        #expect(policy.delay(after: AttemptFailure(error), jitter: 0.5) == nil)
        policy.reset()
        #expect(
            policy.delay(after: AttemptFailure(error, isTemporary: true, retryAfter: .seconds(60)), jitter: 0) == nil)
    }

    @Test func `servers come in the configured order, the registry last`() {
        var configuration = RegistryConfiguration()
        configuration.endpoints["docker.io"] = [.init(url: "http://mirror:5000")]
        configuration.endpoints["own.example"] = [.init(url: "https://own.example", skipVerify: true)]
        #expect(
            configuration.servers(for: "docker.io").map(\.url) == [
                "http://mirror:5000", "https://registry-1.docker.io",
            ])
        #expect(configuration.servers(for: "own.example") == [.init(url: "https://own.example", skipVerify: true)])
        #expect(configuration.servers(for: "localhost:5000").map(\.url) == ["http://localhost:5000"])
        #expect(configuration.servers(for: "quay.io").map(\.url) == ["https://quay.io"])
        #expect(configuration.servers(for: "localhost.example").map(\.url) == ["https://localhost.example"])
    }
}
