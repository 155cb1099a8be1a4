// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import PKI
import Testing

@testable import Kubelet

@Suite("Pod state machine: probes and the end")
struct PodEndingTests {
    static let probed: JSON = [
        "terminationGracePeriodSeconds": 7,
        "containers": [
            [
                "name": "c", "image": "i", "readinessProbe": ["exec": ["command": ["true"]]],
                "livenessProbe": ["exec": ["command": ["true"]], "terminationGracePeriodSeconds": 2],
                "startupProbe": ["exec": ["command": ["true"]]],
            ]
        ],
    ]

    @Test("readiness and startup verdicts show in the status")
    func readiness() {
        var pod = MachineDriver(Self.probed)
        pod.prepare()
        pod.launch("c")
        #expect(pod.container("c")?["ready"] == false)
        #expect(pod.container("c")?["started"] == false)
        pod.handle(.probe("c", id: "c-0", .startup, success: true))
        #expect(pod.container("c")?["started"] == true)
        pod.handle(.probe("c", id: "c-0", .readiness, success: true))
        #expect(pod.container("c")?["ready"] == true)
        #expect(pod.condition("Ready")?["status"] == "True")
        pod.handle(.probe("c", id: "c-0", .readiness, success: false))
        #expect(pod.condition("Ready")?["status"] == "False")
    }

    @Test("a failed liveness probe stops the container with the probe's grace and restarts it")
    func liveness() {
        var pod = MachineDriver(Self.probed)
        pod.prepare()
        pod.launch("c")
        pod.handle(.probe("c", id: "c-0", .liveness, success: false))
        #expect(pod.actions.contains(.stopContainer("c", grace: 2, why: .livenessFailed)))
        pod.exit("c", 137)
        pod.handle(.stopFinished("c"))
        #expect(pod.starts("c"))
    }

    @Test("times that are as good as endless can be reckoned with")
    func endlessTimes() {
        var pod = MachineDriver([
            "terminationGracePeriodSeconds": .int(.max), "activeDeadlineSeconds": .int(.max),
            "containers": [["name": "c", "image": "i", "livenessProbe": ["exec": ["command": ["true"]]]]],
        ])
        pod.prepare()
        pod.launch("c")
        pod.handle(.probe("c", id: "c-0", .liveness, success: false))
        #expect(pod.actions.contains(.stopContainer("c", grace: Int(Int32.max), why: .livenessFailed)))
        let timing = ProbeTiming(["periodSeconds": .int(.max), "initialDelaySeconds": .int(.min)])
        #expect(timing.period == Int(Int32.max))
        #expect(timing.initialDelay == 0)
    }

    @Test("the verdict of an earlier instance counts for nothing")
    func staleVerdict() {
        var pod = MachineDriver(Self.probed)
        pod.prepare()
        pod.launch("c")
        pod.handle(.probe("c", id: "other", .liveness, success: false))
        #expect(pod.stops("c") == nil)
    }

    @Test("deletion stops, cleans up, then asks for the final delete")
    func deletion() {
        var pod = MachineDriver(PodMachineTests.one)
        pod.prepare()
        pod.launch("c")
        pod.delete(grace: 5)
        #expect(pod.stops("c") == 5)
        #expect(pod.status["phase"] == "Running")
        pod.handle(.tick)
        #expect(pod.stops("c") == nil)
        pod.exit("c", 143)
        #expect(!pod.starts("c"))
        pod.handle(.stopFinished("c"))
        #expect(pod.actions.contains(.removeSandbox) && pod.actions.contains(.unmountVolumes))
        #expect(!pod.actions.contains(.finishDeletion))
        pod.handle(.volumesRemoved)
        pod.handle(.sandboxRemoved)
        #expect(pod.actions.contains(.finishDeletion))
        #expect(pod.status["phase"] == "Failed")
        #expect(pod.machine.isFinished)
        pod.handle(.tick)
        #expect(pod.actions.isEmpty)
    }

    @Test("a shorter grace overrides the one that runs")
    func shorterGrace() {
        var pod = MachineDriver(PodMachineTests.one)
        pod.prepare()
        pod.launch("c")
        pod.delete(grace: 30)
        #expect(pod.stops("c") == 30)
        pod.delete(grace: 1)
        #expect(pod.stops("c") == 1)
    }

    @Test("a pod deleted before anything ran waits for what is under way, then goes")
    func deletedEarly() {
        var pod = MachineDriver(PodMachineTests.one)
        pod.delete(grace: 30)
        #expect(!pod.actions.contains(.removeSandbox))
        pod.handle(.volumesMounted)
        pod.handle(.sandboxReady(addresses: ["10.1.0.2"]))
        #expect(pod.actions.contains(.removeSandbox) && !pod.starts("c"))
        pod.handle(.sandboxRemoved)
        pod.handle(.volumesRemoved)
        #expect(pod.actions.contains(.finishDeletion))
    }

    @Test("a deletion during a start stops what has been launched")
    func deletedWhileStarting() {
        var pod = MachineDriver(PodMachineTests.one)
        pod.prepare()
        let instance = ContainerInstance(id: "c-0", attempt: 0, image: "", imageID: "", startedAt: 0)
        pod.handle(.launched("c", instance))
        pod.delete(grace: 3)
        #expect(pod.stops("c") == 3)
        pod.exit("c", 143)
        pod.handle(.startFinished("c", nil))
        pod.handle(.stopFinished("c"))
        #expect(pod.actions.contains(.removeSandbox))
    }

    @Test("a deletion during a pull cuts the start short, and only then cleans up")
    func deletedWhilePulling() {
        var pod = MachineDriver(PodMachineTests.one)
        pod.prepare()
        #expect(pod.starts("c"))
        pod.delete(grace: 30)
        #expect(pod.actions.contains(.cancelStart("c")))
        #expect(!pod.actions.contains(.removeSandbox))
        pod.handle(.startFinished("c", StartFailure(.create, "context canceled")))
        #expect(pod.events("Failed").isEmpty)
        #expect(pod.actions.contains(.removeSandbox) && pod.actions.contains(.unmountVolumes))
    }

    @Test("what a failed sandbox left is removed with the pod")
    func deletedAfterFailedSandbox() {
        var pod = MachineDriver(PodMachineTests.one)
        pod.handle(.volumesMounted)
        pod.handle(.sandboxFailed("no space left on device"))
        pod.delete(grace: 30)
        #expect(pod.actions.contains(.removeSandbox))
    }

    @Test("volumes of a pod that was deleted while nobody looked are taken down")
    func adoptedDeleted() {
        let metadata: JSON = ["deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30]
        let running = MachineDriver.pod(PodMachineTests.one, metadata: metadata, status: ["phase": "Running"])
        var machine = PodMachine(pod: running, startTime: 0)
        let now = Moment(wallSeconds: 0, uptimeMilliseconds: 0)
        let actions = machine.adopt([:], sandboxAddresses: nil, volumesReady: false, now: now)
        #expect(actions.contains(.unmountVolumes) && actions.contains(.removeSandbox))
        #expect(!actions.contains(.finishDeletion))
    }

    @Test("preStop hooks of sidecars run from the beginning, their stops come in order")
    func sidecarHooks() {
        let hook: JSON = ["preStop": ["exec": ["command": ["true"]]]]
        var pod = MachineDriver([
            "initContainers": [
                ["name": "s1", "image": "i", "restartPolicy": "Always", "lifecycle": hook],
                ["name": "s2", "image": "i", "restartPolicy": "Always", "lifecycle": hook],
            ],
            "containers": [["name": "c", "image": "i"]],
        ])
        pod.prepare()
        for name in ["s1", "s2", "c"] { pod.launch(name) }
        pod.delete(grace: 30)
        #expect(pod.actions.contains(.runPreStop("s1", grace: 30)))
        #expect(pod.actions.contains(.runPreStop("s2", grace: 30)))
        #expect(pod.stops("c") == 30 && pod.stops("s1") == nil && pod.stops("s2") == nil)
        pod.handle(.tick)
        #expect(!pod.actions.contains { if case .runPreStop = $0 { true } else { false } })
        pod.wait(seconds: 10)
        pod.exit("c", 0)
        pod.handle(.stopFinished("c"))
        #expect(pod.stops("s2") == nil && pod.wakeUpSeconds == 20)
        pod.handle(.preStopFinished("s2"))
        #expect(pod.stops("s2") == 20)
        pod.exit("s2", 0)
        pod.handle(.stopFinished("s2"))
        #expect(pod.stops("s1") == nil)
        // A hook that does not come to its end holds nothing up beyond the grace.
        pod.wait(seconds: 20)
        #expect(pod.stops("s1") == 2)
    }

    @Test("the active deadline does not depend on the wall clock while the agent runs")
    func deadlineAfterClockJump() {
        var spec = PodMachineTests.one
        spec["activeDeadlineSeconds"] = 60
        var pod = MachineDriver(spec)
        pod.prepare()
        pod.launch("c")
        pod.now.wallSeconds += 1_000_000
        pod.wait(seconds: 59)
        #expect(pod.stops("c") == nil && pod.wakeUpSeconds == 1)
        pod.now.wallSeconds -= 2_000_000
        pod.wait(seconds: 1)
        #expect(pod.stops("c") == 30)
    }

    @Test("time before the agent's start counts towards the active deadline if the clock was set")
    func adoptedDeadline() {
        func left(since startTime: Int64, now wall: Int64) -> Int64? {
            var spec = PodMachineTests.one
            spec["activeDeadlineSeconds"] = 60
            var machine = PodMachine(pod: MachineDriver.pod(spec), startTime: startTime)
            let now = Moment(wallSeconds: wall, uptimeMilliseconds: 5000)
            let actions = machine.adopt([:], sandboxAddresses: nil, volumesReady: false, now: now)
            for action in actions { if case .wakeUp(let uptime) = action { return (uptime - 5000) / 1000 } }
            return nil
        }
        let now = Validity.plausibleNow + 1000
        #expect(left(since: now - 20, now: now) == 40)
        #expect(left(since: now - 100, now: now) == nil)
        #expect(left(since: 30, now: now) == 60)
        #expect(left(since: now, now: 30) == 60)
    }

    @Test("the active deadline fails the pod")
    func deadline() {
        var spec = PodMachineTests.one
        spec["activeDeadlineSeconds"] = 60
        var pod = MachineDriver(spec)
        #expect(pod.wakeUpSeconds == 60)
        pod.prepare()
        pod.launch("c")
        pod.wait(seconds: 60)
        #expect(pod.stops("c") == 30)
        pod.exit("c", 143)
        pod.handle(.stopFinished("c"))
        #expect(pod.status["phase"] == "Failed")
        #expect(pod.status["reason"] == "DeadlineExceeded")
        #expect(!pod.actions.contains(.finishDeletion))
    }

    @Test("a refused pod fails without running")
    func rejected() {
        var machine = PodMachine(pod: MachineDriver.pod(PodMachineTests.one), startTime: 0)
        let now = Moment(wallSeconds: 0, uptimeMilliseconds: 0)
        let message = "Node didn't have enough resource: cpu"
        let actions = machine.reject(reason: "OutOfcpu", message: message, now: now)
        #expect(!actions.contains(.createSandbox))
        #expect(actions.contains(.event(isWarning: true, reason: "OutOfcpu", message: message, container: nil)))
        let status = PodStatusWriter(hostAddresses: []).status(of: machine, previous: .null, now: now)
        #expect(status["phase"] == "Failed")
        #expect(status["reason"] == "OutOfcpu")
        #expect(status["message"] == "Pod was rejected: Node didn't have enough resource: cpu")
    }

    @Test("a pod that had ended is not started again when the agent comes back")
    func adoptedTerminal() {
        let status: JSON = [
            "phase": "Succeeded",
            "containerStatuses": [
                [
                    "name": "c", "restartCount": 0, "containerID": "swiftlet://x",
                    "state": ["terminated": ["exitCode": 0, "reason": "Completed"]],
                ]
            ],
        ]
        var spec = PodMachineTests.one
        spec["restartPolicy"] = "Never"
        var machine = PodMachine(pod: MachineDriver.pod(spec, status: status), startTime: 0)
        let now = Moment(wallSeconds: 0, uptimeMilliseconds: 0)
        let actions = machine.adopt([:], sandboxAddresses: nil, volumesReady: false, now: now)
        #expect(!actions.contains(.createSandbox))
        let shown = PodStatusWriter(hostAddresses: []).status(of: machine, previous: status, now: now)
        #expect(shown["phase"] == "Succeeded")
        #expect(shown["containerStatuses"]?[0]?["state"]?["terminated"]?["reason"] == "Completed")
    }

    @Test("running containers are adopted as they are, without a restart")
    func adoptedRunning() {
        let status: JSON = ["phase": "Running", "containerStatuses": [["name": "c", "ready": true, "started": true]]]
        var machine = PodMachine(pod: MachineDriver.pod(Self.probed, status: status), startTime: 0)
        let now = Moment(wallSeconds: 5, uptimeMilliseconds: 5)
        let actions = machine.adopt(
            ["c": [.init(id: "c-3", attempt: 3, image: "i", imageID: "", startedAt: 1)]],
            sandboxAddresses: ["10.1.0.9"], volumesReady: true, now: now)
        #expect(actions.contains(.startProbes("c")))
        #expect(!actions.contains { if case .startContainer = $0 { true } else { false } })
        #expect(machine.isReady("c"))
        #expect(machine.facts["c"]?.restartCount == 3)
    }
}
