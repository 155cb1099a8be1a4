// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import Testing

@testable import APIServer

@Suite("Deadlines of requests", .timeLimit(.minutes(1)))
struct RequestDeadlinesTests {
    private static func whileRunning(
        _ timeout: Duration, _ body: (RequestDeadlines) async throws -> Void
    ) async throws {
        let deadlines = RequestDeadlines(timeout)
        try await withThrowingTaskGroup { group in
            // It ends by cancellation, which is how it must end.
            group.addTask { try? await deadlines.run() }
            try await body(deadlines)
            group.cancelAll()
        }
    }

    @Test func quickRequestsAnswer() async throws {
        try await Self.whileRunning(.seconds(60)) { deadlines in
            for number in 0..<1000 {
                let answer = try await deadlines.hold { number }
                #expect(answer == number)
            }
        }
    }

    @Test func errorsPass() async throws {
        try await Self.whileRunning(.seconds(60)) { deadlines in
            await #expect(throws: StatusError.self) {
                try await deadlines.hold { throw StatusError.badRequest("no") }
            }
        }
    }

    @Test func slowRequestsEndWith504() async throws {
        try await Self.whileRunning(.milliseconds(100)) { deadlines in
            let start = ContinuousClock.now
            let error = await #expect(throws: StatusError.self) {
                try await deadlines.hold { try await Task.sleep(for: .seconds(30)) }
            }
            #expect(error?.code == 504)
            #expect(ContinuousClock.now - start < .seconds(10))
        }
    }

    @Test func clientsMayWaitShorter() async throws {
        try await Self.whileRunning(.seconds(60)) { deadlines in
            let error = await #expect(throws: StatusError.self) {
                try await deadlines.hold(for: .milliseconds(10)) { try await Task.sleep(for: .seconds(30)) }
            }
            #expect(error?.code == 504)
            let answer = try await deadlines.hold(for: .seconds(30)) { 1 }
            #expect(answer == 1)
        }
    }

    @Test func nobodyWaitsLongerThanTheServer() async throws {
        try await Self.whileRunning(.milliseconds(100)) { deadlines in
            let error = await #expect(throws: StatusError.self) {
                try await deadlines.hold(for: .seconds(3600)) { try await Task.sleep(for: .seconds(3600)) }
            }
            #expect(error?.code == 504)
        }
    }

    @Test func cancellationReachesTheRequest() async throws {
        try await Self.whileRunning(.seconds(60)) { deadlines in
            await withTaskGroup { group in
                group.addTask {
                    await #expect(throws: CancellationError.self) {
                        try await deadlines.hold { try await Task.sleep(for: .seconds(30)) }
                    }
                }
                group.cancelAll()
            }
        }
    }
}
