// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

@testable import Kubelet

@Suite struct CriticalPreemptionTests {
    private static let critical = 2_000_001_000

    private func pod(
        _ name: String, priority: Int = 0, cpu: String? = nil, isGuaranteed: Bool = false, dongles: Int? = nil,
        port: Int? = nil
    ) -> Pod {
        var requests: JSON = [:]
        var limits: JSON = [:]
        if let cpu { requests["cpu"] = .string(cpu) }
        if isGuaranteed { requests["memory"] = "1Mi" }
        if isGuaranteed { limits = requests }
        if let dongles { requests["example.com/dongle"] = .string("\(dongles)") }
        var container: JSON = ["name": "c", "resources": ["requests": requests, "limits": limits]]
        if let port { container["ports"] = [["hostPort": JSON(port)]] }
        return MachineDriver.pod(
            ["priority": JSON(priority), "containers": [container]],
            metadata: ["name": .string(name), "uid": .string(name)])
    }

    private func verdict(on pod: Pod, others: Pod..., maxPods: Int = 110) -> String {
        var machine = MachineFacts()
        machine.cpus = 2
        machine.memory = 1 << 30
        var configuration = KubeletConfiguration(
            nodeName: "n", hostname: "n", addresses: [], stateDirectory: "", runDirectory: "", version: "v1.36.0",
            runtimeVersion: "0")
        configuration.maxPods = maxPods
        let admission = NodeAdmission(
            configuration: configuration, machine: machine, extended: ["example.com/dongle": 4])
        switch admission.verdict(on: pod, others: others) {
        case .admitted: return "admitted"
        case .refused(let refusal): return refusal.reason
        case .admittedAfter(let victims): return "after " + victims.map(\.name).joined(separator: " ")
        }
    }

    @Test("pods go only for one that the cluster cannot do without")
    func onlyForCriticalPods() {
        let other = pod("other", cpu: "1500m")
        #expect(verdict(on: pod("p", priority: 1000, cpu: "1"), others: other) == "OutOfcpu")
        #expect(verdict(on: pod("p", priority: Self.critical, cpu: "1"), others: other) == "after other")
        #expect(verdict(on: pod("p", priority: Self.critical, cpu: "500m"), others: other) == "admitted")
        let equal = pod("equal", priority: Self.critical, cpu: "1500m")
        #expect(verdict(on: pod("p", priority: Self.critical, cpu: "1"), others: equal) == "UnexpectedAdmissionError")
        #expect(
            verdict(on: pod("p", priority: Self.critical, cpu: "1", port: 80), others: other, pod("web", port: 80))
                == "NodePorts")
    }

    @Test("as few as possible go, those with the fewest promises first")
    func choice() {
        let incoming = pod("p", priority: Self.critical, cpu: "1")
        let small = pod("small", cpu: "300m")
        let fitting = pod("fitting", cpu: "700m")
        let promised = pod("promised", cpu: "1", isGuaranteed: true)
        #expect(verdict(on: incoming, others: small, fitting, promised) == "after fitting small")
        #expect(
            verdict(on: pod("p", priority: Self.critical, cpu: "700m"), others: small, fitting, promised)
                == "after fitting")
        #expect(
            verdict(on: pod("p", priority: Self.critical, cpu: "1500m"), others: small, fitting, promised)
                == "after fitting promised")
    }

    @Test("what others have given the node counts as well, and so does the number of pods")
    func otherResources() {
        #expect(verdict(on: pod("p", dongles: 5)) == "OutOfexample.com/dongle")
        let incoming = pod("p", priority: Self.critical, dongles: 2)
        #expect(verdict(on: incoming, others: pod("idle"), pod("holder", dongles: 3)) == "after holder")
        #expect(verdict(on: pod("p", priority: Self.critical), others: pod("idle"), maxPods: 1) == "after idle")
    }

    @Test("a victim says why it went")
    func victims() {
        var driver = MachineDriver(["containers": [["name": "c"]]])
        driver.handle(
            .evicted(reason: CriticalPreemption.reason, message: CriticalPreemption.message, grace: 1))
        #expect(driver.status["reason"] == "Preempting")
        #expect(driver.status["message"] == "Preempted in order to admit critical pod")
        let condition = driver.status["conditions"]?.elements.first { $0["type"] == "DisruptionTarget" }
        #expect(condition?["reason"] == "TerminationByKubelet")
        #expect(condition?["message"] == "Pod was preempted by Kubelet to accommodate a critical pod.")
    }
}
