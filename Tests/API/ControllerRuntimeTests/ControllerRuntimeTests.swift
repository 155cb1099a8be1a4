// SPDX-License-Identifier: Apache-2.0

import InMemoryLogging
import KubeAPI
import Logging
import Synchronization
import Testing

@testable import ControllerRuntime

@Suite struct ListWatchMachineTests {
    @Test func beginsWithAListAndWatchesFromItsRevision() {
        var machine = ListWatchMachine()
        #expect(machine.action == .list(after: .zero))
        machine.listed(resourceVersion: "7")
        #expect(machine.action == .watch(from: "7", after: .zero))
    }

    @Test func resumesAnEndedWatchWhereItStopped() {
        var machine = ListWatchMachine()
        machine.listed(resourceVersion: "7")
        machine.received(resourceVersion: "9")
        machine.watchEnded(isEmpty: false)
        #expect(machine.action == .watch(from: "9", after: .zero))
    }

    @Test func listsAgainAtOnceWhenTheRevisionIsGone() {
        var machine = ListWatchMachine()
        machine.listed(resourceVersion: "7")
        machine.failed(StatusError.expired("too old resource version"))
        #expect(machine.action == .list(after: .zero))
    }

    @Test func waitsLongerWithEveryFailureUpToALimit() {
        var machine = ListWatchMachine()
        machine.failed(CancellationError())
        #expect(machine.action == .list(after: .milliseconds(250)))
        machine.failed(CancellationError())
        #expect(machine.action == .list(after: .milliseconds(500)))
        for _ in 0..<40 { machine.failed(CancellationError()) }
        #expect(machine.action == .list(after: ListWatchMachine.longestWait))
        machine.listed(resourceVersion: "1")
        #expect(machine.action == .watch(from: "1", after: .zero))
    }

    @Test func doesNotReopenEmptyWatchesInATightLoop() {
        var machine = ListWatchMachine()
        machine.listed(resourceVersion: "7")
        machine.watchEnded(isEmpty: true)
        #expect(machine.action == .watch(from: "7", after: .milliseconds(250)))
    }
}

@Suite struct WorkQueueTests {
    @Test func handsAKeyOutOnceHoweverOftenItIsAdded() async {
        let queue = WorkQueue<String>()
        queue.add("a")
        queue.add("a")
        queue.add("b")
        #expect(queue.count == 2)
        #expect(await queue.next() == "a")
        #expect(await queue.next() == "b")
        #expect(queue.count == 0)
    }

    @Test func neverGivesOneKeyToTwoWorkers() async {
        let queue = WorkQueue<String>()
        queue.add("a")
        #expect(await queue.next() == "a")
        queue.add("a")
        #expect(queue.count == 0)
        queue.done("a")
        #expect(queue.count == 1)
        #expect(await queue.next() == "a")
    }

    @Test func wakesAWaitingWorker() async {
        let queue = WorkQueue<String>()
        async let key = queue.next()
        queue.add("a")
        #expect(await key == "a")
    }

    @Test func endsWaitingOnCancellation() async {
        let queue = WorkQueue<String>()
        let task = Task { await queue.next() }
        task.cancel()
        #expect(await task.value == nil)
    }

    @Test func releasesDelayedKeysInTheOrderOfTheirDeadlines() async throws {
        let queue = WorkQueue<String>()
        try await withThrowingTaskGroup { group in
            group.addTask { try await queue.run() }
            queue.add("late", after: .milliseconds(60))
            queue.add("early", after: .milliseconds(10))
            #expect(await queue.next() == "early")
            #expect(await queue.next() == "late")
            group.cancelAll()
        }
    }

    @Test func keepsTheEarlierOfTwoDelays() async throws {
        let queue = WorkQueue<String>()
        try await withThrowingTaskGroup { group in
            group.addTask { try await queue.run() }
            queue.add("a", after: .milliseconds(5))
            queue.add("a", after: .seconds(3600))
            #expect(await queue.next() == "a")
            group.cancelAll()
        }
    }
}

@Suite struct ControllerTests {
    private struct Failure: Error {}

    @Test func retriesAFailedKeyUntilItSucceeds() async throws {
        let attempts = Mutex(0)
        let (done, finish) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let controller = Controller<String>("test", logger: .init(label: "test")) { _ in
            let attempt = attempts.withLock { attempts in
                attempts += 1
                return attempts
            }
            if attempt < 3 { throw Failure() }
            finish.yield()
            return nil
        }
        controller.queue.add("a")
        try await withThrowingTaskGroup { group in
            group.addTask { try await controller.run() }
            for await _ in done { break }
            group.cancelAll()
        }
        #expect(attempts.withLock { $0 } == 3)
    }

    @Test func failuresNameControllerAndObject() async throws {
        let log = InMemoryLogHandler()
        let (done, finish) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let isSecond = Mutex(false)
        let controller = Controller<ObjectKey>("evictor", subject: "pod", logger: Logger(label: "test") { _ in log }) {
            _ in
            if isSecond.withLock({ $0 }) {
                finish.yield()
                return nil
            }
            isSecond.withLock { $0 = true }
            throw Failure()
        }
        controller.queue.add(ObjectKey(namespace: "default", name: "web"))
        try await withThrowingTaskGroup { group in
            group.addTask { try await controller.run() }
            for await _ in done { break }
            group.cancelAll()
        }
        #expect(log.entries.map(\.level) == [.warning])
        #expect(
            log.entries.first?.metadata
                == ["component": "evictor", "namespace": "default", "pod": "web", "error": "Failure()"])
    }

    @Test func looksAgainAfterTheTimeThatReconcileNames() async throws {
        let (looks, look) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(4))
        let controller = Controller<String>("test", logger: .init(label: "test")) { _ in
            look.yield()
            return .milliseconds(5)
        }
        controller.queue.add("a")
        try await withThrowingTaskGroup { group in
            group.addTask { try await controller.run() }
            var count = 0
            for await _ in looks {
                count += 1
                if count == 3 { break }
            }
            group.cancelAll()
        }
    }
}
