// SPDX-License-Identifier: Apache-2.0

import JSON

/// Makes the entries of `containerStatuses`, `initContainerStatuses` and `ephemeralContainerStatuses`.
struct ContainerStatusWriter {
    let machine: PodMachine
    /// Whether the pod's phase is final.
    let isTerminal: Bool

    func status(of container: PodContainer) -> JSON {
        let known = machine.facts[container.name] ?? ContainerFacts()
        let (state, last) = states(container, known)
        var result: JSON = ["name": .string(container.name), "state": state]
        result["lastState"] = last ?? .object([:])
        result["ready"] = .bool(isReady(container, known))
        result["restartCount"] = JSON(known.restartCount)
        result["image"] = .string(known.current.map(\.image) ?? container.image)
        result["imageID"] = .string(known.current?.imageID ?? "")
        if let id = shownInstance(known)?.id, !id.isEmpty { result["containerID"] = .string("swiftlet://\(id)") }
        // Ephemeral containers have no probes, which upstream reports this with.
        if container.kind != .ephemeral {
            result["started"] = .bool(known.isRunning && known.hasStarted && known.startupPassed)
        }
        addResources(container, known, to: &result)
        let mounts = container.volumeMounts
        if !mounts.isEmpty { result["volumeMounts"] = .array(mounts.map(volumeMount)) }
        if let user = known.current?.user { result["user"] = ["linux": Self.json(user)] }
        return result
    }

    private func isReady(_ container: PodContainer, _ known: ContainerFacts) -> Bool {
        switch container.kind {
        case .initial: known.current?.exit?.exitCode == 0
        case .sidecar, .main: machine.isReady(container.name)
        case .ephemeral: false
        }
    }

    private func shownInstance(_ known: ContainerFacts) -> ContainerInstance? { known.current }

    /// Whether a container without an instance must have had one.
    private func wasReached(_ container: PodContainer) -> Bool {
        switch container.kind {
        case .main: machine.hasInitialized
        case .initial, .sidecar: machine.hasReachedInit(container.name)
        case .ephemeral: false
        }
    }

    /// `state` and `lastState`.
    private func states(_ container: PodContainer, _ known: ContainerFacts) -> (JSON, JSON?) {
        let earlier = known.previous.flatMap(terminated)
        guard let current = known.current else {
            if isTerminal, wasReached(container), machine.failure?.reason != "Evicted" || known.attempts > 0 {
                return (lost, earlier)
            }
            return (waiting(known.waiting ?? defaultWaiting), earlier)
        }
        if let ended = terminated(current) {
            if !isTerminal, machine.ending == nil, let reason = known.waiting, known.operation != .starting {
                return (waiting(reason), ended)
            }
            return (ended, earlier)
        }
        if !known.hasStarted && !known.isStopping && machine.ending == nil {
            return (waiting(known.waiting ?? defaultWaiting), earlier)
        }
        return (["running": ["startedAt": .string(WallClock.text(current.startedAt))]], earlier)
    }

    private var defaultWaiting: WaitingReason {
        WaitingReason(machine.pod.initContainers.isEmpty ? "ContainerCreating" : "PodInitializing")
    }

    /// What a container shows that had no instance when the pod ended.
    private var lost: JSON {
        [
            "terminated": [
                "exitCode": 137, "reason": "ContainerStatusUnknown",
                "message": "The container could not be located when the pod was terminated", "startedAt": .null,
                "finishedAt": .null,
            ]
        ]
    }

    private func waiting(_ reason: WaitingReason) -> JSON {
        var waiting: JSON = ["reason": .string(reason.reason)]
        if !reason.message.isEmpty { waiting["message"] = .string(reason.message) }
        return ["waiting": waiting]
    }

    private func terminated(_ instance: ContainerInstance) -> JSON? {
        guard let exit = instance.exit else { return nil }
        var result: JSON = ["exitCode": JSON(exit.exitCode)]
        if exit.signal > 0 { result["signal"] = JSON(exit.signal) }
        result["reason"] = .string(exit.reason)
        if !exit.message.isEmpty { result["message"] = .string(exit.message) }
        result["startedAt"] = .string(WallClock.text(instance.startedAt))
        result["finishedAt"] = .string(WallClock.text(exit.finishedAt))
        if !instance.id.isEmpty { result["containerID"] = .string("swiftlet://\(instance.id)") }
        return ["terminated": result]
    }

    private func addResources(_ container: PodContainer, _ known: ContainerFacts, to result: inout JSON) {
        guard known.isRunning else { return }
        if let requests = container.resources["requests"] { result["allocatedResources"] = requests }
        let resources = ResourceSettings.resources(of: container, inForce: known.current?.limits)
        if !resources.members.isEmpty { result["resources"] = resources }
    }

    private static func json(_ user: ContainerUser) -> JSON {
        var result: JSON = ["uid": .int(Int64(user.uid)), "gid": .int(Int64(user.gid))]
        if !user.supplementaryGroups.isEmpty {
            result["supplementalGroups"] = .array(user.supplementaryGroups.map { .int(Int64($0)) })
        }
        return result
    }

    private func volumeMount(_ mount: JSON) -> JSON {
        var result: JSON = ["name": mount["name"] ?? "", "mountPath": mount["mountPath"] ?? ""]
        if mount["readOnly"]?.bool == true {
            result["readOnly"] = true
            let wanted = mount["recursiveReadOnly"]?.string ?? "Disabled"
            result["recursiveReadOnly"] = .string(wanted == "IfPossible" ? "Enabled" : wanted)
        }
        return result
    }
}
