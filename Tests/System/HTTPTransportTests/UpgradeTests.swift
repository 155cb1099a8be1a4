// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTransport
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

@Suite struct UpgradeTests {
    private let client = HTTPUpgradeClient(group: MultiThreadedEventLoopGroup.singleton)
    private let upgrade: HTTPHeaders = ["Connection": "Upgrade", "Upgrade": "echo"]

    private func target(_ server: RunningServer) throws -> HTTPUpgradeClient.Target {
        let authority = [UInt8](try Data(contentsOf: URL(fileURLWithPath: server.certificates.path("ca.pem"))))
        return .init(host: "127.0.0.1", port: server.port, tls: .init(verification: .authorities(authority)))
    }

    /// Reads so many bytes.
    private func read(_ count: Int, from stream: any DuplexByteStream) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count, let more = try await stream.read() { bytes += Array(more.readableBytesView) }
        return bytes
    }

    @Test func becomesAByteStream() async throws {
        try await withServer(TestHandler()) { server in
            let exchange = try await client.open(try target(server), method: .POST, uri: "/upgrade", headers: upgrade)
            #expect(exchange.isUpgraded)
            #expect(exchange.headers.first(name: "upgrade") == "echo")
            let large = ByteBuffer(repeating: 0x62, count: 1_000_000)
            async let echoed = read(1_000_000, from: exchange.stream)
            try await exchange.stream.write(large)
            #expect(try await echoed == Array(large.readableBytesView))
            await exchange.stream.close()
            #expect(try await exchange.stream.read() == nil)
        }
    }

    @Test func streamsAnswersThatAreNoUpgrade() async throws {
        try await withServer(TestHandler()) { server in
            let exchange = try await client.open(try target(server), method: .GET, uri: "/big", headers: [:])
            #expect(!exchange.isUpgraded)
            #expect(exchange.status == .ok)
            #expect(try await read(.max, from: exchange.stream).count == 200_000)
            await #expect(throws: HTTPTransportError.self) {
                try await exchange.stream.write(ByteBuffer(string: "no"))
            }
        }
    }

    @Test func refusesServersThatItDoesNotTrust() async throws {
        try await withServer(TestHandler()) { server in
            let other = try TestCertificates()
            defer { other.remove() }
            let authority = [UInt8](try Data(contentsOf: URL(fileURLWithPath: other.path("ca.pem"))))
            let target = HTTPUpgradeClient.Target(
                host: "127.0.0.1", port: server.port, tls: .init(verification: .authorities(authority)))
            await #expect(throws: HTTPTransportError.self) {
                _ = try await client.open(target, method: .GET, uri: "/hello", headers: [:])
            }
        }
    }

    @Test func proxiesAnswersAndUpgrades() async throws {
        try await withServer(TestHandler()) { backend in
            try await withServer(Proxy(client: client, target: try target(backend))) { proxy in
                #expect(try await proxy.curl(proxy.url + "/hello").output == "hello")
                #expect(try await proxy.curl(proxy.url + "/big").output.utf8.count == 200_000)
                let exchange = try await client.open(
                    try target(proxy), method: .GET, uri: "/upgrade", headers: upgrade)
                try await exchange.stream.write(ByteBuffer(string: "there and back"))
                let bytes = try await read(14, from: exchange.stream)
                #expect(String(decoding: bytes, as: UTF8.self) == "there and back")
                await exchange.stream.close()
            }
        }
    }

    @Test func endsTheConversationWhenTheClientGoes() async throws {
        try await withServer(TestHandler()) { server in
            do {
                let exchange = try await client.open(
                    try target(server), method: .POST, uri: "/upgrade", headers: upgrade)
                try await exchange.stream.write(ByteBuffer(string: "x"))
            }
            // Shutting down waits for conversations; one that hung would use up the test's time.
            server.server.shutdown()
        }
    }
}

private struct Proxy: HTTPHandler {
    let client: HTTPUpgradeClient
    let target: HTTPUpgradeClient.Target

    func handleImmediately(_ request: HTTPRequest) -> HTTPResponse? { nil }

    func handle(_ request: HTTPRequest) async -> HTTPResponse {
        do {
            return try await client.open(
                target, method: request.method, uri: request.uri, headers: request.headers, body: request.body
            ).response
        } catch {
            return HTTPResponse(status: .badGateway, body: .bytes(ByteBuffer(string: "\(error)")))
        }
    }
}
