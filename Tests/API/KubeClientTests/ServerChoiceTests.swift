// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import KubeClient

@Suite struct ServerChoiceTests {
    private let start = ContinuousClock.now

    @Test func aSingleServerIsNeverSearched() {
        var choice = ServerChoice(["https://a/"], canDiscover: false)
        choice.failed("https://a")
        #expect(!choice.needsSearch(at: start))
        #expect(choice.preferred == "https://a")
    }

    @Test func theServerThatAnsweredLastIsAskedUntilItFails() {
        var choice = ServerChoice(["https://a", "https://b", "https://b"], canDiscover: false)
        // Which is best is not known in the beginning.
        #expect(choice.needsSearch(at: start))
        choice.answered(by: "https://b")
        #expect(!choice.needsSearch(at: start))
        #expect(choice.candidates == ["https://b", "https://a"])
        // Old news of another one.
        choice.failed("https://a")
        #expect(!choice.needsSearch(at: start))
        choice.failed("https://b")
        #expect(choice.needsSearch(at: start))
    }

    @Test func searchesWithoutResultBecomeRare() {
        var choice = ServerChoice(["https://a", "https://b"], canDiscover: false)
        var now = start
        var pauses: [Duration] = []
        for _ in 0..<8 {
            #expect(choice.needsSearch(at: now))
            choice.searchFailed(at: now)
            let before = now
            while !choice.needsSearch(at: now) { now += .milliseconds(500) }
            pauses.append(now - before)
        }
        #expect(pauses == [0.5, 1, 2, 4, 8, 15, 15, 15].map { .seconds($0) })
        // A change of the network ends the pause; an answer ends the doubt.
        choice.searchFailed(at: now)
        choice.doubt()
        #expect(choice.needsSearch(at: now))
        choice.answered(by: "https://a")
        choice.failed("https://a")
        choice.searchFailed(at: now)
        #expect(choice.needsSearch(at: now + ServerChoice.shortestPause))
    }

    @Test func otherServersDoNotDisturbTheOneThatAnswers() {
        var choice = ServerChoice(["https://a"], canDiscover: true)
        choice.answered(by: "https://found")
        choice.replace(["https://b", "https://c"])
        #expect(choice.candidates == ["https://found", "https://b", "https://c"])
        #expect(!choice.needsSearch(at: start))
        choice.replace([])
        #expect(choice.candidates.count == 3)
    }
}

private final class Counter: Sendable {
    private let value = Mutex(0)

    /// 1, 2, 3...
    func next() -> Int {
        value.withLock { value in
            value += 1
            return value
        }
    }
}

@Suite struct SingleFlightTests {
    @Test(.timeLimit(.minutes(1))) func oneWorksForAll() async throws {
        let flight = SingleFlight<Int>()
        let runs = Counter()
        let values = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await flight.run {
                        let run = runs.next()
                        try await Task.sleep(for: .milliseconds(50))
                        return run
                    }
                }
            }
            return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
        }
        // Tasks that come after the end of one run begin another.
        #expect(values == Set(1..<runs.next()))
        #expect(values.count < 50)
    }

    @Test(.timeLimit(.minutes(1))) func whoIsCancelledTakesNobodyAlong() async throws {
        let flight = SingleFlight<Int>()
        let (started, isStarted) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingOldest(1))
        let value = try await withThrowingTaskGroup(of: Int?.self) { group in
            group.addTask {
                try await withThrowingTaskGroup(of: Int?.self) { leaders in
                    leaders.addTask {
                        try? await flight.run {
                            isStarted.yield()
                            try await Task.sleep(for: .seconds(3600))
                            return 1
                        }
                    }
                    for await _ in started { break }
                    leaders.cancelAll()
                    return try await leaders.next() ?? nil
                }
            }
            group.addTask { try await flight.run { 2 } }
            return try await group.compactMap { $0 }.reduce(0, +)
        }
        #expect(value == 2)
    }
}
