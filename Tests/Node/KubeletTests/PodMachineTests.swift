// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

@testable import Kubelet

@Suite("Pod state machine: starting and restarting")
struct PodMachineTests {
    static let one: JSON = ["containers": [["name": "c", "image": "img:1"]]]

    @Test("sandbox and volumes are prepared side by side, then the container starts")
    func startsInOrder() {
        var pod = MachineDriver(Self.one)
        #expect(pod.actions.contains(.createSandbox))
        #expect(pod.actions.contains(.mountVolumes))
        #expect(!pod.starts("c"))
        pod.handle(.sandboxReady(addresses: ["10.1.0.2"]))
        #expect(!pod.starts("c"))
        pod.handle(.volumesMounted)
        #expect(pod.starts("c"))
        pod.handle(.tick)
        #expect(pod.actions.isEmpty)
    }

    @Test("a started container makes the pod running and ready, with upstream's conditions")
    func becomesReady() {
        var pod = MachineDriver(Self.one)
        pod.refresh()
        #expect(pod.status["phase"] == "Pending")
        #expect(pod.container("c")?["state"] == ["waiting": ["reason": "ContainerCreating"]])
        #expect(pod.condition("Ready")?["message"] == "containers with unready status: [c]")
        #expect(pod.condition("Ready")?["reason"] == "ContainersNotReady")
        #expect(pod.condition("PodReadyToStartContainers")?["status"] == "False")
        pod.prepare()
        pod.launch("c")
        #expect(pod.actions.contains(.startProbes("c")))
        #expect(pod.status["phase"] == "Running")
        #expect(pod.status["podIP"] == "10.1.0.2")
        #expect(pod.status["podIPs"] == [["ip": "10.1.0.2"]])
        for type in ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"] {
            #expect(pod.condition(type)?["status"] == "True", "\(type)")
        }
        #expect(pod.container("c")?["state"] == ["running": ["startedAt": "2026-01-01T00:00:00Z"]])
        #expect(pod.container("c")?["containerID"] == "swiftlet://c-0")
        #expect(pod.container("c")?["started"] == true)
    }

    @Test("the status says whom a container runs as")
    func user() {
        var pod = MachineDriver(Self.one)
        pod.prepare()
        var instance = ContainerInstance(id: "c-0", attempt: 0, image: "img", imageID: "", startedAt: 0)
        instance.user = ContainerUser(uid: 7, gid: 8, supplementaryGroups: [8, 9])
        pod.handle(.launched("c", instance))
        pod.handle(.startFinished("c", nil))
        #expect(
            pod.container("c")?["user"] == ["linux": ["uid": 7, "gid": 8, "supplementalGroups": [8, 9]]])
    }

    @Test("the transition time of a condition that did not change is kept")
    func keepsTransitionTime() {
        var pod = MachineDriver(Self.one)
        pod.prepare()
        pod.launch("c")
        pod.wait(seconds: 5)
        pod.exit("c", 1)
        #expect(pod.condition("Initialized")?["lastTransitionTime"] == "2026-01-01T00:00:00Z")
        #expect(pod.condition("Ready")?["lastTransitionTime"] == "2026-01-01T00:00:05Z")
    }

    @Test("restarts wait 0, 10, 20, 40 ... at most 300 seconds")
    func crashLoop() {
        var pod = MachineDriver(Self.one)
        pod.prepare()
        pod.launch("c")
        pod.exit("c", 1)
        #expect(pod.starts("c"))
        for wait: Int64 in [10, 20, 40, 80, 160, 300, 300] {
            pod.launch("c")
            pod.exit("c", 1)
            #expect(!pod.starts("c"))
            #expect(pod.wakeUpSeconds == wait)
            pod.wait(seconds: wait)
            #expect(pod.starts("c"))
        }
    }

    @Test("the wait starts over after ten minutes of running")
    func backoffResets() {
        var pod = MachineDriver(Self.one)
        pod.prepare()
        pod.launch("c")
        pod.exit("c", 1)
        pod.launch("c")
        pod.wait(seconds: 601)
        pod.exit("c", 1)
        #expect(pod.starts("c"))
        pod.launch("c")
        pod.exit("c", 1)
        #expect(pod.wakeUpSeconds == 10)
    }

    @Test("CrashLoopBackOff shows the wait, the last state and one event")
    func crashLoopStatus() {
        var pod = MachineDriver(Self.one)
        pod.prepare()
        pod.launch("c")
        pod.exit("c", 3)
        pod.launch("c")
        pod.exit("c", 3)
        #expect(pod.events("BackOff") == ["Back-off restarting failed container c in pod p_default(u1)"])
        pod.handle(.tick)
        #expect(pod.events("BackOff").isEmpty)
        let waiting = pod.container("c")?["state"]?["waiting"]
        #expect(waiting?["reason"] == "CrashLoopBackOff")
        #expect(waiting?["message"] == "back-off 10s restarting failed container=c pod=p_default(u1)")
        #expect(pod.container("c")?["lastState"]?["terminated"]?["exitCode"] == 3)
        #expect(pod.container("c")?["lastState"]?["terminated"]?["reason"] == "Error")
        #expect(pod.container("c")?["restartCount"] == 1)
        #expect(pod.status["phase"] == "Running")
    }

    @Test("the third instance makes the first one's remains go")
    func removesOldInstances() {
        var pod = MachineDriver(Self.one)
        pod.prepare()
        pod.launch("c")
        pod.exit("c", 1)
        pod.launch("c")
        pod.exit("c", 1)
        pod.wait(seconds: 10)
        let third = ContainerInstance(id: "c-2", attempt: 2, image: "img", imageID: "", startedAt: 0)
        pod.handle(.launched("c", third))
        #expect(pod.actions.contains(.removeInstance(id: "c-0")))
    }

    @Test(
        "restart policies decide the phase",
        arguments: [
            ("Never", 0, "Succeeded"), ("Never", 1, "Failed"), ("OnFailure", 0, "Succeeded"),
            ("OnFailure", 1, "Running"), ("Always", 0, "Running"),
        ])
    func policies(policy: String, code: Int, phase: String) {
        var spec = Self.one
        spec["restartPolicy"] = .string(policy)
        var pod = MachineDriver(spec)
        pod.prepare()
        pod.launch("c")
        pod.exit("c", code)
        #expect(pod.status["phase"] == .string(phase))
        #expect(pod.starts("c") == (phase == "Running"))
        #expect(pod.actions.contains(.removeSandbox) == (phase != "Running"))
        #expect(pod.condition("Ready")?["status"] == "False")
        if phase == "Succeeded" { #expect(pod.condition("Initialized")?["reason"] == "PodCompleted") }
        if phase == "Failed" { #expect(pod.condition("Ready")?["reason"] == "PodFailed") }
    }

    @Test("a container's own rules override its policy")
    func restartRules() {
        let rules: JSON = [
            "name": "c", "image": "i", "restartPolicy": "Never",
            "restartPolicyRules": [
                ["action": "Restart", "exitCodes": ["operator": "In", "values": [42]]]
            ],
        ]
        let container = PodContainer(rules, kind: .main, podPolicy: .never)
        #expect(container.restarts(afterExit: 42))
        #expect(!container.restarts(afterExit: 1))
    }

    @Test("a failed pull shows ErrImagePull, then ImagePullBackOff, and is tried again")
    func imagePull() {
        var pod = MachineDriver(Self.one)
        pod.prepare()
        pod.handle(.startFinished("c", StartFailure(.pull, "no such host")))
        #expect(pod.events("Failed") == ["Error: ErrImagePull"])
        #expect(
            pod.container("c")?["state"]
                == ["waiting": ["reason": "ErrImagePull", "message": "no such host"]])
        pod.wait(seconds: 2)
        let waiting = pod.container("c")?["state"]?["waiting"]
        #expect(waiting?["reason"] == "ImagePullBackOff")
        #expect(waiting?["message"] == "Back-off pulling image \"img:1\": ErrImagePull: no such host")
        #expect(pod.events("Failed") == ["Error: ImagePullBackOff"])
        pod.wait(seconds: 8)
        #expect(pod.starts("c"))
        pod.handle(.startFinished("c", StartFailure(.pull, "no such host")))
        pod.wait(seconds: 10)
        #expect(!pod.starts("c"))
        pod.wait(seconds: 10)
        #expect(pod.starts("c"))
    }

    @Test("a process that cannot be run counts as ended with 128")
    func startError() {
        var pod = MachineDriver(Self.one)
        pod.prepare()
        let exit = ContainerExit(exitCode: 128, reason: "StartError", message: "exec", finishedAt: 0)
        let instance = ContainerInstance(
            id: "c-0", attempt: 0, image: "i", imageID: "", startedAt: 0, exit: exit)
        pod.handle(.launched("c", instance))
        pod.handle(.startFinished("c", StartFailure(.run, "exec: not found")))
        #expect(pod.starts("c"))
        #expect(pod.events("Failed") == ["Error: exec: not found"])
        #expect(pod.container("c")?["state"]?["terminated"]?["reason"] == "StartError")
    }

    @Test("a failed sandbox is reported and tried again")
    func sandboxFails() {
        var pod = MachineDriver(Self.one)
        pod.handle(.volumesMounted)
        pod.handle(.sandboxFailed("no addresses left"))
        #expect(pod.events("FailedCreatePodSandBox") == ["Failed to create pod sandbox: no addresses left"])
        #expect(!pod.actions.contains(.createSandbox))
        pod.wait(seconds: 2)
        #expect(pod.actions.contains(.createSandbox))
    }

    @Test("a changed image restarts the container")
    func imageChange() {
        var pod = MachineDriver(Self.one)
        pod.prepare()
        pod.launch("c")
        pod.handle(.podUpdated(MachineDriver.pod(["containers": [["name": "c", "image": "img:2"]]])))
        #expect(pod.actions.contains(.stopContainer("c", grace: 30, why: .definitionChanged)))
    }

    @Test("an image that changes during a start replaces what was started")
    func imageChangeDuringStart() {
        var spec = Self.one
        spec["restartPolicy"] = "Never"
        var pod = MachineDriver(spec)
        pod.prepare()
        spec["containers"] = [["name": "c", "image": "img:2"]]
        pod.handle(.podUpdated(MachineDriver.pod(spec)))
        #expect(pod.stops("c") == nil)
        pod.launch("c")
        #expect(pod.actions.contains(.stopContainer("c", grace: 30, why: .definitionChanged)))
        // Also where nothing that ends is started again.
        pod.exit("c", 143)
        pod.handle(.stopFinished("c"))
        #expect(pod.starts("c"))
        pod.launch("c")
        #expect(pod.stops("c") == nil)
    }

    @Test("an image that changes while a wrong one is pulled is pulled at once")
    func imageChangeDuringPull() {
        var pod = MachineDriver(Self.one)
        pod.prepare()
        pod.handle(.podUpdated(MachineDriver.pod(["containers": [["name": "c", "image": "img:2"]]])))
        pod.handle(.startFinished("c", StartFailure(.pull, "no such image")))
        #expect(pod.starts("c"))
    }

    @Test("an image that changed while nobody looked is found when containers are taken over")
    func imageChangeWhileAway() {
        func actions(_ image: String?) -> [PodAction] {
            var machine = PodMachine(pod: MachineDriver.pod(Self.one), startTime: 0)
            let now = Moment(wallSeconds: 5, uptimeMilliseconds: 5)
            var instance = ContainerInstance(id: "c-0", attempt: 0, image: "img:1", imageID: "", startedAt: 1)
            instance.requestedImage = image
            return machine.adopt(["c": [instance]], sandboxAddresses: ["10.1.0.9"], volumesReady: true, now: now)
        }
        #expect(actions("img:0").contains(.stopContainer("c", grace: 30, why: .definitionChanged)))
        #expect(!actions("img:1").contains(.stopContainer("c", grace: 30, why: .definitionChanged)))
        #expect(!actions(nil).contains(.stopContainer("c", grace: 30, why: .definitionChanged)))
    }

    @Test("a changed image restarts a sidecar")
    func sidecarImageChange() {
        var spec: JSON = [
            "initContainers": [["name": "s", "image": "i:1", "restartPolicy": "Always"]],
            "containers": [["name": "c", "image": "img"]],
        ]
        var pod = MachineDriver(spec)
        pod.prepare()
        pod.launch("s")
        pod.launch("c")
        spec["initContainers"] = [["name": "s", "image": "i:2", "restartPolicy": "Always"]]
        pod.handle(.podUpdated(MachineDriver.pod(spec)))
        #expect(pod.actions.contains(.stopContainer("s", grace: 30, why: .definitionChanged)))
        #expect(pod.stops("c") == nil)
    }
}

@Suite("Pod state machine: init containers and sidecars")
struct InitContainerTests {
    static let spec: JSON = [
        "initContainers": [
            ["name": "i1", "image": "i"], ["name": "s", "image": "i", "restartPolicy": "Always"],
            ["name": "i2", "image": "i"],
        ],
        "containers": [["name": "c", "image": "img"]],
    ]

    @Test("init containers run one after the other, sidecars go on beside the rest")
    func order() {
        var pod = MachineDriver(Self.spec)
        pod.prepare()
        #expect(pod.starts("i1") && !pod.starts("s") && !pod.starts("c"))
        pod.launch("i1")
        #expect(pod.status["phase"] == "Pending")
        #expect(pod.container("c")?["state"]?["waiting"]?["reason"] == "PodInitializing")
        #expect(pod.condition("Initialized")?["message"] == "containers with incomplete status: [i1 s i2]")
        pod.exit("i1", 0)
        #expect(pod.starts("s") && !pod.starts("i2"))
        pod.launch("s")
        #expect(pod.starts("i2"))
        pod.launch("i2")
        pod.exit("i2", 0)
        #expect(pod.starts("c"))
        pod.launch("c")
        #expect(pod.status["phase"] == "Running")
        #expect(pod.condition("Initialized")?["status"] == "True")
        #expect(pod.container("i1")?["ready"] == true)
        #expect(pod.container("i1")?["state"]?["terminated"]?["reason"] == "Completed")
    }

    @Test("a failing init container of a Never pod fails the pod")
    func failure() {
        var pod = MachineDriver([
            "restartPolicy": "Never", "initContainers": [["name": "i", "image": "i"]],
            "containers": [["name": "c", "image": "i"]],
        ])
        pod.prepare()
        pod.launch("i")
        pod.exit("i", 1)
        #expect(!pod.starts("c") && !pod.starts("i"))
        #expect(pod.status["phase"] == "Failed")
    }

    @Test("a failing init container is retried with back-off otherwise")
    func retry() {
        var pod = MachineDriver(Self.spec)
        pod.prepare()
        pod.launch("i1")
        pod.exit("i1", 1)
        #expect(pod.starts("i1"))
        pod.launch("i1")
        pod.exit("i1", 1)
        #expect(!pod.starts("i1"))
        #expect(pod.wakeUpSeconds == 10)
        #expect(pod.status["phase"] == "Pending")
    }

    @Test("sidecars stop after the main containers, the last first, and do not keep a Job running")
    func sidecarsStopLast() {
        var pod = MachineDriver([
            "restartPolicy": "Never",
            "initContainers": [
                ["name": "s1", "image": "i", "restartPolicy": "Always"],
                ["name": "s2", "image": "i", "restartPolicy": "Always"],
            ], "containers": [["name": "c", "image": "i"]],
        ])
        pod.prepare()
        pod.launch("s1")
        pod.launch("s2")
        pod.launch("c")
        pod.exit("c", 0)
        #expect(pod.status["phase"] == "Running")
        #expect(pod.stops("s2") == 30 && pod.stops("s1") == nil)
        pod.exit("s2", 0)
        #expect(pod.stops("s1") != nil)
        pod.handle(.stopFinished("s2"))
        pod.exit("s1", 0)
        pod.handle(.stopFinished("s1"))
        #expect(pod.status["phase"] == "Succeeded")
        #expect(pod.actions.contains(.removeSandbox))
    }

    @Test("after a power cut the init containers run again before the main ones")
    func newSandbox() {
        let ended = ContainerExit(exitCode: 0, finishedAt: 0)
        let lost = ContainerExit(exitCode: 255, reason: "Unknown", finishedAt: 0)
        var machine = PodMachine(
            pod: MachineDriver.pod([
                "initContainers": [["name": "i", "image": "i"]], "containers": [["name": "c", "image": "i"]],
            ]), startTime: 0)
        let now = Moment(wallSeconds: 10, uptimeMilliseconds: 10_000)
        let actions = machine.adopt(
            [
                "i": [.init(id: "i0", attempt: 0, image: "", imageID: "", startedAt: 0, exit: ended)],
                "c": [.init(id: "c0", attempt: 0, image: "", imageID: "", startedAt: 0, exit: lost)],
            ], sandboxAddresses: nil, volumesReady: false, now: now)
        #expect(actions.contains(.createSandbox))
        _ = machine.handle(.volumesMounted, now: now)
        let next = machine.handle(.sandboxReady(addresses: []), now: now)
        #expect(next.contains(.startContainer("i", attempt: 1)))
        #expect(!next.contains(.startContainer("c", attempt: 1)))
    }
}
