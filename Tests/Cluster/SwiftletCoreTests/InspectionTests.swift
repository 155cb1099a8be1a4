// SPDX-License-Identifier: Apache-2.0

import HostChecks
import JSON
import KubeAPI
import Testing

@testable import SwiftletCore

@Suite struct InspectionTests {
    private func status(answers: Bool = true, certificate: LocalStatus.CertificateLife? = nil) -> NodeStatusReport {
        var report = NodeStatusReport(
            apiAnswers: answers, apiError: answers ? "" : "connection refused", nodeName: "a", isReady: true,
            readyMessage: "", pods: 0, runningPods: 0)
        report.local.certificates = [certificate ?? .init(name: "apiserver", state: .due)]
        return report
    }

    private func subjects(_ findings: [InspectionFinding]) -> [String] {
        findings.map { "\($0.severity.rawValue) \($0.subject)" }
    }

    @Test func aGoodNodeHasNoFindings() {
        let node: JSON = ["name": "a", "conditions": [["type": "Ready", "status": "True"]]]
        let pod: JSON = [
            "name": "web", "namespace": "default", "conditions": [["type": "PodScheduled", "status": "True"]],
            "containers": [["name": "c", "restartCount": 1, "state": ["running": [:]]]],
        ]
        let findings = InspectionJudgement.findings(
            status: status(), isAgentRunning: true, checks: [Finding("ClockSet", .clock, .ok, "fine")], nodes: [node],
            pods: [pod])
        #expect(findings.isEmpty)
    }

    @Test func troubleIsFoundTheWorstFirst() {
        let nodes: [JSON] = [
            ["name": "b", "conditions": [["type": "Ready", "status": "Unknown", "message": "silent"]]],
            ["name": "c", "conditions": [["type": "DiskPressure", "status": "True", "message": "full"]]],
        ]
        func pod(_ name: String, _ container: JSON) -> JSON {
            ["name": .string(name), "namespace": "default", "containers": [container]]
        }
        let end: JSON = ["terminated": ["reason": "Error", "exitCode": 3]]
        let pods = [
            pod("loop", ["name": "c", "state": ["waiting": ["reason": "CrashLoopBackOff"]], "lastState": end]),
            pod("oom", ["name": "c", "lastState": ["terminated": ["reason": "OOMKilled"]]]),
            pod("often", ["name": "c", "restartCount": 40]),
            ["name": "homeless", "conditions": [["type": "PodScheduled", "status": "False", "message": "0/1 nodes"]]],
        ]
        let checks = [Finding("DiskAlmostFull", .storage, .warning, "Only 3 MiB are free", remedy: "Free some")]
        let findings = InspectionJudgement.findings(
            status: status(certificate: .init(name: "apiserver", state: .untrusted, reason: "no such authority")),
            isAgentRunning: true, checks: checks, nodes: nodes, pods: pods)
        #expect(
            subjects(findings) == [
                "error certificate apiserver", "error node b", "warning check DiskAlmostFull", "warning node c",
                "warning pod default/loop", "warning pod default/oom", "warning pod /homeless",
                "info pod default/often",
            ])
        #expect(
            findings.first { $0.subject == "certificate apiserver" }?.summary == "It is untrusted: no such authority")
        #expect(
            findings.first { $0.subject == "pod default/loop" }?.summary
                == "Container c waits with CrashLoopBackOff (last end: Error, exit code 3)")
    }

    @Test func anAgentThatIsAwayIsOneFinding() {
        let away = InspectionJudgement.findings(
            status: status(answers: false), isAgentRunning: false, checks: [], nodes: [], pods: [])
        #expect(subjects(away) == ["error agent"])
        let deaf = InspectionJudgement.findings(
            status: status(answers: false, certificate: .init(name: "apiserver", state: .due, isLate: true)),
            isAgentRunning: true, checks: [], nodes: [], pods: [])
        #expect(subjects(deaf) == ["error api", "warning certificate apiserver"])
    }

    /// What is not named is not shown: a pod full of secrets has none in its overview.
    @Test func overviewsShowOnlyWhatIsNamed() {
        let pod = KubeObject([
            "apiVersion": "v1", "kind": "Pod",
            "metadata": [
                "name": "web", "namespace": "default", "annotations": ["a": "planted"], "labels": ["a": "planted"],
            ],
            "spec": [
                "nodeName": "a",
                "containers": [["name": "c", "args": ["planted"], "env": [["name": "A", "value": "planted"]]]],
            ],
            "status": [
                "phase": "Running", "message": "planted",
                "containerStatuses": [
                    [
                        "name": "c", "image": "i", "ready": false, "restartCount": 2,
                        "lastState": ["terminated": ["exitCode": 1, "reason": "Error", "message": "planted"]],
                    ]
                ],
            ],
        ])
        let shown = ObjectOverview.kinds.first { $0.resource.resource == "pods" }?.show(pod) ?? .null
        #expect(!shown.text().contains("planted"))
        #expect(shown["containers"]?.elements.first?["lastState"]?["terminated"]?["exitCode"]?.int == 1)
        #expect(shown["node"] == "a")
    }

    @Test func secretsOfPodsAndSecretsAreGathered() {
        var secrets = SecretCollection()
        secrets.add(["kind": "Secret", "data": ["password": "cGxhbnRlZC0xMjM="]])
        secrets.add(["kind": "ConfigMap", "data": ["text": "ordinary text"]])
        secrets.add([
            "spec": [
                "containers": [
                    [
                        "env": [
                            ["name": "DB_PASSWORD", "value": "planted-456"],
                            ["name": "MODE", "value": "ordinary mode"],
                            ["name": "DB", "value": "db:planted@host"],
                        ]
                    ]
                ]
            ]
        ])
        let redaction = Redaction(secrets.known)
        #expect(redaction.clean("planted-123 cGxhbnRlZC0xMjM=") == "[removed] [removed]")
        #expect(redaction.clean("planted-456 db:planted@host") == "[removed] [removed]")
        #expect(redaction.clean("ordinary text, ordinary mode") == "ordinary text, ordinary mode")
    }
}
