// SPDX-License-Identifier: Apache-2.0

import Kubelet
import LinuxSystem
import Logging
import NIOPosix
import Synchronization
import SystemBus

/// Follows the machine's shutdown, and has it wait until the kubelet has ended its pods.
struct ShutdownWatch: Sendable {
    /// The pauses after a connection that broke.
    private static let firstPause = Duration.seconds(1)
    private static let longestPause = Duration.seconds(60)
    /// Events that may wait for the kubelet; there is one for each step of a shutdown.
    private static let eventLimit = 16

    /// What pods may take in all.
    let time: Duration
    let kubelet: Kubelet
    let logger: Logger

    /// Runs until it is cancelled, or there is nothing to follow.
    func run() async throws {
        if time == .zero { return }
        let delay = try ShutdownDelay(.init(who: "swiftlet", why: "Pods are ended in order", time: time))
        let (events, tell) = AsyncStream.makeStream(
            of: ShutdownDelay.Event.self, bufferingPolicy: .bufferingNewest(Self.eventLimit))
        // It sleeps in a system call for days: no thread that others need.
        let thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
        await withDiscardingTaskGroup { group in
            group.addTask {
                await follow(delay, on: thread, tell)
                tell.finish()
            }
            group.addTask { await serve(events, delay) }
        }
        delay.release()
        try await thread.shutdownGracefully()
    }

    private func follow(
        _ delay: ShutdownDelay, on thread: NIOThreadPool, _ tell: AsyncStream<ShutdownDelay.Event>.Continuation
    ) async {
        var pause = Self.firstPause
        let hasAnswered = Atomic(false)
        while !Task.isCancelled {
            do {
                try await withTaskCancellationHandler {
                    try await thread.runIfActive {
                        try delay.follow { event in
                            hasAnswered.store(true, ordering: .relaxed)
                            tell.yield(event)
                        }
                    }
                } onCancel: {
                    delay.stop()
                }
                return
            } catch {
                if Task.isCancelled { return }
                guard hasAnswered.exchange(false, ordering: .relaxed) || pause > Self.firstPause else {
                    logger.notice(
                        "Nothing holds the machine's shutdown up for pods: there is no system bus",
                        metadata: ["error": "\(error)"])
                    return
                }
                logger.info("The system bus is gone", metadata: ["error": "\(error)", "delay": "\(pause)"])
            }
            // Cancellation is seen by the loop.
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, Self.longestPause)
        }
    }

    private func serve(_ events: AsyncStream<ShutdownDelay.Event>, _ delay: ShutdownDelay) async {
        var allowed = time
        var iterator = events.makeAsyncIterator()
        while let event = await iterator.next() {
            switch event {
            case .armed(let time):
                allowed = time
                if time < self.time {
                    logger.warning(
                        "The login manager gives pods less time to end than kubelet.shutdownGracePeriod says",
                        metadata: ["allowed": "\(time)"])
                }
            case .unavailable(let why):
                logger.notice("Nothing holds the machine's shutdown up for pods", metadata: ["error": "\(why)"])
            case .begins: await endPods(within: allowed, &iterator, delay)
            case .cancelled: break
            }
        }
    }

    /// Ends the pods, unless the shutdown is cancelled meanwhile; returns when the machine is to stay up, or the agent ends.
    private func endPods(
        within allowed: Duration, _ iterator: inout AsyncStream<ShutdownDelay.Event>.Iterator, _ delay: ShutdownDelay
    ) async {
        let staysUp = await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await kubelet.prepareForShutdown(within: allowed)
                if !Task.isCancelled { delay.release() }
            }
            var event = await iterator.next()
            while event != nil, event != .cancelled { event = await iterator.next() }
            group.cancelAll()
            // The events also end with the agent, which must not start pods then.
            return event == .cancelled
        }
        if staysUp { await kubelet.shutdownCancelled() }
    }
}
