// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

@testable import Kubelet

/// Drives a pod's state machine by hand, with a clock that only the test moves.
struct MachineDriver {
    var machine: PodMachine
    var now = Moment(wallSeconds: 1_767_225_600, uptimeMilliseconds: 1_000_000)
    var actions: [PodAction] = []
    var status: JSON = .object([:])

    init(_ spec: JSON, metadata: JSON = [:]) {
        machine = PodMachine(pod: Self.pod(spec, metadata: metadata), startTime: now.wallSeconds)
        take(machine.tick(now: now))
    }

    static func pod(_ spec: JSON, metadata: JSON = [:], status: JSON = [:]) -> Pod {
        var object = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: "p")
        object.metadata["uid"] = "u1"
        object.metadata["generation"] = 1
        for (key, value) in metadata.members { object.metadata[key] = value }
        object.spec = spec
        object.status = status
        return Pod(object)
    }

    private mutating func take(_ new: [PodAction]) {
        actions = new
        if new.contains(.publishStatus) { refresh() }
    }

    mutating func refresh() {
        status = PodStatusWriter(hostAddresses: ["192.0.2.1"]).status(of: machine, previous: status, now: now)
    }

    mutating func handle(_ event: PodEvent) { take(machine.handle(event, now: now)) }

    mutating func wait(seconds: Int64) {
        now = now.advanced(milliseconds: seconds * 1000)
        handle(.tick)
    }

    /// Brings sandbox and volumes up.
    mutating func prepare() {
        handle(.sandboxReady(addresses: ["10.1.0.2"]))
        handle(.volumesMounted)
    }

    mutating func launch(_ name: String, exit: ContainerExit? = nil) {
        let attempt = machine.facts[name]?.attempts ?? 0
        var instance = ContainerInstance(
            id: "\(name)-\(attempt)", attempt: attempt, image: "img", imageID: "sha256:1",
            startedAt: now.wallSeconds, exit: exit)
        instance.requestedImage = machine.facts[name]?.startedImage
        handle(.launched(name, instance))
        handle(.startFinished(name, nil))
    }

    mutating func exit(_ name: String, _ code: Int, reason: String? = nil) {
        let id = machine.facts[name]?.current?.id ?? ""
        handle(
            .exited(name, id: id, ContainerExit(exitCode: code, reason: reason, finishedAt: now.wallSeconds)))
    }

    mutating func delete(grace: Int) {
        var object = machine.pod.object
        object.metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        object.metadata["deletionGracePeriodSeconds"] = JSON(grace)
        handle(.podUpdated(Pod(object)))
    }

    func starts(_ name: String) -> Bool {
        actions.contains { if case .startContainer(name, _) = $0 { true } else { false } }
    }

    func stops(_ name: String) -> Int? {
        for action in actions { if case .stopContainer(name, let grace, _) = action { return grace } }
        return nil
    }

    func events(_ reason: String) -> [String] {
        actions.compactMap {
            if case .event(_, reason, let message, _) = $0 { message } else { nil }
        }
    }

    var wakeUpSeconds: Int64? {
        for action in actions {
            if case .wakeUp(let uptime) = action { return (uptime - now.uptimeMilliseconds) / 1000 }
        }
        return nil
    }

    func condition(_ type: String) -> JSON? {
        (status["conditions"]?.elements ?? []).first { $0["type"]?.string == type }
    }

    func container(_ name: String) -> JSON? {
        ((status["containerStatuses"]?.elements ?? []) + (status["initContainerStatuses"]?.elements ?? []))
            .first { $0["name"]?.string == name }
    }
}
