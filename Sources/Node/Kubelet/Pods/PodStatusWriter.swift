// SPDX-License-Identifier: Apache-2.0

package import JSON
import KubeAPI

/// Makes a pod's `status` from the facts, with the reasons and messages of upstream's kubelet.
package struct PodStatusWriter: Sendable {
    /// The node's addresses, at most one of each family, shown as `hostIPs`, and as `podIPs` of pods on the host network.
    package var hostAddresses: [String]

    /// Conditions of the node's that are there only while they are true.
    static let resizeConditions = ["PodResizePending", "PodResizeInProgress"]

    package init(hostAddresses: [String]) { self.hostAddresses = hostAddresses }

    /// The fields of `status` that the node owns. Conditions that somebody else set are not among them.
    ///
    /// - Parameter previous: The status as last written, for the times of conditions that have not changed.
    package func status(of machine: PodMachine, previous: JSON, now: Moment) -> JSON {
        let pod = machine.pod
        let phase = Self.phase(machine, previous: previous["phase"]?.string ?? "")
        var status = JSON.object([:])
        if pod.object.generation > 0 { status["observedGeneration"] = JSON(pod.object.generation) }
        status["phase"] = .string(phase)
        if let failure = machine.failure, phase == "Failed" || machine.ending != nil {
            status["reason"] = .string(failure.reason)
            if !failure.message.isEmpty { status["message"] = .string(failure.message) }
        }
        if let host = hostAddresses.first {
            status["hostIP"] = .string(host)
            status["hostIPs"] = .array(hostAddresses.map { ["ip": .string($0)] })
        }
        let addresses = podAddresses(machine, previous: previous)
        if let first = addresses.first {
            status["podIP"] = .string(first)
            status["podIPs"] = .array(addresses.map { ["ip": .string($0)] })
        }
        status["startTime"] = .string(WallClock.text(machine.startTime))
        let isTerminal = phase == "Succeeded" || phase == "Failed"
        let write = ContainerStatusWriter(machine: machine, isTerminal: isTerminal)
        if machine.failure == nil || machine.facts.values.contains(where: { $0.current != nil }) {
            if !pod.initContainers.isEmpty {
                status["initContainerStatuses"] = .array(pod.initContainers.map { write.status(of: $0) })
            }
            let sorted = pod.containers.sorted { $0.name < $1.name }
            status["containerStatuses"] = .array(sorted.map { write.status(of: $0) })
            if !pod.ephemeralContainers.isEmpty {
                let sorted = pod.ephemeralContainers.sorted { $0.name < $1.name }
                status["ephemeralContainerStatuses"] = .array(sorted.map { write.status(of: $0) })
            }
        }
        status["qosClass"] = .string(pod.qosClass.rawValue)
        status["conditions"] = conditions(machine, phase: phase, previous: previous, now: now)
        return status
    }

    private func podAddresses(_ machine: PodMachine, previous: JSON) -> [String] {
        switch machine.sandbox {
        case .ready where !machine.showsSandbox: return []
        case .ready(let addresses) where !addresses.isEmpty: return addresses
        case .ready: return machine.pod.hostNetwork ? hostAddresses : []
        case .none, .creating: return []
        // What the pod had stays to be seen while it ends.
        case .removing, .removed:
            return (previous["podIPs"]?.elements ?? []).compactMap { $0["ip"]?.string }
        }
    }

    /// The phase, after upstream's getPhase; a terminal one is held back until nothing runs any more.
    static func phase(_ machine: PodMachine, previous: String) -> String {
        let phase = machine.failure != nil && machine.ending != nil ? "Failed" : countedPhase(machine)
        guard phase == "Succeeded" || phase == "Failed" else { return phase }
        if machine.facts.values.contains(where: { $0.isRunning || $0.operation == .starting }) {
            return previous == "Pending" || previous.isEmpty ? countedWhileRunning(machine) : previous
        }
        return phase
    }

    private static func countedWhileRunning(_ machine: PodMachine) -> String {
        machine.hasMainStarted ? "Running" : "Pending"
    }

    private static func countedPhase(_ machine: PodMachine) -> String {
        let pod = machine.pod
        var pendingInitialization = 0
        for container in pod.initContainers {
            let known = machine.facts[container.name] ?? ContainerFacts()
            if container.kind == .initial {
                if let exit = known.current?.exit {
                    if exit.exitCode == 0 { continue }
                    if !container.restarts(afterExit: exit.exitCode), !machine.hasMainStarted { return "Failed" }
                }
                pendingInitialization += 1
            } else if !known.hasStarted && !machine.hasMainStarted {
                pendingInitialization += 1
            }
        }
        var (running, stopped, succeeded, waiting) = (0, 0, 0, 0)
        for container in pod.containers {
            let known = machine.facts[container.name] ?? ContainerFacts()
            // It is on its way back.
            if known.comesBack {
                running += 1
            } else if known.isRunning {
                if known.hasStarted || known.isStopping { running += 1 } else { waiting += 1 }
            } else if let exit = known.current?.exit {
                stopped += 1
                if exit.exitCode == 0 { succeeded += 1 }
            } else {
                waiting += 1
            }
        }
        let ends = machine.isOver
        if ends, running == 0, waiting > 0 {
            return "Failed"
        }
        if pendingInitialization > 0 && !machine.hasMainStarted || waiting > 0 { return "Pending" }
        if running > 0 { return "Running" }
        if ends { return stopped == succeeded ? "Succeeded" : "Failed" }
        if pod.restartPolicy == .always { return "Running" }
        if stopped == succeeded { return "Succeeded" }
        return pod.restartPolicy == .never ? "Failed" : "Running"
    }
}

// MARK: - Conditions

extension PodStatusWriter {
    private struct Verdict {
        var status: Bool
        var reason = ""
        var message = ""
    }

    private func conditions(_ machine: PodMachine, phase: String, previous: JSON, now: Moment) -> JSON {
        let containers = containersReady(machine, phase: phase)
        var sandboxReady = false
        if case .ready = machine.sandbox, machine.showsSandbox { sandboxReady = true }
        var verdicts: [(String, Verdict)] = [
            ("PodReadyToStartContainers", Verdict(status: sandboxReady)),
            ("Initialized", initialized(machine, phase: phase)),
            ("Ready", ready(machine, containers)),
            ("ContainersReady", containers),
            ("PodScheduled", Verdict(status: true)),
        ]
        if machine.failure?.reason == ShutdownWords.reason {
            verdicts.append(
                (
                    "DisruptionTarget",
                    Verdict(status: true, reason: ShutdownWords.disruption, message: ShutdownWords.message)
                ))
        }
        if let failure = machine.failure, machine.ending != nil, !machine.isRejected,
            [EvictionWords.reason, CriticalPreemption.reason].contains(failure.reason)
        {
            let isEviction = failure.reason == EvictionWords.reason
            let verdict = Verdict(
                status: true, reason: EvictionWords.disruption,
                message: isEviction ? failure.message : CriticalPreemption.disruption)
            verdicts.append(("DisruptionTarget", verdict))
        }
        if machine.ending == nil { verdicts += resize(machine) }
        let before = previous["conditions"]?.elements ?? []
        return .array(
            verdicts.map { type, verdict in
                let old = before.first { $0["type"]?.string == type }
                let status = verdict.status ? "True" : "False"
                var condition: JSON = ["type": .string(type)]
                if machine.pod.object.generation > 0 {
                    condition["observedGeneration"] = JSON(machine.pod.object.generation)
                }
                condition["status"] = .string(status)
                condition["lastProbeTime"] = .null
                let unchanged = old?["status"]?.string == status ? old?["lastTransitionTime"]?.string : nil
                condition["lastTransitionTime"] = .string(unchanged ?? WallClock.text(now.wallSeconds))
                if !verdict.reason.isEmpty { condition["reason"] = .string(verdict.reason) }
                if !verdict.message.isEmpty { condition["message"] = .string(verdict.message) }
                return condition
            })
    }

    private func resize(_ machine: PodMachine) -> [(String, Verdict)] {
        var verdicts: [(String, Verdict)] = []
        if let pending = machine.pendingResize {
            let verdict = Verdict(status: true, reason: pending.reason.rawValue, message: pending.message)
            verdicts.append((Self.resizeConditions[0], verdict))
        }
        if machine.resize.isInProgress {
            let failure = machine.resize.failure
            let verdict = Verdict(status: true, reason: failure == nil ? "" : "Error", message: failure ?? "")
            verdicts.append((Self.resizeConditions[1], verdict))
        }
        return verdicts
    }

    private func initialized(_ machine: PodMachine, phase: String) -> Verdict {
        if phase == "Succeeded" { return Verdict(status: true, reason: "PodCompleted") }
        var incomplete: [String] = []
        for container in machine.pod.initContainers where !machine.hasMainStarted {
            let known = machine.facts[container.name] ?? ContainerFacts()
            let isDone =
                container.kind == .sidecar
                ? known.isRunning && known.hasStarted && known.startupPassed : known.current?.exit?.exitCode == 0
            if !isDone { incomplete.append(container.name) }
        }
        if incomplete.isEmpty { return Verdict(status: true) }
        return Verdict(
            status: false, reason: "ContainersNotInitialized",
            message: "containers with incomplete status: [\(incomplete.joined(separator: " "))]")
    }

    private func containersReady(_ machine: PodMachine, phase: String) -> Verdict {
        if phase == "Succeeded" { return Verdict(status: false, reason: "PodCompleted") }
        if phase == "Failed" { return Verdict(status: false, reason: "PodFailed") }
        let relevant = machine.pod.initContainers.filter { $0.kind == .sidecar } + machine.pod.containers
        let unready = relevant.filter { !machine.isReady($0.name) }.map(\.name)
        if unready.isEmpty { return Verdict(status: true) }
        return Verdict(
            status: false, reason: "ContainersNotReady",
            message: "containers with unready status: [\(unready.joined(separator: " "))]")
    }

    private func ready(_ machine: PodMachine, _ containers: Verdict) -> Verdict {
        guard containers.status else { return containers }
        var messages: [String] = []
        let known = machine.pod.status["conditions"]?.elements ?? []
        for gate in machine.pod.spec["readinessGates"]?.elements ?? [] {
            let type = gate["conditionType"]?.string ?? ""
            let condition = known.first { $0["type"]?.string == type }
            guard let status = condition?["status"]?.string else {
                messages.append("corresponding condition of pod readiness gate \"\(type)\" does not exist.")
                continue
            }
            if status != "True" {
                messages.append("the status of pod readiness gate \"\(type)\" is not \"True\", but \(status)")
            }
        }
        if messages.isEmpty { return Verdict(status: true) }
        return Verdict(status: false, reason: "ReadinessGatesNotReady", message: messages.joined(separator: ", "))
    }
}

extension PodMachine {
    /// Whether the sandbox is told of. It is made while volumes are being mounted; upstream's comes after them, so a pod whose
    /// volumes cannot be mounted has none.
    fileprivate var showsSandbox: Bool {
        volumes == .ready || facts.values.contains { $0.current != nil }
    }

    /// Whether the pod was past its init containers at any time (upstream: hasPodInitialized).
    package var hasInitialized: Bool {
        guard let last = pod.initContainers.last else { return true }
        if pod.containers.contains(where: { facts[$0.name]?.current != nil }) { return true }
        guard let known = facts[last.name], let current = known.current else { return false }
        return last.kind == .sidecar ? known.hasStarted && known.startupPassed : current.exit?.exitCode == 0
    }

    /// Whether an init container of that name was passed: it, or one after it, has had an instance.
    package func hasReachedInit(_ name: String) -> Bool {
        guard let index = pod.initContainers.firstIndex(where: { $0.name == name }) else { return true }
        return pod.initContainers[index...].contains { facts[$0.name]?.current != nil }
    }

    /// Whether the container counts as ready.
    package func isReady(_ name: String) -> Bool {
        guard let known = facts[name] else { return false }
        return known.isRunning && known.hasStarted && known.startupPassed && known.readinessPassed
    }
}
