// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import LinuxSystem
import Logging
import PodRuntime
import Synchronization

/// Carries out what one pod's state machine asks for.
///
/// One task takes the events in order and steps the machine; what takes time runs in child tasks, which answer with an
/// event. When the pod is finished, or the kubelet stops, all of them end; containers go on.
final class PodWorker: Sendable {
    let context: KubeletContext
    let uid: String
    let mailbox = Mailbox()
    let publisher: StatusPublisher
    /// Held while the pod's volumes are written or taken down, so that no older state of an object overtakes a newer one.
    let volumeGate = SerialGate()
    private let state: Mutex<State>

    private struct State {
        var machine: PodMachine
        /// Running start operations, by container.
        var starts: [String: Cancellation] = [:]
        var probes: [String: Cancellation] = [:]
        /// The newest instance of each container that a stop was begun of.
        var stops: [String: String] = [:]
        var alarm: Cancellation?
        var alarmAt: Int64?
        var sandbox: Sandbox?
        /// Whether somebody waits to write the volumes with what their objects then say.
        var isRefreshDue = false
        /// End when nothing of the pod is left on the machine: of those who wait for that, a shutdown and pods that come instead.
        var down: [BoundedChannel<Void>] = []
    }

    init(pod: Pod, context: KubeletContext) {
        self.context = context
        uid = pod.uid
        publisher = StatusPublisher(pod: pod, client: context.client, logger: context.logger)
        let started = pod.status["startTime"]?.string.flatMap(WallClock.seconds)
        let machine = PodMachine(pod: pod, startTime: started ?? context.clock.now().wallSeconds)
        state = Mutex(State(machine: machine))
    }

    /// A logger whose lines say which pod they are about.
    var logger: Logger {
        var logger = context.logger
        let key = pod.key
        logger[metadataKey: "namespace"] = .string(key.namespace)
        logger[metadataKey: "pod"] = .string(key.name)
        return logger
    }

    /// The pod as the worker knows it.
    var pod: Pod { state.withLock { $0.machine.pod } }
    /// The status as it was last made, newer perhaps than the API's.
    var status: JSON { publisher.latest }
    var sandbox: Sandbox? { state.withLock { $0.sandbox } }

    /// The running or newest instance of a container; nil if there is none.
    func instance(of container: String) -> ContainerInstance? {
        state.withLock { $0.machine.facts[container]?.current }
    }

    func previousInstance(of container: String) -> ContainerInstance? {
        state.withLock { $0.machine.facts[container]?.previous }
    }

    /// Lives through the pod's life on this node.
    ///
    /// - Parameters:
    ///   - found: What an earlier run of the agent left of the pod.
    ///   - refusal: Why the node does not take the pod; nil to run it.
    func run(found: FoundPod?, refusal: PodRefusal?) async {
        await withDiscardingTaskGroup { group in
            let children = Nursery()
            group.addTask { await children.run() }
            group.addTask { await self.publisher.run() }
            if found?.sandbox != nil { await context.qualityGroups.update(pod) }
            perform(begin(found, refusal), children)
            watchAdopted()
            publish()
            while let event = await mailbox.next() {
                let old = pod
                let actions = step(event)
                // Only now does a refresh find the new pod.
                if case .podUpdated(let new) = event, showsChange(from: old, to: new) {
                    children.start { await self.volumesChanged() }
                }
                perform(actions, children)
                if actions.contains(.publishStatus) { publish() }
                if actions.contains(.finishDeletion) {
                    await finishDeletion()
                    break
                }
            }
            group.cancelAll()
        }
        for signal in state.withLock({ $0.down }) { signal.finish() }
    }

    /// Whether its containers have ended for good, which the API or the machine itself may not have taken in yet.
    var isOver: Bool {
        ["Succeeded", "Failed"].contains(status["phase"]?.string ?? "") || state.withLock { $0.machine.isDown }
    }

    /// Waits until nothing of the pod is left on the machine but its files.
    func waitUntilDown() async {
        let signal = BoundedChannel<Void>(limit: 1)
        let isDown = state.withLock { state in
            state.down.append(signal)
            return state.machine.isDown
        }
        if !isDown { _ = await signal.receive() }
        state.withLock { $0.down.removeAll { $0 === signal } }
    }

    private func begin(_ found: FoundPod?, _ refusal: PodRefusal?) -> [PodAction] {
        let now = context.clock.now()
        context.objects.setReferences(pod.references, of: uid)
        let instances = found.map { adopted($0, of: pod) } ?? [:]
        return state.withLock { state in
            if let refusal {
                return state.machine.reject(reason: refusal.reason, message: refusal.message, now: now)
            }
            state.sandbox = found?.sandbox
            if found == nil, state.machine.pod.phase == "Pending", state.machine.pod.status["startTime"] == nil {
                return state.machine.tick(now: now)
            }
            let pod = state.machine.pod
            let groupIsCurrent = found?.sandbox.map { $0.limits == groupLimits(of: pod) } ?? true
            return state.machine.adopt(
                instances, sandboxAddresses: found?.sandbox?.addresses, volumesReady: false,
                groupIsCurrent: groupIsCurrent, now: now)
        }
    }

    /// Has the ends of containers told that an earlier run started.
    private func watchAdopted() {
        let (pod, facts) = state.withLock { ($0.machine.pod, $0.machine.facts) }
        for container in pod.allContainers {
            guard let instance = facts[container.name]?.current, instance.exit == nil else { continue }
            watch(container, instance)
        }
    }

    private func step(_ event: PodEvent) -> [PodAction] {
        if case .podUpdated(let pod) = event {
            context.objects.setReferences(pod.references, of: uid)
            publisher.observe(pod.status)
        }
        let now = context.clock.now()
        let (actions, down) = state.withLock { state in
            if case .sandboxRemoved = event { state.sandbox = nil }
            let actions = state.machine.handle(event, now: now)
            return (actions, state.machine.isDown ? state.down : [])
        }
        for signal in down { signal.finish() }
        return actions
    }

    /// Whether files of the pod's volumes tell what has changed: the downward API's labels and annotations.
    private func showsChange(from old: Pod, to new: Pod) -> Bool {
        (old.object.labels != new.object.labels || old.object.annotations != new.object.annotations)
            && new.volumes.contains(where: PodVolumes.showsMetadata)
    }

    /// Only the task that steps the machine calls this, so that no older status overtakes a newer one.
    private func publish() {
        let writer = PodStatusWriter(hostAddresses: context.configuration.nodeAddresses.hostAddresses)
        let now = context.clock.now()
        let previous = publisher.latest
        let status = state.withLock { writer.status(of: $0.machine, previous: previous, now: now) }
        publisher.publish(status)
    }

    private func finishDeletion() async {
        await publisher.flush()
        context.objects.setReferences([], of: uid)
        context.tokens.forget(podUID: uid)
        await removeDirectories()
        var options = DeleteOptions(gracePeriodSeconds: 0)
        options.preconditionUID = uid
        var wait = Duration.milliseconds(100)
        while !Task.isCancelled {
            do {
                try await context.client.delete(.pods, namespace: pod.namespace, name: pod.name, options: options)
                return
            } catch let error as StatusError where error.isNotFound || error.isConflict {
                return
            } catch {
                logger.warning("A pod could not be deleted from the API", metadata: ["error": "\(error)"])
                // Cancellation is seen by the loop.
                try? await Task.sleep(for: wait)
                wait = min(wait * 2, .seconds(10))
            }
        }
    }

    private func removeDirectories() async {
        await context.runtime.removePod(pod.identity)
        for path in [context.configuration.podDirectory(uid), context.configuration.volatilePodDirectory(uid)] {
            do { try Files.removeTree(path) } catch {
                logger.warning(
                    "A pod's directory could not be removed", metadata: ["path": "\(path)", "error": "\(error)"])
            }
        }
    }

    // MARK: Actions

    private func perform(_ actions: [PodAction], _ children: Nursery) {
        for action in actions {
            switch action {
            case .mountVolumes: children.start { await self.mountVolumes() }
            case .unmountVolumes: children.start { await self.unmountVolumes() }
            case .createSandbox: children.start { await self.createSandbox() }
            case .removeSandbox: children.start { await self.removeSandbox() }
            case .startContainer(let name, let attempt): begin(name, attempt, children)
            case .cancelStart(let name): cancelStart(name)
            case .runPreStop(let name, let grace):
                children.start { await self.runPreStopAhead(name, grace: grace) }
            case .stopContainer(let name, let grace, let why):
                children.start { await self.stop(name, grace: grace, why: why) }
            case .startProbes(let name): startProbes(name, children)
            case .stopProbes(let name): cancelProbes(name)
            case .resize(let names): children.start { await self.resize(names) }
            case .removeInstance(let id): children.start { await self.context.runtime.removeContainer(id) }
            case .event(let isWarning, let reason, let message, let container):
                context.event(pod, isWarning: isWarning, reason, message, container: container)
            case .wakeUp(let uptime): setAlarm(uptime, children)
            case .publishStatus, .finishDeletion: break
            }
        }
    }

    private func setAlarm(_ uptime: Int64, _ children: Nursery) {
        if state.withLock({ $0.alarmAt == uptime }) { return }
        let wait = uptime - context.clock.now().uptimeMilliseconds
        let alarm = children.startCancellable {
            do { try await Task.sleep(for: .milliseconds(max(0, wait))) } catch { return }
            self.state.withLock { state in
                if state.alarmAt == uptime { (state.alarm, state.alarmAt) = (nil, nil) }
            }
            self.mailbox.post(.tick)
        }
        let old = state.withLock { state in
            defer { (state.alarm, state.alarmAt) = (alarm, uptime) }
            return state.alarm
        }
        old?.cancel()
    }

    private func begin(_ name: String, _ attempt: Int, _ children: Nursery) {
        let cancellation = children.startCancellable { await self.start(name, attempt: attempt) }
        state.withLock { $0.starts[name] = cancellation }
    }

    private func startProbes(_ name: String, _ children: Nursery) {
        guard let container = pod.container(named: name), let instance = instance(of: name) else { return }
        cancelProbes(name)
        let facts = state.withLock { $0.machine.facts[name] }
        if container.startupProbe == nil, container.livenessProbe == nil, container.readinessProbe == nil { return }
        let cancellation = children.startCancellable {
            await self.probe(container, instance, facts ?? ContainerFacts())
        }
        state.withLock { $0.probes[name] = cancellation }
    }

    private func cancelProbes(_ name: String) { state.withLock { $0.probes.removeValue(forKey: name) }?.cancel() }

    func cancelStart(_ name: String) { state.withLock { $0.starts.removeValue(forKey: name) }?.cancel() }

    /// Notes that an instance is being stopped; false if it was noted before.
    func beginStop(of container: String, _ id: String) -> Bool {
        state.withLock { $0.stops.updateValue(id, forKey: container) != id }
    }

    /// Whether the pod's containers have to go.
    var isEnding: Bool { state.withLock { $0.machine.ending != nil } }

    /// Notes that what volumes show has changed; false if a refresh that has still to begin will see it.
    func claimRefresh() -> Bool {
        state.withLock { state in
            defer { state.isRefreshDue = true }
            return !state.isRefreshDue
        }
    }

    func refreshBegins() { state.withLock { $0.isRefreshDue = false } }

    /// Whether the pod's volumes are there, or about to be.
    var hasVolumes: Bool { state.withLock { [.mounting, .ready].contains($0.machine.volumes) } }

    func setSandbox(_ sandbox: Sandbox?) { state.withLock { $0.sandbox = sandbox } }
}

/// Why the node does not take a pod.
package struct PodRefusal: Hashable, Sendable {
    package var reason: String
    package var message: String
}

/// What an earlier run of the agent left of a pod.
struct FoundPod: Sendable {
    var sandbox: Sandbox?
    /// By container, the oldest first.
    var records: [String: [ContainerRecord]]
}
