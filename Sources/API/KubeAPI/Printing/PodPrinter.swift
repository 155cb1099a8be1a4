// SPDX-License-Identifier: Apache-2.0

import JSON

/// The row of a pod: readiness, the status in one word, and restarts.
struct PodPrinter {
    private let pod: PrintedObject
    private var reason: String
    private var ready = 0
    private var total: Int
    private var restarts = 0
    private var lastRestart: KubeTime?
    private var sidecarRestarts = 0
    private var lastSidecarRestart: KubeTime?

    static let printer = TablePrinter(
        "Name|Ready|Status|Restarts|Age|IP*|Node*|Nominated Node*|Readiness Gates*", conditions: conditions
    ) { PodPrinter($0).cells }

    private init(_ pod: PrintedObject) {
        self.pod = pod
        reason = pod.status?["phase"]?.string ?? ""
        if let text = pod.status?["reason"]?.string, !text.isEmpty { reason = text }
        if pod.condition("PodScheduled")?["reason"] == "SchedulingGated" { reason = "SchedulingGated" }
        total = pod.count(pod.spec?["containers"])
        let sidecars = Self.sidecars(pod)
        total += sidecars.count
        let isInitializing = readInitContainers(sidecars)
        if !isInitializing || pod.condition("Initialized")?["status"] == "True" { readContainers() }
        guard pod.isBeingDeleted else { return }
        let phase = pod.status?["phase"]?.string
        if pod.status?["reason"] == "NodeLost" {
            reason = "Unknown"
        } else if phase != "Succeeded", phase != "Failed" {
            reason = "Terminating"
        }
    }

    /// The names of the init containers that run along with the others.
    private static func sidecars(_ pod: PrintedObject) -> Set<String> {
        let all = pod.spec?["initContainers"]?.elements ?? []
        return Set(all.filter { $0["restartPolicy"] == "Always" }.compactMap { $0["name"]?.string })
    }

    /// Reads the init containers up to the one that initialization waits for; tells whether there is one.
    private mutating func readInitContainers(_ sidecars: Set<String>) -> Bool {
        for (index, status) in (pod.status?["initContainerStatuses"]?.elements ?? []).enumerated() {
            let count = status["restartCount"]?.int ?? 0
            let isSidecar = sidecars.contains(status["name"]?.string ?? "")
            restarts += count
            Self.note(status, in: &lastRestart)
            if isSidecar {
                sidecarRestarts += count
                Self.note(status, in: &lastSidecarRestart)
            }
            let terminated = status["state"]?["terminated"]
            let waiting = status["state"]?["waiting"]?["reason"]?.string ?? ""
            if let terminated, !terminated.isNull, terminated["exitCode"]?.int ?? 0 == 0 { continue }
            if isSidecar, status["started"] == true {
                if status["ready"] == true { ready += 1 }
                continue
            }
            if let terminated, !terminated.isNull {
                reason = "Init:\(Self.reason(terminated))"
            } else if !waiting.isEmpty, waiting != "PodInitializing" {
                reason = "Init:\(waiting)"
            } else {
                reason = "Init:\(index)/\(pod.count(pod.spec?["initContainers"]))"
            }
            return true
        }
        return false
    }

    private mutating func readContainers() {
        restarts = sidecarRestarts
        lastRestart = lastSidecarRestart
        var isRunning = false
        for status in (pod.status?["containerStatuses"]?.elements ?? []).reversed() {
            restarts += status["restartCount"]?.int ?? 0
            Self.note(status, in: &lastRestart)
            let state = status["state"]
            if let waiting = state?["waiting"]?["reason"]?.string, !waiting.isEmpty {
                reason = waiting
            } else if let terminated = state?["terminated"], !terminated.isNull {
                reason = Self.reason(terminated)
            } else if status["ready"] == true, state?["running"]?.object != nil {
                isRunning = true
                ready += 1
            }
        }
        // One that still runs counts for more than one that has completed.
        if reason == "Completed", isRunning {
            reason = pod.condition("Ready")?["status"] == "True" ? "Running" : "NotReady"
        }
    }

    private static func note(_ status: JSON, in last: inout KubeTime?) {
        guard let text = status["lastState"]?["terminated"]?["finishedAt"]?.string, let time = KubeTime(text) else {
            return
        }
        if last.map({ $0 < time }) ?? true { last = time }
    }

    private static func reason(_ terminated: JSON) -> String {
        if let reason = terminated["reason"]?.string, !reason.isEmpty { return reason }
        if let signal = terminated["signal"]?.int, signal != 0 { return "Signal:\(signal)" }
        return "ExitCode:\(terminated["exitCode"]?.int ?? 0)"
    }

    private var cells: [JSON] {
        var restartText = String(restarts)
        if restarts != 0, let lastRestart {
            restartText += " (\(HumanDuration.text(seconds: pod.now.timeInterval(since: lastRestart))) ago)"
        }
        let address = pod.status?["podIPs"]?[0]?["ip"] ?? pod.status?["podIP"]
        return [
            pod.name, .string("\(ready)/\(total)"), .string(reason), .string(restartText), pod.age,
            pod.string(address, else: "<none>"), pod.string(pod.spec?["nodeName"], else: "<none>"),
            pod.string(pod.status?["nominatedNodeName"], else: "<none>"), readinessGates,
        ]
    }

    private var readinessGates: JSON {
        let gates = pod.spec?["readinessGates"]?.elements ?? []
        if gates.isEmpty { return "<none>" }
        let passed = gates.count { pod.condition($0["conditionType"]?.string ?? "")?["status"] == "True" }
        return .string("\(passed)/\(gates.count)")
    }

    @Sendable private static func conditions(_ pod: PrintedObject) -> JSON? {
        let (reason, message): (String, String)
        switch pod.status?["phase"]?.string {
        case "Succeeded": (reason, message) = ("Succeeded", "The pod has completed successfully.")
        case "Failed": (reason, message) = ("Failed", "The pod failed.")
        default: return nil
        }
        return [
            ["type": "Completed", "status": "True", "reason": .string(reason), "message": .string(message)]
        ]
    }
}
