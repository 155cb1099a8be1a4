// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import LinuxSystem
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import PKI
import Synchronization
import Testing

@testable import KubeClient

@Suite struct HTTPSClientTests {
    private let configMaps = GroupVersionResource("", "v1", "configmaps")

    @Test func sendsRequestsAsTheAPIExpectsThem() async throws {
        try await withAPI(RecordingAPI()) { api, client in
            let object = KubeObject(.init("", "v1", "ConfigMap"), namespace: "default", name: "a")
            _ = try await client.get(configMaps, namespace: "default", name: "system:a b")
            _ = try await client.create(configMaps, object: object, options: .init(fieldManager: "tester"))
            _ = try await client.updateStatus(configMaps, object: object)
            _ = try await client.patch(
                configMaps, namespace: "default", name: "a", subresource: nil, type: .merge, patch: ["x": 1],
                options: .init())
            _ = try await client.delete(
                configMaps, namespace: "default", name: "a", options: .init(gracePeriodSeconds: 0))
            let leases = GroupVersionResource("coordination.k8s.io", "v1", "leases")
            _ = try await client.list(leases, namespace: nil, options: .init(labelSelector: "a=b,c in (d)"))
            #expect(
                api.requests.withLock { $0 } == [
                    "GET /api/v1/namespaces/default/configmaps/system:a%20b",
                    "POST /api/v1/namespaces/default/configmaps?fieldManager=tester application/json",
                    "PUT /api/v1/namespaces/default/configmaps/a/status application/json",
                    "PATCH /api/v1/namespaces/default/configmaps/a application/merge-patch+json",
                    "DELETE /api/v1/namespaces/default/configmaps/a application/json",
                    "GET /apis/coordination.k8s.io/v1/leases?labelSelector=a%3Db%2Cc%20in%20%28d%29",
                ])
            #expect(api.lastBody.withLock { $0 }.contains(#""gracePeriodSeconds":0"#))
        }
    }

    @Test func readsListsAndGivesItemsTheirType() async throws {
        try await withAPI(RecordingAPI()) { _, client in
            let list = try await client.list(.init("", "v1", "list"), namespace: nil, options: .init())
            #expect(list.items.map(\.kind) == ["ConfigMap", "ConfigMap"])
            #expect(list.resourceVersion == "7")
            #expect(list.continueToken == "more")
        }
    }

    @Test func turnsRefusalsIntoStatusErrors() async throws {
        try await withAPI(RecordingAPI()) { _, client in
            await #expect { _ = try await client.get(configMaps, namespace: nil, name: "missing") } throws: { error in
                (error as? StatusError)?.isNotFound == true && "\(error)" == "configmaps \"missing\" not found"
            }
            await #expect { _ = try await client.get(configMaps, namespace: nil, name: "teapot") } throws: { error in
                (error as? StatusError)?.code == 503
            }
        }
    }

    @Test func triesAgainWhenAskedTo() async throws {
        try await withAPI(RecordingAPI()) { api, client in
            _ = try await client.get(configMaps, namespace: nil, name: "busy")
            #expect(api.requests.withLock { $0.count } == 3)
        }
    }

    @Test func followsAWatch() async throws {
        try await withAPI(RecordingAPI()) { _, client in
            let stream = try await client.watch(.init("", "v1", "watched"), namespace: nil, options: .init())
            var events: [WatchEvent] = []
            await #expect {
                for try await event in stream { events.append(event) }
            } throws: { error in
                (error as? StatusError)?.isExpired == true
            }
            #expect(events.map(\.object.name) == ["a", "b", ""])
            guard case .bookmark? = events.last else {
                Issue.record("no bookmark")
                return
            }
        }
    }

    @Test func endsTheWatchOnTheServerWhenCancelled() async throws {
        try await withAPI(RecordingAPI()) { api, client in
            let stream = try await client.watch(.init("", "v1", "endless"), namespace: nil, options: .init())
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    // Its end, by whatever error, is what matters.
                    do { for try await _ in stream {} } catch {}
                }
                group.cancelAll()
            }
            for _ in 0..<300 where api.endedWatches.withLock({ $0 }) == 0 {
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(api.endedWatches.withLock { $0 } == 1)
        }
    }

    @Test func fallsBackToTheNextServer() async throws {
        try await withAPI(RecordingAPI(), deadServers: ["https://127.0.0.1:1"]) { _, client in
            let object = KubeObject(.init("", "v1", "ConfigMap"), namespace: "default", name: "a")
            _ = try await client.create(configMaps, object: object)
            _ = try await client.get(configMaps, namespace: nil, name: "a")
        }
    }

    /// One that accepts connections and says nothing costs a moment: with an endless patience this would not end.
    @Test(.timeLimit(.minutes(1))) func doesNotWaitForAServerThatIsSilent() async throws {
        let accepted = Mutex<[any Channel]>([])
        let silent = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                accepted.withLock { $0.append(channel) }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        try await withAPI(
            RecordingAPI(), deadServers: ["https://127.0.0.1:\(silent.localAddress?.port ?? 0)"],
            adjust: { settings in
                settings.limits.connectTimeout = .hours(1)
                settings.limits.probeTimeout = .hours(1)
            }
        ) { _, client in
            _ = try await client.get(configMaps, namespace: nil, name: "a")
            // A client closes when its attempts to connect are over, however patient they are.
            try await silent.close()
            for channel in accepted.withLock({ $0 }) { try await channel.close() }
        }
    }

    @Test func movesToAnotherServerWhenItsOwnGoes() async throws {
        let authority = try makeAuthority()
        let (first, second) = (RecordingAPI(), RecordingAPI())
        try await withServer(second, authority) { secondURL in
            let client = try await withServer(first, authority) { firstURL in
                let client = try makeClient([firstURL, secondURL], authority)
                _ = try await client.get(configMaps, namespace: nil, name: "a")
                return client
            }
            // What asks is repeated; what changes something may have been acted upon, and is not before the next time.
            _ = try await client.get(configMaps, namespace: nil, name: "b")
            _ = try await client.create(
                configMaps, object: KubeObject(.init("", "v1", "ConfigMap"), namespace: "default", name: "a"))
            #expect(second.requests.withLock { $0.filter { $0.contains("configmaps") }.count } == 2)
            try await client.close()
        }
    }

    /// Whoever is named by a discovery must prove that it is of the cluster, and is told nothing before.
    @Test func believesADiscoveryOnlyWhatTheAuthorityProves() async throws {
        let authority = try makeAuthority()
        let (genuine, hostile) = (RecordingAPI(), RecordingAPI())
        try await withServer(hostile, try makeAuthority()) { hostileURL in
            try await withServer(genuine, authority) { genuineURL in
                let client = try makeClient(["https://127.0.0.1:1"], authority) {
                    $0.discover = { [hostileURL, "https://127.0.0.1:2", "no URL", genuineURL] }
                }
                _ = try await client.get(configMaps, namespace: nil, name: "a")
                #expect(genuine.requests.withLock { $0.last }?.contains("configmaps/a") == true)
                try await client.close()
                // Alone it is no help.
                let misled = try makeClient(["https://127.0.0.1:1"], authority) { $0.discover = { [hostileURL] } }
                await #expect { _ = try await misled.get(configMaps, namespace: nil, name: "a") } throws: { error in
                    (error as? ClientError)?.reason.contains(hostileURL) == true
                }
                try await misled.close()
            }
        }
        #expect(hostile.requests.withLock { $0 } == [])
    }

    /// A node's certificate is by the same authority and for its own address, and still it is no API server.
    @Test func takesNobodyForAServerWithoutTheNameOfServers() async throws {
        let authority = try makeAuthority()
        let (genuine, hostile) = (RecordingAPI(), RecordingAPI())
        let name = "kubernetes.default.svc"
        try await withServer(hostile, authority) { hostileURL in
            let names = SubjectAlternativeNames(dnsNames: ["localhost", name], ipAddresses: [.loopbackV4])
            try await withServer(genuine, authority, names: names) { genuineURL in
                let client = try makeClient([hostileURL], authority) {
                    $0.serverName = name
                    $0.discover = { [genuineURL] }
                }
                _ = try await client.get(configMaps, namespace: nil, name: "a")
                client.reconnect()
                _ = try await client.get(configMaps, namespace: nil, name: "b")
                let object = KubeObject(.init("", "v1", "ConfigMap"), namespace: "default", name: "c")
                _ = try await client.create(configMaps, object: object)
                #expect(genuine.requests.withLock { $0.filter { $0.contains("configmaps") }.count } == 3)
                try await client.close()
            }
            let misled = try makeClient([hostileURL], authority) { $0.serverName = name }
            for _ in 0..<3 {
                await #expect { _ = try await misled.get(configMaps, namespace: nil, name: "a") } throws: { error in
                    (error as? ClientError)?.reason.contains("not that of an API server") == true
                }
            }
            try await misled.close()
        }
        #expect(hostile.requests.withLock { $0 } == [])
    }

    @Test func saysWhatFailed() async throws {
        let configuration = HTTPSClientConfiguration(
            servers: ["https://127.0.0.1:1"], tls: .init(verification: .system))
        let client = try HTTPSClient(
            configuration, group: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "test"))
        await #expect { _ = try await client.get(configMaps, namespace: nil, name: "a") } throws: { error in
            (error as? ClientError)?.request == "GET https://127.0.0.1:1/api/v1/configmaps/a"
        }
        try await client.close()
    }

    /// Runs an API over TLS and a client that trusts it.
    private func withAPI(
        _ api: RecordingAPI, deadServers: [String] = [],
        adjust: (inout HTTPSClientConfiguration) -> Void = { _ in },
        _ body: (RecordingAPI, HTTPSClient) async throws -> Void
    ) async throws {
        let authority = try makeAuthority()
        try await withServer(api, authority) { url in
            let client = try makeClient(deadServers + [url], authority, adjust)
            try await body(api, client)
            try await client.close()
        }
    }

    private static let validity = Validity(notBefore: 1_700_000_000, notAfter: 4_000_000_000)
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func makeAuthority() throws -> CertificateAuthority {
        try .create(subject: .init(commonName: "CA"), validity: Self.validity)
    }

    private func makeClient(
        _ servers: [String], _ authority: CertificateAuthority,
        _ adjust: (inout HTTPSClientConfiguration) -> Void = { _ in }
    ) throws -> HTTPSClient {
        var configuration = HTTPSClientConfiguration(
            servers: servers, tls: .init(verification: .authorities(try authority.certificate.pem())),
            token: .value("secret"))
        adjust(&configuration)
        return try HTTPSClient(configuration, group: MultiThreadedEventLoopGroup.singleton, logger: Self.logger)
    }

    /// Serves an API on a port of the loopback interface, with a certificate by an authority, while `body` runs.
    private func withServer<Result: Sendable>(
        _ api: RecordingAPI, _ authority: CertificateAuthority,
        names: SubjectAlternativeNames = .init(ipAddresses: [.loopbackV4]),
        _ body: (_ url: String) async throws -> Result
    ) async throws -> Result {
        let key = try PrivateKey.generate()
        let profile = CertificateProfile(
            subject: .init(commonName: "api"), alternativeNames: names, purposes: [.server],
            validity: Self.validity)
        let tls = try HTTPServerTLS(
            .init(
                certificateChain: try authority.issue(profile, for: key.publicKey()).pem(), privateKey: try key.pem()))
        let server = HTTPServer(handler: api, group: MultiThreadedEventLoopGroup.singleton, logger: Self.logger)
        let address = try await server.bind(host: "127.0.0.1", port: 0, tls: tls)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await server.run() }
            defer { server.shutdown() }
            return try await body("https://127.0.0.1:\(address.port ?? 0)")
        }
    }
}

@Suite struct LineFramerTests {
    @Test(arguments: 1...12)
    func cutsLinesHoweverTheyArrive(size: Int) throws {
        var framer = LineFramer(limit: 10)
        let bytes = Array("one\n\ntwo\nthree is3\nrest".utf8)
        var lines: [String] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            let piece = bytes[start..<min(start + size, bytes.count)]
            lines += try framer.receive(piece).map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(lines == ["one", "two", "three is3"])
    }

    @Test func refusesLongLines() {
        var framer = LineFramer(limit: 10)
        #expect(throws: LineFramer.TooLong(limit: 10)) { _ = try framer.receive(Array("12345678901".utf8)) }
    }
}

/// An API that remembers what it was asked.
private final class RecordingAPI: HTTPHandler {
    let requests = Mutex<[String]>([])
    let lastBody = Mutex("")
    let endedWatches = Mutex(0)

    func handleImmediately(_ request: HTTPRequest) -> HTTPResponse? { nil }

    func handle(_ request: HTTPRequest) async -> HTTPResponse {
        let type = request.headers.first(name: "content-type").map { " \($0)" } ?? ""
        let count = requests.withLock { requests in
            requests.append("\(request.method.rawValue) \(request.uri)\(type)")
            return requests.count
        }
        if request.headers.first(name: "authorization") != "Bearer secret" {
            return answer(.unauthorized, #"{"kind":"Status","status":"Failure","code":401}"#)
        }
        if request.body.readableBytes > 0 { lastBody.withLock { $0 = String(buffer: request.body) } }
        switch request.uri.split(separator: "?")[0].split(separator: "/").last {
        case "missing":
            return answer(
                .notFound,
                #"{"kind":"Status","status":"Failure","code":404,"reason":"NotFound","message":"configmaps \"missing\" not found"}"#
            )
        case "teapot": return answer(.serviceUnavailable, "no JSON at all")
        case "busy" where count < 3:
            var response = answer(.tooManyRequests, #"{"kind":"Status","status":"Failure","code":429}"#)
            response.headers.add(name: "Retry-After", value: "0")
            return response
        case "list":
            return answer(
                .ok,
                #"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":"more"},"items":[{},{}]}"#
            )
        case "watched": return watch()
        case "endless": return endless()
        default: return answer(.ok, #"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"items":[]}"#)
        }
    }

    private func answer(_ status: HTTPResponseStatus, _ text: String) -> HTTPResponse {
        .init(status: status, headers: ["Content-Type": "application/json"], body: .bytes(ByteBuffer(string: text)))
    }

    private func watch() -> HTTPResponse {
        let text = """
            {"type":"ADDED","object":{"metadata":{"name":"a"}}}
            {"type":"MODIFIED","object":{"metadata":{"name":"b"}}}
            {"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}
            {"type":"ERROR","object":{"kind":"Status","status":"Failure","code":410,"reason":"Expired"}}

            """
        return .init(
            status: .ok,
            body: .stream { writer in
                // In pieces that do not end where the lines do.
                var rest = ByteBuffer(string: text)
                while let piece = rest.readSlice(length: min(40, rest.readableBytes)), piece.readableBytes > 0 {
                    try await writer.write(piece)
                }
            })
    }

    private func endless() -> HTTPResponse {
        .init(
            status: .ok,
            body: .stream { writer in
                defer { self.endedWatches.withLock { $0 += 1 } }
                while true {
                    try await writer.write(ByteBuffer(string: #"{"type":"ADDED","object":{}}"# + "\n"))
                    try await Task.sleep(for: .milliseconds(10))
                }
            })
    }
}
