// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import PodRuntime

/// Why the node does not grant the resources that a pod's spec asks for (upstream: PodResizePending).
package struct PendingResize: Hashable, Sendable {
    package enum Reason: String, Sendable {
        /// Not as long as the node is what it is.
        case infeasible = "Infeasible"
        /// Not until others need less.
        case deferred = "Deferred"
    }

    package var reason: Reason
    package var message: String

    package init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }
}

/// How far the resources that the node has granted a pod are in force.
package struct ResizeFacts: Hashable, Sendable {
    /// Whether the end of a resize is still to be told.
    package var isInProgress = false
    /// Why limits could not be changed the last time; nil if they could.
    package var failure: String?
    /// Whether the pod's own group has limits of before.
    var groupIsOutdated = false
    /// Whether limits are being changed.
    var isActuating = false
    /// Not before this uptime (milliseconds) are limits changed.
    var retryAt: Int64?
}

/// Changing the resources of a pod that runs (in-place resize): from what is granted to what is in force.
extension PodMachine {
    /// Takes in that the resources in the spec, which are those that the node has granted, differ from those of before.
    mutating func resourcesGranted(before old: Pod) {
        guard pod.resources != old.resources else { return }
        resize.isInProgress = true
        resize.failure = nil
        resize.retryAt = nil
        if ResourceSettings.pod(pod) != ResourceSettings.pod(old) { resize.groupIsOutdated = true }
        tellResize("ResizeStarted", "started", pod)
    }

    mutating func resizePends(_ pending: PendingResize?, _ wanted: Pod) {
        guard pending != pendingResize else { return }
        pendingResize = pending
        actions.append(.publishStatus)
        guard ending == nil, let pending else { return }
        tellResize(
            "Resize\(pending.reason.rawValue)", pending.reason.rawValue, wanted, error: pending.message)
    }

    mutating func resized(_ limits: [String: ContainerLimits]) {
        resize.isActuating = false
        resize.failure = nil
        noteLimits(limits)
        actions.append(.publishStatus)
    }

    private mutating func noteLimits(_ limits: [String: ContainerLimits]) {
        for (name, limits) in limits { update(name) { $0.current?.limits = limits } }
    }

    mutating func resizeFailed(_ message: String, _ done: [String: ContainerLimits], _ now: Moment) {
        noteLimits(done)
        resize.isActuating = false
        resize.groupIsOutdated = true
        resize.retryAt = now.uptimeMilliseconds + Self.retryInterval
        if resize.failure != message { tellResize("ResizeError", "error", pod, error: message) }
        resize.failure = message
        actions.append(.publishStatus)
    }

    /// Brings what runs in line with what is granted; false while starts have to wait for it.
    mutating func advanceResize(_ now: Moment) -> Bool {
        if resize.isActuating { return false }
        let outdated = pod.allContainers.filter(isOutdated)
        if outdated.isEmpty, !resize.groupIsOutdated {
            completeResize()
            return true
        }
        resize.isInProgress = true
        if let retry = resize.retryAt, retry > now.uptimeMilliseconds {
            wake(at: retry)
            return true
        }
        // A start or a stop ends first.
        let idle = outdated.filter { facts[$0.name]?.operation == nil }
        for container in idle where wantsRestart(container) {
            update(container.name) { facts in
                facts.comesBack = true
                facts.retryAt = nil
            }
            stop(container, grace: pod.terminationGracePeriodSeconds, why: .resized, now)
        }
        // The pod's group shrinks only when those that restart have ended.
        if outdated.contains(where: { facts[$0.name]?.isStopping == true }) { return true }
        let inPlace = idle.filter { !wantsRestart($0) }.map(\.name)
        if inPlace.isEmpty, !resize.groupIsOutdated { return true }
        resize.isActuating = true
        resize.groupIsOutdated = false
        actions.append(.resize(containers: inPlace))
        return false
    }

    private mutating func completeResize() {
        guard resize.isInProgress, !facts.values.contains(where: \.comesBack) else { return }
        resize.isInProgress = false
        resize.failure = nil
        tellResize("ResizeCompleted", "completed", pod)
    }

    /// Whether the container runs with other limits than it has been granted.
    private func isOutdated(_ container: PodContainer) -> Bool {
        guard let known = facts[container.name], known.isRunning, let limits = known.current?.limits else {
            return false
        }
        return limits != ResourceSettings.limits(of: container)
    }

    /// Whether a resource has changed that the container takes in at its start only.
    private func wantsRestart(_ container: PodContainer) -> Bool {
        guard let old = facts[container.name]?.current?.limits else { return false }
        let new = ResourceSettings.limits(of: container)
        let isCPUOther = old.cpuShares != new.cpuShares || old.cpuQuota != new.cpuQuota
        return isCPUOther && container.restartsOnResize(of: "cpu")
            || old.memory != new.memory && container.restartsOnResize(of: "memory")
    }

    /// An event with upstream's summary of the pod's resources.
    private mutating func tellResize(_ reason: String, _ word: String, _ pod: Pod, error: String = "") {
        var summary = JSON.object([:])
        for (key, containers) in [("initContainers", pod.initContainers), ("containers", pod.containers)]
        where !containers.isEmpty {
            summary[key] = .array(containers.map { ["name": .string($0.name), "resources": $0.requirements] })
        }
        summary["generation"] = JSON(pod.object.generation)
        if !error.isEmpty { summary["error"] = .string(error) }
        actions += [
            .event(
                isWarning: !error.isEmpty, reason: reason, message: "Pod resize \(word): \(summary.text())",
                container: nil), .publishStatus,
        ]
    }
}

extension PodContainer {
    /// Its `limits` and `requests` alone.
    var requirements: JSON {
        var result = JSON.object([:])
        for key in ["limits", "requests"] { result[key] = resources[key] }
        return result
    }

    /// Whether other requests or limits of a resource take a restart (`resizePolicy`).
    func restartsOnResize(of resource: String) -> Bool {
        (json["resizePolicy"]?.elements ?? []).contains {
            $0["resourceName"]?.string == resource && $0["restartPolicy"]?.string == "RestartContainer"
        }
    }
}

extension Pod {
    /// What each container asks for: `requests` and `limits`, by its name.
    var resources: [String: JSON] {
        Dictionary(allContainers.map { ($0.name, $0.requirements) }) { first, _ in first }
    }

    /// The pod with requests and limits that it was granted in place of those that it asks for.
    func granted(_ resources: [String: JSON]) -> Pod {
        if resources == self.resources { return self }
        var object = self.object
        for list in ["initContainers", "containers"] {
            guard let containers = object.spec[list]?.array else { continue }
            object.spec[list] = .array(
                containers.map { container in
                    guard let granted = resources[container["name"]?.string ?? ""] else { return container }
                    var container = container
                    var own = container["resources"] ?? .object([:])
                    for key in ["limits", "requests"] { own[key] = granted[key] }
                    container["resources"] = own
                    return container
                })
        }
        return Pod(object)
    }
}
