// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import NIOCore
import Synchronization
import Testing

@Suite(.serialized) struct HTTPServerTests {
    @Test(arguments: ["--http1.0", "--http1.1", "--http2"])
    func answersWholeAndStreamedBodies(version: String) async throws {
        try await withServer(TestHandler()) { server in
            let answer = try await server.curl(version, "-i", server.url + "/hello")
            #expect(answer.output.hasSuffix("hello"), "\(answer)")
            #expect(answer.output.lowercased().contains("date: "), "\(answer)")
            #expect(try await server.curl(version, server.url + "/big").output.utf8.count == 200_000)
            let stream = try await server.curl(version, server.url + "/stream")
            #expect(stream.output == "piece 0\npiece 1\npiece 2\npiece 3\npiece 4\n", "\(stream)")
            let head = try await server.curl(version, "-I", server.url + "/hello")
            #expect(head.output.lowercased().contains("content-length: 5"))
            #expect(try await server.curl(version, server.url + "/nothing").output == "no such path\n")
        }
    }

    @Test(arguments: [HTTPServer.Placement.eventLoop, .concurrentPool])
    func streamsRestTogether(placement: HTTPServer.Placement) async throws {
        try await withServer(TestHandler(), placement: placement) { server in
            let urls = Array(repeating: server.url + "/stream", count: 20)
            let answer = try await run("curl", ["-sS", "-k", "--max-time", "60", "--http2", "--parallel"] + urls)
            #expect(answer.output.split(separator: "\n").count == 100, "\(answer)")
        }
    }

    @Test(arguments: [HTTPServer.Placement.eventLoop, .concurrentPool])
    func collectsBodies(placement: HTTPServer.Placement) async throws {
        try await withServer(TestHandler(), placement: placement) { server in
            let body = String(repeating: "0123456789abcdef", count: 100_000)
            for version in ["--http1.1", "--http2"] {
                let answer = try await run(
                    "curl",
                    ["-sS", version, "-k", "--data-binary", "@-", "-H", "Content-Type: x/y", server.url + "/echo"],
                    input: body)
                #expect(answer.output == body)
            }
        }
    }

    @Test(arguments: ["--http1.1", "--http2"])
    func refusesBodiesBeyondTheLimit(version: String) async throws {
        var limits = HTTPServerLimits()
        limits.bodyBytes = 1000
        try await withServer(TestHandler(), limits: limits) { server in
            for extra in ["X-Nothing: 1", "Transfer-Encoding: chunked"]
            where version == "--http1.1" || extra.hasPrefix("X") {
                let answer = try await server.curl(
                    version, "-o", "/dev/null", "-w", "%{http_code}", "-H", extra, "--data",
                    String(repeating: "x", count: 1001), server.url + "/echo")
                #expect(answer.output == "413", "\(answer)")
            }
        }
    }

    @Test func tellsVerifiedClientCertificatesFromOthers() async throws {
        try await withServer(TestHandler()) { server in
            let files = server.certificates
            let url = server.url + "/whoami"
            #expect(try await server.curl(url).output == "nobody")
            for version in ["--http1.1", "--http2"] {
                let known = try await server.curl(
                    version, "--cert", files.path("client.pem"), "--key", files.path("client.key"), url)
                #expect(known.output == "known")
                let stranger = try await server.curl(
                    version, "--cert", files.path("stranger.pem"), "--key", files.path("stranger.key"), url)
                #expect(stranger.output.contains("verify"), "\(stranger)")
            }
        }
    }

    @Test func cancelsTheHandlerWhenThePeerGoes() async throws {
        let handler = TestHandler()
        try await withServer(handler) { server in
            for version in ["--http1.1", "--http2"] {
                let answer = try await server.curl(version, "--max-time", "0.3", server.url + "/forever")
                #expect(answer.status == 28)
            }
            try await eventually { handler.cancelled.withLock { $0 } == 2 }
        }
    }

    @Test(arguments: ["0.0.0.0", "::"])
    func listensOnAllAddressesOfBothFamilies(_ everywhere: String) async throws {
        try await withServer(TestHandler()) { server in
            let port = try await server.server.bind(host: everywhere, port: 0, tls: nil).port ?? 0
            for host in ["127.0.0.1", "[::1]"] {
                let answer = try await server.curl("-o", "/dev/null", "http://\(host):\(port)/")
                #expect(answer.status == 0, "\(host): \(answer)")
            }
        }
    }

    @Test func tearsOffBodiesThatFail() async throws {
        try await withServer(TestHandler()) { server in
            for version in ["--http1.1", "--http2"] {
                let answer = try await server.curl(version, server.url + "/torn")
                #expect(answer.output == "half")
                #expect(answer.status != 0)
            }
        }
    }

    @Test func neutralisesLineBreaksInHeaderValues() async throws {
        try await withServer(TestHandler()) { server in
            let answer = try await server.curl("--http1.1", "-i", server.url + "/split")
            #expect(answer.output.contains("X-Bad: a  X-Injected: 1\r\n"))
        }
    }

    @Test func makesSlowReadersWait() async throws {
        try await withServer(TestHandler()) { server in
            for version in ["--http1.1", "--http2"] {
                let answer = try await server.curl(
                    version, "--limit-rate", "100k", "--max-time", "1", "-o", "/dev/null", "-w", "%{size_download}",
                    server.url + "/flood")
                #expect((Int(answer.output) ?? 0) > 10_000, "\(answer)")
            }
        }
    }

    @Test func stopsInGoodOrder() async throws {
        let handler = TestHandler()
        try await withServer(handler) { server in
            async let flood = server.curl("--http2", "-o", "/dev/null", server.url + "/flood")
            async let waiting = server.curl("--http1.1", server.url + "/forever")
            try await eventually { handler.started.withLock { $0 } == 1 }
            server.server.shutdown()
            #expect(try await flood.status != 0)
            #expect(try await waiting.status != 0)
            #expect(try await server.curl(server.url + "/hello").status == 7)
        }
    }

    /// Who was certified by an authority that is not trusted any more goes, and nobody else.
    @Test func endsConnectionsWithTheTrustInTheirAuthority() async throws {
        let handler = TestHandler()
        try await withServer(handler) { server in
            let files = server.certificates
            let other = try TestCertificates()
            defer { other.remove() }
            @Sendable func wait(_ arguments: String...) async throws -> Int32 {
                try await run(
                    "curl", ["-sS", "--cacert", files.path("ca.pem")] + arguments + [server.url + "/forever"]
                ).status
            }
            let identity = ["--cert", files.path("client.pem"), "--key", files.path("client.key")]
            async let first = wait("--http1.1", identity[0], identity[1], identity[2], identity[3])
            async let second = wait("--http2", identity[0], identity[1], identity[2], identity[3])
            async let anonymous = wait("--http2")
            try await eventually { handler.started.withLock { $0 } == 3 }
            var next = files.identity
            // A renewal, and another authority beside the old one.
            try server.tls.replace(next)
            next.clientAuthorities = (files.identity.clientAuthorities ?? []) + (other.identity.clientAuthorities ?? [])
            try server.tls.replace(next)
            #expect(handler.cancelled.withLock { $0 } == 0)
            next.clientAuthorities = other.identity.clientAuthorities
            try server.tls.replace(next)
            #expect(try await first != 0)
            #expect(try await second != 0)
            try await eventually { handler.cancelled.withLock { $0 } == 2 }
            server.server.shutdown()
            #expect(try await anonymous != 0)
        }
    }

    @Test func replacesItsCertificateWhileRunning() async throws {
        try await withServer(TestHandler()) { server in
            let other = try TestCertificates()
            defer { other.remove() }
            #expect(try await server.curl(server.url + "/hello").output == "hello")
            try server.tls.replace(other.identity)
            #expect(try await server.curl(server.url + "/hello").status == 60)
            let answer = try await run(
                "curl", ["-sS", "--cacert", other.path("ca.pem"), server.url + "/hello"])
            #expect(answer.output == "hello")
            #expect(throws: HTTPTransportError.self) {
                try server.tls.replace(.init(certificateChain: [1, 2], privateKey: [3]))
            }
        }
    }
}

/// Waits up to five seconds for something to become true.
func eventually(_ condition: () throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    for _ in 0..<500 {
        if try condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("it never became true", sourceLocation: sourceLocation)
}
