// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import Logging
import PodRuntime
import Synchronization

/// What pods and the node show while the machine goes down, in upstream's words (pkg/kubelet/nodeshutdown).
enum ShutdownWords {
    /// `status.reason` of a pod that was ended.
    static let reason = "Terminated"
    static let message = "Pod was terminated in response to imminent node shutdown."
    static let refusal = PodRefusal(
        reason: "NodeShutdown", message: "Pod was rejected as the node is shutting down.")
    /// Why the node is not ready.
    static let node = "node is shutting down"
    /// The reason of the pod's condition `DisruptionTarget`.
    static let disruption = "TerminationByKubelet"
}

/// Whether the machine is going down.
final class NodeShutdown: Sendable {
    private let state = Mutex(false)

    var isUnderWay: Bool { state.withLock { $0 } }

    /// Takes in what is so now; whether that is news.
    func set(_ isUnderWay: Bool) -> Bool {
        state.withLock { current in
            defer { current = isUnderWay }
            return current != isUnderWay
        }
    }
}

extension Kubelet {
    /// How long statuses of ended pods may take to be written before the shutdown goes on without them.
    private static let statusPatience = 2

    /// Has the node refuse new pods and ends the ones that it has, in order. Returns when they have ended, or their time
    /// is over, or the task is cancelled.
    ///
    /// - Parameter allowed: how long the machine waits.
    package func prepareForShutdown(within allowed: Duration) async {
        if context.shutdown.set(true) {
            logger.notice("The machine goes down: ending pods")
            recorder.record(
                eventNode, .normal, reason: "NodeShutdown", message: "Shutdown manager detected shutdown event")
        }
        // The scheduler looks elsewhere before pods that are replaced end.
        await reporter.refresh()
        await director.endPods(periods: configuration.shutdownPeriods.limited(to: allowed))
        if Task.isCancelled { return }
        await writeStatuses()
        logger.notice("The pods have ended; the machine can go down")
    }

    private func writeStatuses() async {
        let written = BoundedChannel<Void>(limit: 1)
        context.nursery.start { [director] in
            await director.flushStatuses()
            written.finish()
        }
        // What cannot be written now, the next start finds out.
        _ = try? await withTimeout(seconds: Self.statusPatience) { await written.receive() }
    }

    /// Takes in that the machine stays up.
    package func shutdownCancelled() async {
        guard context.shutdown.set(false) else { return }
        logger.notice("The machine does not go down after all")
        recorder.record(
            eventNode, .normal, reason: "NodeShutdown", message: "Shutdown manager detected shutdown cancellation")
        director.resumePods()
        await reporter.refresh()
    }
}

extension PodDirector {
    /// Ends all pods in the order of a shutdown, and waits for them as long as they have time.
    func endPods(periods: ShutdownPeriods) async {
        let workers = Dictionary(workers.map { ($0.uid, $0) }) { first, _ in first }
        let members = workers.values.map { worker in
            ShutdownMachine.Member(
                uid: worker.uid, priority: worker.pod.priority, grace: worker.pod.terminationGracePeriodSeconds)
        }
        var machine = ShutdownMachine(members, periods: periods)
        // Room for all that can come: every pod's end, and the alarms of two stages.
        let news = BoundedChannel<String?>(limit: members.count + 8)
        await withDiscardingTaskGroup { group in
            var actions = machine.begin(now: now)
            while !machine.isFinished, !Task.isCancelled {
                for action in actions {
                    switch action {
                    case .end(let uid, let grace):
                        guard let worker = workers[uid] else { continue }
                        group.addTask {
                            await worker.endForShutdown(grace: grace)
                            await news.send(uid)
                        }
                    case .wakeUp(let time):
                        let wait = max(0, time - now)
                        group.addTask {
                            // Cancelled at the end.
                            do { try await Task.sleep(for: .milliseconds(wait)) } catch { return }
                            await news.send(nil)
                        }
                    case .finish: break
                    }
                }
                guard let arrived = await news.receive() else { break }
                actions = arrived.map { machine.ended($0, now: now) } ?? machine.tick(now: now)
            }
            group.cancelAll()
        }
    }

    /// Lets pods go on that were to come back after a boot which does not come.
    func resumePods() {
        for worker in workers { worker.mailbox.post(.resumed) }
    }

    /// Waits until the statuses of all pods are written.
    func flushStatuses() async {
        await withDiscardingTaskGroup { group in
            for worker in workers { group.addTask { await worker.publisher.flush() } }
        }
    }
}

extension PodWorker {
    /// Ends the pod and waits until it has, with everything that it had on the machine.
    ///
    /// What somebody replaces, or must not run again, is over for good and says why. A pod that nobody replaces comes back
    /// with the machine, as it does after a power cut.
    func endForShutdown(grace: Int) async {
        mailbox.post(
            pod.comesBackAfterBoot
                ? .suspended(grace: grace)
                : .evicted(reason: ShutdownWords.reason, message: ShutdownWords.message, grace: grace))
        await waitUntilDown()
    }
}

extension Pod {
    /// `spec.priority`
    var priority: Int { spec["priority"]?.int ?? 0 }

    /// Whether the pod goes on after a boot although its containers were ended: no controller makes another one in its
    /// place, and its containers may be started again.
    var comesBackAfterBoot: Bool { object.controller == nil && restartPolicy != .never }
}
