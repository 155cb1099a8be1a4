// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import LinuxSystem
import PodRuntime
import Synchronization
import Testing

@testable import Kubelet

@Suite("A node with real containers", .serialized, .enabled(if: NodeFixture.isPossible))
struct NodeTests {
    @Test("problems of the machine come and go in condition and events")
    func hostProblems() async throws {
        let node = try await NodeFixture("problems", subnet: 3)
        let runtime = try node.makeRuntime()
        @Sendable func condition(_ object: KubeObject?) -> (status: String?, reason: String?) {
            let all = object?.status["conditions"]?.elements ?? []
            let found = all.first { $0["type"]?.string == "HostProblem" }
            return (found?["status"]?.string, found?["reason"]?.string)
        }
        try await node.withKubelet(runtime) { (kubelet: Kubelet) in
            let key = ObjectKey(name: "n1")
            _ = try await node.cluster.wait(.nodes, key) { condition($0).status == "False" }
            // The API knows the Node a moment before the kubelet has the answer.
            while kubelet.node == nil { await Task.yield() }
            await kubelet.hostProblemsChanged(to: [.init(reason: "UnderVoltage", message: "Too low")])
            // Told at once, and not with the next status.
            let low = try await node.cluster.get(.nodes, namespace: nil, name: "n1")
            #expect(condition(low) == ("True", "UnderVoltage"))
            await kubelet.hostProblemsChanged(to: [])
            let good = try await node.cluster.get(.nodes, namespace: nil, name: "n1")
            #expect(condition(good).status == "False")
            func messages() -> Set<String> {
                node.cluster.state.withLock { state in
                    Set(state.objects.values.filter { $0.kind == "Event" }.compactMap { $0.json["message"]?.string })
                }
            }
            while !messages().isSuperset(of: ["Too low", "UnderVoltage is no longer so."]) {
                try await Task.sleep(for: .milliseconds(2))
            }
        }
        try await node.tearDown(runtime)
    }

    @Test("a pod runs, is probed, writes its log, and goes")
    func life() async throws {
        let node = try await NodeFixture("life", subnet: 1)
        try await node.importImage()
        let runtime = try node.makeRuntime()
        do {
            try await node.withKubelet(runtime) {
                _ = try await node.cluster.wait(.nodes, ObjectKey(name: "n1")) { $0 != nil }
                let began = ContinuousClock.now
                try await node.createPod(
                    "web",
                    [
                        "command": ["sh", "-c", "echo hello; trap '' TERM; while :; do sleep 1; done"],
                        "readinessProbe": ["exec": ["command": ["true"]], "periodSeconds": 1],
                    ])
                let ready = try await node.cluster.wait(.pods, node.key("web")) { NodeFixture.isReady($0) }
                print("MEASURED created to ready:", ContinuousClock.now - began)
                #expect(ready?.status["phase"] == "Running")
                #expect(ready?.status["podIP"]?.string?.hasPrefix("10.99.1.") == true)
                let uid = "uid-web"
                let record = try #require(runtime.records(of: uid).first)
                let result = try await runtime.execute(record.id, command: ["sh", "-c", "echo out; exit 3"])
                #expect(result == CommandResult(exitCode: 3, output: Array("out\n".utf8)))
                let log = String(decoding: try Files.read(record.logPath), as: UTF8.self)
                #expect(log.hasSuffix(" stdout F hello\n"))
                try await node.checkStreams(runtime, record.id)
                let deleted = ContinuousClock.now
                try await node.cluster.delete(
                    .pods, namespace: "default", name: "web", options: DeleteOptions(gracePeriodSeconds: 1))
                _ = try await node.cluster.wait(.pods, node.key("web")) { $0 == nil }
                print("MEASURED deleted to gone:", ContinuousClock.now - deleted)
                #expect(!Files.exists(record.logPath))
                #expect(runtime.podUIDs().isEmpty)
            }
        } catch {
            Issue.record("\(error)")
        }
        try await node.tearDown(runtime)
    }

    @Test("containers are adopted by the next run, restarts counted, exit codes kept")
    func adoption() async throws {
        let node = try await NodeFixture("adopt", subnet: 2)
        try await node.importImage()
        let runtime = try node.makeRuntime()
        let before = Mutex("")
        do {
            try await node.withKubelet(runtime) {
                try await node.createPod("stay", ["command": ["sleep", "1000"]])
                try await node.createPod(
                    "fails", ["command": ["sh", "-c", "echo gone > /dev/termination-log; exit 7"]])
                let stay = try await node.cluster.wait(.pods, node.key("stay")) { NodeFixture.isReady($0) }
                before.withLock { $0 = stay?.status["containerStatuses"]?[0]?["containerID"]?.string ?? "" }
                let failed = try await node.cluster.wait(.pods, node.key("fails")) {
                    $0?.status["containerStatuses"]?[0]?["state"]?["waiting"]?["reason"] == "CrashLoopBackOff"
                }
                let status = failed?.status["containerStatuses"]?[0]
                #expect(status?["restartCount"] == 1)
                #expect(status?["lastState"]?["terminated"]?["exitCode"] == 7)
                #expect(status?["lastState"]?["terminated"]?["message"] == "gone\n")
            }
            let next = try node.makeRuntime()
            try await node.withKubelet(next) {
                try await Task.sleep(for: .seconds(1))
                let stay = try await node.cluster.wait(.pods, node.key("stay")) { NodeFixture.isReady($0) }
                let after = stay?.status["containerStatuses"]?[0]
                #expect(after?["containerID"]?.string == before.withLock { $0 })
                #expect(after?["restartCount"] == 0)
                for name in ["stay", "fails"] {
                    try await node.cluster.delete(
                        .pods, namespace: "default", name: name, options: DeleteOptions(gracePeriodSeconds: 1))
                }
                _ = try await node.cluster.wait(.pods, node.key("stay")) { $0 == nil }
                _ = try await node.cluster.wait(.pods, node.key("fails")) { $0 == nil }
            }
        } catch {
            Issue.record("\(error)")
        }
        try await node.tearDown(runtime)
    }
}
