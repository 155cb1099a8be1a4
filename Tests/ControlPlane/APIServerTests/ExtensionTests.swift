// SPDX-License-Identifier: Apache-2.0

import APIServer
import APIServerFixture
import HTTPTransport
import JSON
import KubeAPI
import KubeClient
import Logging
import NIOPosix
import PKI
import Synchronization
import Testing

@Suite struct ExtensionTests {
    /// Answers at one path at once, and at others when it is told to.
    private final class Waiting: PathExtension {
        let prefix = "/example.org/"
        let started = Mutex(0)
        let isOver = Mutex(false)

        func isLongRunning(_ path: String) -> Bool { path == "/example.org/long" }

        func answer(_ request: ExtensionRequest) async throws -> JSON {
            started.withLock { $0 += 1 }
            while request.path != "/example.org/short", !isOver.withLock({ $0 }) {
                try await Task.sleep(for: .milliseconds(5))
            }
            return [:]
        }
    }

    /// Whoever waits takes nobody's place.
    @Test(.timeLimit(.minutes(1))) func longRequestsLeaveRoomForOthers() async throws {
        let waiting = Waiting()
        try await ServedAPI.run(configure: { $0.maximumMutating = 1 }, extensions: [waiting]) { api in
            var settings = HTTPSClientConfiguration(
                servers: [api.url], tls: .init(verification: .authorities(try api.authority.certificate.pem())))
            settings.limits.attempts = 1
            let client = try HTTPSClient(
                settings, group: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "test"))
            let post: @Sendable (String) async -> Int? = { path in
                do {
                    _ = try await client.rawPost("/example.org/" + path, body: [:])
                    return nil
                } catch {
                    return (error as? StatusError)?.code ?? 0
                }
            }
            func untilStarted(_ count: Int) async throws {
                while waiting.started.withLock({ $0 < count }) { try await Task.sleep(for: .milliseconds(5)) }
            }
            async let first = post("long")
            async let second = post("long")
            try await untilStarted(2)
            #expect(await post("short") == nil)
            async let ordinary = post("other")
            try await untilStarted(4)
            #expect(await post("short") == 429)
            waiting.isOver.withLock { $0 = true }
            #expect(await [first, second, ordinary] == [nil, nil, nil])
            try await client.close()
        }
    }
}
