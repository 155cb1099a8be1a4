// SPDX-License-Identifier: Apache-2.0

package import HostChecks
package import JSON

/// One thing that `swiftlet inspect` found to be wrong, and what to do.
package struct InspectionFinding: Sendable, Hashable {
    package var severity: Finding.Severity
    /// What it is about: `agent`, `node board1`, `pod default/web`, `certificate apiserver`.
    package var subject: String
    /// What is wrong, a sentence without full stop.
    package var summary: String
    package var remedy: String

    package init(_ severity: Finding.Severity, _ subject: String, _ summary: String, remedy: String) {
        self.severity = severity
        self.subject = subject
        self.summary = summary
        self.remedy = remedy
    }

    package var json: JSON {
        [
            "severity": .string(severity.rawValue), "subject": .string(subject), "summary": .string(summary),
            "remedy": .string(remedy),
        ]
    }
}

/// Judges what was collected. Pure: everything comes in as values.
enum InspectionJudgement {
    /// Restarts from which on a container is told of although it runs now.
    private static let manyRestarts = 10
    /// What to do about a certificate that the agent did not renew.
    private static let renewal = "'swiftlet certificates renew'; 'journalctl -u swiftlet -p warning' tells what kept it"
    /// Reasons for which a container waits that do not pass by themselves.
    private static let stuck: Set<String> = [
        "CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName",
        "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
    ]

    /// - Parameters:
    ///   - isAgentRunning: whether the agent's process is there.
    ///   - nodes, pods: overviews of the objects, empty where the API does not answer.
    static func findings(
        status: NodeStatusReport, isAgentRunning: Bool, checks: [Finding], nodes: [JSON], pods: [JSON]
    ) -> [InspectionFinding] {
        var all = agent(status, isAgentRunning)
        all += checks.filter { $0.severity >= .warning }.map {
            InspectionFinding($0.severity, "check \($0.id)", $0.summary, remedy: $0.remedy)
        }
        all += status.local.certificates.compactMap(certificate)
        all += nodes.flatMap(node)
        all += pods.flatMap(pod)
        return all.sorted { $0.severity > $1.severity }
    }

    private static func agent(_ status: NodeStatusReport, _ isRunning: Bool) -> [InspectionFinding] {
        if !isRunning {
            return [
                InspectionFinding(
                    .error, "agent", "The agent does not run; containers go on without it",
                    remedy: "swiftlet start; why it ended stands in 'journalctl -u swiftlet -e'")
            ]
        }
        guard !status.apiAnswers else { return [] }
        return [
            InspectionFinding(
                .error, "api", "The Kubernetes API does not answer: \(status.apiError)",
                remedy: "See 'journalctl -u swiftlet -p warning'; on a worker look at the control plane first")
        ]
    }

    private static func certificate(_ life: LocalStatus.CertificateLife) -> InspectionFinding? {
        let subject = "certificate \(life.name)"
        if life.state.isBad {
            let reason = life.reason.isEmpty ? "" : ": \(life.reason)"
            let isOfAge = life.state == .expired || life.state == .notYetValid
            return InspectionFinding(
                .error, subject, "It is \(life.state.rawValue)\(reason)",
                remedy: isOfAge ? "Check the clock (timedatectl), then 'swiftlet certificates renew'" : renewal)
        }
        guard life.isLate else { return nil }
        return InspectionFinding(
            .warning, subject, "It should have been renewed, and expires in \(life.remainingDays ?? 0) days",
            remedy: renewal)
    }

    private static func node(_ node: JSON) -> [InspectionFinding] {
        let subject = "node \(node["name"]?.string ?? "")"
        return (node["conditions"]?.elements ?? []).compactMap { condition in
            let (type, value) = (condition["type"]?.string ?? "", condition["status"]?.string ?? "")
            let message = condition["message"]?.string ?? ""
            if type == "Ready" {
                guard value != "True" else { return nil }
                return InspectionFinding(
                    .error, subject, "It is not ready: \(message)",
                    remedy: "On that machine: swiftlet status, and swiftlet inspect")
            }
            guard value == "True" else { return nil }
            return InspectionFinding(
                .warning, subject, "\(type): \(message)",
                remedy: type == "HostProblem" ? "On that machine: swiftlet check" : "kubectl describe \(subject)")
        }
    }

    private static func pod(_ pod: JSON) -> [InspectionFinding] {
        let (namespace, name) = (pod["namespace"]?.string ?? "", pod["name"]?.string ?? "")
        let subject = "pod \(namespace)/\(name)"
        var found: [InspectionFinding] = []
        if let condition = pod["conditions"]?.elements.first(where: {
            $0["type"]?.string == "PodScheduled" && $0["status"]?.string == "False"
        }) {
            found.append(
                InspectionFinding(
                    .warning, subject, "No node takes it: \(condition["message"]?.string ?? "")",
                    remedy: "The message counts the reasons: requests, taints, selectors, claims"))
        }
        for container in pod["containers"]?.elements ?? [] {
            found += Self.container(container, subject, "kubectl logs --previous -n \(namespace) \(name)")
        }
        return found
    }

    private static func container(_ container: JSON, _ subject: String, _ logs: String) -> [InspectionFinding] {
        let name = container["name"]?.string ?? ""
        let last = container["lastState"]?["terminated"]
        let end =
            last.map { " (last end: \($0["reason"]?.string ?? "?"), exit code \($0["exitCode"]?.int ?? 0))" } ?? ""
        if let reason = container["state"]?["waiting"]?["reason"]?.string, stuck.contains(reason) {
            return [
                InspectionFinding(
                    .warning, subject, "Container \(name) waits with \(reason)\(end)",
                    remedy: reason == "CrashLoopBackOff" ? "\(logs) -c \(name)" : "kubectl describe \(subject)")
            ]
        }
        if last?["reason"]?.string == "OOMKilled" {
            return [
                InspectionFinding(
                    .warning, subject, "Container \(name) ran out of memory",
                    remedy: "Raise its memory limit, or let it use less")
            ]
        }
        guard let restarts = container["restartCount"]?.int, restarts >= manyRestarts else { return [] }
        return [
            InspectionFinding(
                .info, subject, "Container \(name) has been restarted \(restarts) times\(end)",
                remedy: "\(logs) -c \(name)")
        ]
    }
}
