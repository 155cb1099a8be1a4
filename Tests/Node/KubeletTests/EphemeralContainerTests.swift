// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

@testable import Kubelet

@Suite("Ephemeral containers")
struct EphemeralContainerTests {
    private static let debugger: JSON = ["name": "dbg", "image": "tools:1", "targetContainerName": "c"]
    private static let plain: JSON = ["restartPolicy": "Never", "containers": [["name": "c", "image": "img:1"]]]

    /// The pod's spec with a debugger put into it.
    private static func debugged(_ spec: JSON) -> JSON {
        var spec = spec
        spec["ephemeralContainers"] = [debugger]
        return spec
    }

    private static func running() -> MachineDriver {
        var pod = MachineDriver(plain)
        pod.prepare()
        pod.launch("c")
        pod.handle(.podUpdated(MachineDriver.pod(debugged(plain))))
        return pod
    }

    private func state(_ pod: MachineDriver) -> JSON? { pod.status["ephemeralContainerStatuses"]?[0]?["state"] }

    @Test("one that is put into a running pod starts, with a status of its own that the pod's does not depend on")
    func starts() {
        var pod = Self.running()
        #expect(pod.starts("dbg"))
        #expect(state(pod) == ["waiting": ["reason": "ContainerCreating"]])
        #expect(pod.condition("Ready")?["status"] == "True")
        pod.launch("dbg")
        #expect(state(pod) == ["running": ["startedAt": "2026-01-01T00:00:00Z"]])
        let status = pod.status["ephemeralContainerStatuses"]?[0]
        #expect(status?["ready"] == false)
        #expect(status?["started"] == nil)
        #expect(status?["containerID"] == "swiftlet://dbg-0")
        #expect(pod.status["containerStatuses"]?.elements.count == 1)
        #expect(pod.condition("ContainersReady")?["status"] == "True")
        #expect(pod.status["qosClass"] == "BestEffort")
    }

    @Test("one that ended is not started again")
    func runsOnce() {
        var spec = Self.plain
        spec["restartPolicy"] = "Always"
        var pod = MachineDriver(Self.debugged(spec))
        pod.prepare()
        pod.launch("c")
        pod.launch("dbg")
        pod.exit("dbg", 4)
        pod.wait(seconds: 1000)
        #expect(!pod.starts("dbg"))
        #expect(state(pod)?["terminated"]?["exitCode"] == 4)
        #expect(pod.status["phase"] == "Running")
        #expect(pod.condition("Ready")?["status"] == "True")
    }

    @Test("one that cannot be pulled is tried again, and shows why it waits")
    func retriesPulls() {
        var pod = Self.running()
        pod.handle(.startFinished("dbg", StartFailure(.pull, "no such image")))
        #expect(state(pod)?["waiting"]?["reason"] == "ErrImagePull")
        #expect(pod.condition("Ready")?["status"] == "True")
        pod.wait(seconds: 2)
        #expect(state(pod)?["waiting"]?["reason"] == "ImagePullBackOff")
        pod.wait(seconds: 10)
        #expect(pod.starts("dbg"))
    }

    @Test("one starts while init containers run")
    func startsBesideInitContainers() {
        var spec = Self.plain
        spec["initContainers"] = [["name": "i", "image": "img:1"]]
        var pod = MachineDriver(Self.debugged(spec))
        pod.prepare()
        #expect(pod.starts("dbg"))
        #expect(pod.starts("i"))
        #expect(!pod.starts("c"))
        pod.launch("dbg")
        #expect(pod.status["phase"] == "Pending")
        pod.launch("i")
        pod.exit("i", 0)
        #expect(pod.starts("c"))
    }

    @Test("one that runs is stopped when the main containers are done, and does not count for the phase")
    func endsWithThePod() {
        var pod = Self.running()
        pod.launch("dbg")
        pod.exit("c", 0)
        #expect(pod.stops("dbg") == 30)
        #expect(pod.status["phase"] == "Running")
        pod.exit("dbg", 137)
        pod.handle(.stopFinished("dbg"))
        #expect(pod.status["phase"] == "Succeeded")
        #expect(state(pod)?["terminated"]?["exitCode"] == 137)
    }

    @Test("one that a power cut ended stays ended")
    func isNotRunAgainAfterAPowerCut() {
        let reported: JSON = [
            "phase": "Running",
            "ephemeralContainerStatuses": [
                ["name": "dbg", "restartCount": 0, "state": ["running": ["startedAt": "2026-01-01T00:00:00Z"]]]
            ],
        ]
        let pod = MachineDriver.pod(Self.debugged(Self.plain), status: reported)
        var machine = PodMachine(pod: pod, startTime: 0)
        let now = Moment(wallSeconds: 1_767_225_600, uptimeMilliseconds: 1000)
        _ = machine.adopt([:], sandboxAddresses: nil, volumesReady: false, now: now)
        _ = machine.handle(.sandboxReady(addresses: ["10.1.0.2"]), now: now)
        let actions = machine.handle(.volumesMounted, now: now)
        #expect(actions.contains(.startContainer("c", attempt: 0)))
        #expect(!actions.contains(.startContainer("dbg", attempt: 0)))
        #expect(machine.facts["dbg"]?.current?.exit?.reason == "ContainerStatusUnknown")
    }
}
