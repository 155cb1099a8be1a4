// SPDX-License-Identifier: Apache-2.0

package import JSON
import KubeAPI

/// The life of one pod on the node: events in, actions out, no I/O.
///
/// It is level-based: every event first changes the facts and then ``plan(now:)`` looks at all of them and asks for
/// what is missing, so that it does not matter in which order things happen or what the agent finds after a restart.
package struct PodMachine: Sendable {
    /// Milliseconds before a failed sandbox, volume or container configuration is tried again.
    package static let retryInterval: Int64 = 10_000
    /// Milliseconds before a failed sandbox creation is tried again.
    package static let sandboxRetryInterval: Int64 = 2_000
    /// The wait after a failed pull doubles from here (milliseconds).
    package static let imageBackoffInitial: Int64 = 10_000
    /// Milliseconds for which ErrImagePull is shown before ImagePullBackOff.
    package static let errorShownFor: Int64 = 1_500

    package internal(set) var pod: Pod
    package internal(set) var facts: [String: ContainerFacts] = [:]
    package internal(set) var sandbox = SandboxFacts.none
    package internal(set) var volumes = VolumeFacts.none
    package internal(set) var ending: PodEnding?
    /// `status.reason` and `status.message` of a pod that the node refused or ended.
    package internal(set) var failure: (reason: String, message: String)?
    /// The wall time at which the node first saw the pod.
    package internal(set) var startTime: Int64
    /// Whether the final delete was asked for.
    package internal(set) var isFinished = false
    /// Why the resources that the spec asks for are not granted; nil if they are.
    package internal(set) var pendingResize: PendingResize?
    /// How far the resources that the node has granted are in force.
    package internal(set) var resize = ResizeFacts()
    var sandboxRetryAt: Int64?
    var volumesRetryAt: Int64?
    /// Uptime (milliseconds) since which the pod counts as active; before the agent's own start for a pod that it took over.
    var activeSince: Int64?
    /// Uptime at which a stop of the whole pod began.
    var endingSince: Int64?
    var actions: [PodAction] = []
    var wakeUp: Int64?

    /// A pod that is new to the node, or whose containers are told by ``adopt(_:sandboxAddresses:volumesReady:)``.
    package init(pod: Pod, startTime: Int64) {
        self.pod = pod
        self.startTime = startTime
        for container in pod.allContainers { facts[container.name] = ContainerFacts() }
    }

    /// Takes over what an earlier run of the agent left: per container its instances, the oldest first.
    ///
    /// - Parameter groupIsCurrent: Whether the pod's own cgroup allows what the node has granted.
    package mutating func adopt(
        _ instances: [String: [ContainerInstance]], sandboxAddresses: [String]?, volumesReady: Bool,
        groupIsCurrent: Bool = true, now: Moment
    ) -> [PodAction] {
        resize.groupIsOutdated = !groupIsCurrent
        if let sandboxAddresses { sandbox = .ready(addresses: sandboxAddresses) }
        if volumesReady { volumes = .ready }
        if ["Succeeded", "Failed"].contains(pod.phase) { ending = .completed }
        if let reason = pod.status["reason"]?.string, pod.phase == "Failed" {
            failure = (reason, pod.status["message"]?.string ?? "")
        }
        for container in pod.allContainers where instances[container.name]?.isEmpty ?? true {
            recall(container.name, now)
        }
        for (name, found) in instances {
            guard let container = pod.container(named: name), let newest = found.last else { continue }
            let reported = pod.reportedStatus(of: name)
            update(name) { facts in
                facts.current = newest
                facts.previous = found.dropLast().last
                facts.attempts = newest.attempt + 1
                facts.isInSandbox = sandboxAddresses != nil
                facts.hasStarted = newest.exit == nil
                if newest.exit != nil { facts.endedAt = now.uptimeMilliseconds }
                facts.startupPassed = container.startupProbe == nil || reported?["started"]?.bool == true
                facts.readinessPassed = container.readinessProbe == nil || reported?["ready"]?.bool == true
            }
            if newest.exit == nil { actions.append(.startProbes(name)) }
        }
        if sandboxAddresses == nil, ending == nil, facts.values.contains(where: { $0.current != nil }) {
            let message = "Pod sandbox changed, it will be killed and re-created."
            actions.append(.event(isWarning: false, reason: "SandboxChanged", message: message, container: nil))
        }
        actions.append(.publishStatus)
        return finish(now)
    }

    /// Takes from the status in the API what the runtime no longer knows of a container.
    private mutating func recall(_ name: String, _ now: Moment) {
        guard let reported = pod.reportedStatus(of: name), let instance = ContainerInstance(reported: reported, now)
        else { return }
        update(name) { facts in
            facts.current = instance
            facts.attempts = instance.attempt + 1
            facts.endedAt = now.uptimeMilliseconds
        }
    }

    /// What the message of a pod that the node has refused begins with.
    private static let rejection = "Pod was rejected: "

    /// Whether the node refused the pod.
    var isRejected: Bool { failure?.message.hasPrefix(Self.rejection) == true }

    /// Refuses the pod: it never runs here (upstream: admission at the node).
    package mutating func reject(reason: String, message: String, now: Moment) -> [PodAction] {
        // Upstream's words: the event tells the reason alone.
        let told = "\(Self.rejection)\(message)"
        failure = (reason, told)
        ending = .failed(reason: reason, message: told, grace: 0)
        actions += [.event(isWarning: true, reason: reason, message: message, container: nil), .publishStatus]
        return finish(now)
    }

    /// Begins or goes on without news.
    package mutating func tick(now: Moment) -> [PodAction] { handle(.tick, now: now) }

    /// Takes in an event and gives what is to be done now.
    package mutating func handle(_ event: PodEvent, now: Moment) -> [PodAction] {
        switch event {
        case .podUpdated(let new): updated(new, now)
        case .volumesMounted: if volumes == .mounting { volumes = .ready }
        case .volumesFailed(let message): volumesFailed(message, now)
        case .sandboxReady(let addresses): sandboxReady(addresses)
        case .sandboxFailed(let message): sandboxFailed(message, now)
        case .sandboxRemoved: sandbox = ending == nil ? .none : .removed
        case .volumesRemoved: volumes = ending == nil ? .none : .removed
        case .launched(let name, let instance): launched(name, instance, now)
        case .startFinished(let name, let failure): startFinished(name, failure, now)
        case .stopFinished(let name): update(name) { if $0.isStopping { $0.operation = nil } }
        case .preStopFinished(let name): update(name) { $0.isInPreStop = false }
        case .exited(let name, let id, let exit): exited(name, id, exit, now)
        case .probe(let name, let id, let kind, let success): probed(name, id, kind, success, now)
        case .evicted(let reason, let message, let grace):
            if ending == nil { end(.failed(reason: reason, message: message, grace: grace), now) }
        case .suspended(let grace): if ending == nil { end(.suspended(grace: grace), now) }
        case .resumed: resume()
        case .resizePending(let pending, let wanted): resizePends(pending, wanted)
        case .resized(let limits): resized(limits)
        case .resizeFailed(let message, let done): resizeFailed(message, done, now)
        case .tick: break
        }
        return finish(now)
    }

    private mutating func finish(_ now: Moment) -> [PodAction] {
        plan(now: now)
        defer { actions = [] }
        return actions
    }

    mutating func update(_ name: String, _ change: (inout ContainerFacts) -> Void) {
        change(&facts[name, default: ContainerFacts()])
    }

    /// Whether the pod is over, and not only until the next boot.
    var isOver: Bool {
        switch ending {
        case nil, .suspended: false
        case .deleted, .completed, .failed: true
        }
    }

    /// Whether nothing of the pod is left on the machine but its files.
    var isDown: Bool { isFinished || ending != nil && sandbox == .removed && volumes == .removed }

    private mutating func resume() {
        guard case .suspended = ending else { return }
        ending = nil
        endingSince = nil
        if sandbox == .removed { sandbox = .none }
        if volumes == .removed { volumes = .none }
        let isInSandbox = sandbox != .none
        for name in facts.keys { update(name) { $0.isInSandbox = $0.isInSandbox && isInSandbox } }
        actions.append(.publishStatus)
    }

    mutating func end(_ why: PodEnding, _ now: Moment) {
        if case .failed(let reason, let message, _) = why, failure == nil { failure = (reason, message) }
        ending = why
        endingSince = endingSince ?? now.uptimeMilliseconds
        // As upstream, which cancels a pod's sync when its end begins; what runs already is stopped instead.
        for (name, known) in facts where known.operation == .starting && !known.isRunning {
            actions.append(.cancelStart(name))
        }
        actions.append(.publishStatus)
    }
}

// MARK: - Events

extension PodMachine {
    private mutating func updated(_ new: Pod, _ now: Moment) {
        let old = pod
        pod = new
        if ending == nil { resourcesGranted(before: old) }
        for container in new.allContainers where facts[container.name] == nil {
            facts[container.name] = ContainerFacts()
        }
        // What runs with another image, the plan finds; what waits to be tried again need not wait for another.
        for container in new.allContainers where old.container(named: container.name)?.image != container.image {
            forgetFailures(of: container.name)
        }
        actions.append(.publishStatus)
    }

    private mutating func forgetFailures(of name: String) {
        update(name) { facts in
            facts.retryAt = nil
            facts.imageBackoff.reset()
        }
    }

    private mutating func volumesFailed(_ message: String, _ now: Moment) {
        volumes = .none
        volumesRetryAt = now.uptimeMilliseconds + Self.retryInterval
        actions.append(.event(isWarning: true, reason: "FailedMount", message: message, container: nil))
    }

    private mutating func sandboxReady(_ addresses: [String]) {
        sandbox = .ready(addresses: addresses)
        actions.append(.publishStatus)
    }

    private mutating func sandboxFailed(_ message: String, _ now: Moment) {
        sandbox = .none
        sandboxRetryAt = now.uptimeMilliseconds + Self.sandboxRetryInterval
        actions.append(
            .event(
                isWarning: true, reason: "FailedCreatePodSandBox", message: "Failed to create pod sandbox: \(message)",
                container: nil))
    }

    private mutating func launched(_ name: String, _ instance: ContainerInstance, _ now: Moment) {
        var outdated: ContainerInstance?
        update(name) { facts in
            outdated = facts.previous
            facts.previous = facts.current
            facts.current = instance
            facts.attempts = instance.attempt + 1
            facts.waiting = nil
            facts.retryAt = nil
            facts.hasStarted = false
            facts.isInSandbox = true
            facts.comesBack = false
            facts.startupPassed = false
            facts.readinessPassed = false
            facts.endedAt = instance.exit == nil ? nil : now.uptimeMilliseconds
        }
        if let outdated { actions.append(.removeInstance(id: outdated.id)) }
    }

    private mutating func startFinished(_ name: String, _ failure: StartFailure?, _ now: Moment) {
        guard let container = pod.container(named: name) else { return }
        update(name) { if $0.operation == .starting { $0.operation = nil } }
        actions.append(.publishStatus)
        if let failure {
            // That a start was cut short is no news of a pod that ends.
            if ending == nil { startFailed(container, failure, now) }
            return
        }
        update(name) { facts in
            facts.imageBackoff.reset()
            facts.hasStarted = true
            facts.startupPassed = container.startupProbe == nil
            facts.readinessPassed = container.readinessProbe == nil
        }
        if facts[name]?.isRunning == true, ending == nil { actions.append(.startProbes(name)) }
    }

    private mutating func startFailed(_ container: PodContainer, _ failure: StartFailure, _ now: Moment) {
        let uptime = now.uptimeMilliseconds
        update(container.name) { facts in
            facts.waiting = WaitingReason(failure.reason, failure.message)
            switch failure.step {
            case .pull, .image:
                facts.imageBackoff.advance(failedAt: uptime, now: uptime)
                facts.retryAt = uptime + (facts.imageBackoff.current ?? Self.imageBackoffInitial)
            case .configuration, .create: facts.retryAt = uptime + Self.retryInterval
            case .run, .postStart: facts.waiting = nil
            }
        }
        if facts[container.name]?.startedImage != container.image { forgetFailures(of: container.name) }
        let text = failure.step == .pull || failure.message.isEmpty ? failure.reason : failure.message
        if failure.step == .postStart {
            actions.append(
                .event(isWarning: true, reason: "FailedPostStartHook", message: text, container: container.name))
        } else {
            actions.append(
                .event(isWarning: true, reason: "Failed", message: "Error: \(text)", container: container.name))
        }
    }

    private mutating func exited(_ name: String, _ id: String, _ exit: ContainerExit, _ now: Moment) {
        guard facts[name]?.current?.id == id, facts[name]?.current?.exit == nil else { return }
        update(name) { facts in
            facts.current?.exit = exit
            facts.endedAt = now.uptimeMilliseconds
            facts.readinessPassed = false
            facts.startupPassed = false
        }
        actions += [.stopProbes(name), .publishStatus]
    }

    private mutating func probed(
        _ name: String, _ id: String, _ kind: ProbeKind, _ success: Bool, _ now: Moment
    ) {
        guard let container = pod.container(named: name), let known = facts[name], known.current?.id == id,
            known.isRunning
        else { return }
        switch kind {
        case .readiness:
            if known.readinessPassed == success { return }
            update(name) { $0.readinessPassed = success }
            actions.append(.publishStatus)
        case .startup where success:
            update(name) { $0.startupPassed = true }
            actions.append(.publishStatus)
        case .liveness where success: break
        case .startup, .liveness:
            guard ending == nil, !known.isStopping else { return }
            let probe = kind == .liveness ? container.livenessProbe : container.startupProbe
            let grace = probe?["terminationGracePeriodSeconds"]?.boundedInt ?? pod.terminationGracePeriodSeconds
            stop(container, grace: grace, why: kind == .liveness ? .livenessFailed : .startupFailed, now)
        }
    }

    mutating func stop(_ container: PodContainer, grace: Int, why: StopReason, _ now: Moment) {
        let deadline = now.uptimeMilliseconds + Int64(grace) * 1000
        update(container.name) { $0.operation = .stopping(deadline: deadline) }
        actions.append(.stopContainer(container.name, grace: grace, why: why))
    }
}

extension ContainerInstance {
    /// The newest instance by a `containerStatuses` entry, ended; nil if none had been started.
    init?(reported: JSON, _ now: Moment) {
        let state = reported["state"] ?? .null
        var ended = state["terminated"]
        if ended == nil, state["waiting"] != nil { ended = reported["lastState"]?["terminated"] }
        guard ended != nil || state["running"] != nil else { return nil }
        let id = (reported["containerID"]?.string ?? "").split(separator: "/").last.map(String.init) ?? ""
        let started = ended?["startedAt"]?.string ?? state["running"]?["startedAt"]?.string ?? ""
        self.init(
            id: id, attempt: reported["restartCount"]?.int ?? 0, image: reported["image"]?.string ?? "",
            imageID: reported["imageID"]?.string ?? "", startedAt: WallClock.seconds(started) ?? now.wallSeconds)
        guard let ended else {
            exit = ContainerExit(
                exitCode: 137, reason: "ContainerStatusUnknown",
                message: "The container could not be located when the pod was terminated", finishedAt: now.wallSeconds)
            return
        }
        exit = ContainerExit(
            exitCode: ended["exitCode"]?.int ?? 0, signal: ended["signal"]?.int ?? 0,
            reason: ended["reason"]?.string, message: ended["message"]?.string ?? "",
            finishedAt: WallClock.seconds(ended["finishedAt"]?.string ?? "") ?? now.wallSeconds)
    }
}

extension Pod {
    /// The entry of the container in the status last written to the API.
    package func reportedStatus(of name: String) -> JSON? {
        for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
            if let found = (status[list]?.elements ?? []).first(where: { $0["name"]?.string == name }) { return found }
        }
        return nil
    }
}
