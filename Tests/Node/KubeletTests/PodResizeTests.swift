// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import PodRuntime
import Testing

@testable import Kubelet

@Suite("Pods that are resized in place")
struct PodResizeTests {
    private static func spec(_ resources: JSON, policy: JSON = [], restart: String = "Always") -> JSON {
        [
            "restartPolicy": .string(restart),
            "containers": [["name": "c", "image": "img:1", "resources": resources, "resizePolicy": policy]],
        ]
    }

    private static func resources(cpu: String = "100m", memory: String = "64Mi") -> JSON {
        [
            "limits": ["cpu": .string(cpu), "memory": .string(memory)],
            "requests": ["cpu": .string(cpu), "memory": .string(memory)],
        ]
    }

    /// A pod that runs with what it asks for.
    private static func running(_ spec: JSON) -> MachineDriver {
        var pod = MachineDriver(spec)
        pod.prepare()
        launch(&pod)
        return pod
    }

    /// - Returns: The events of a resize's end.
    @discardableResult
    private static func launch(_ pod: inout MachineDriver) -> [String] {
        let attempt = pod.machine.facts["c"]?.attempts ?? 0
        var instance = ContainerInstance(
            id: "c-\(attempt)", attempt: attempt, image: "img", imageID: "", startedAt: pod.now.wallSeconds)
        instance.limits = pod.machine.pod.container(named: "c").map(ResourceSettings.limits)
        pod.handle(.launched("c", instance))
        let completed = pod.events("ResizeCompleted")
        pod.handle(.startFinished("c", nil))
        return completed
    }

    private static func limits(_ pod: MachineDriver) -> ContainerLimits? {
        pod.machine.pod.container(named: "c").map(ResourceSettings.limits)
    }

    @Test("the status tells of new resources when they are in force, and not before")
    func inPlace() throws {
        var pod = Self.running(Self.spec(Self.resources()))
        #expect(pod.condition("PodResizeInProgress") == nil)
        pod.handle(.podUpdated(MachineDriver.pod(Self.spec(Self.resources(cpu: "300m")))))
        #expect(pod.actions.contains(.resize(containers: ["c"])))
        #expect(
            pod.events("ResizeStarted") == [
                "Pod resize started: {\"containers\":[{\"name\":\"c\",\"resources\":{\"limits\":{\"cpu\":\"300m\","
                    + "\"memory\":\"64Mi\"},\"requests\":{\"cpu\":\"300m\",\"memory\":\"64Mi\"}}}],\"generation\":1}"
            ])
        #expect(pod.condition("PodResizeInProgress")?["status"] == "True")
        #expect(pod.container("c")?["allocatedResources"]?["cpu"] == "300m")
        #expect(pod.container("c")?["resources"] == Self.resources())
        pod.handle(.resized(["c": try #require(Self.limits(pod))]))
        #expect(pod.events("ResizeCompleted").count == 1)
        #expect(pod.condition("PodResizeInProgress") == nil)
        #expect(pod.container("c")?["resources"] == Self.resources(cpu: "300m"))
        #expect(pod.container("c")?["restartCount"] == 0)
        pod.handle(.tick)
        #expect(pod.actions.isEmpty)
    }

    @Test("a container whose policy says so is restarted, whatever the pod's restart policy")
    func restarts() {
        let policy: JSON = [["resourceName": "memory", "restartPolicy": "RestartContainer"]]
        var pod = Self.running(Self.spec(Self.resources(), policy: policy, restart: "OnFailure"))
        pod.handle(
            .podUpdated(
                MachineDriver.pod(Self.spec(Self.resources(memory: "96Mi"), policy: policy, restart: "OnFailure"))))
        #expect(pod.stops("c") == 30)
        #expect(pod.actions.contains(.stopContainer("c", grace: 30, why: .resized)))
        #expect(StopReason.resized.message(container: "c") == "Container c resize requires restart")
        pod.exit("c", 0)
        #expect(pod.status["phase"] == "Running")
        // The pod's group first.
        #expect(pod.actions.contains(.resize(containers: [])))
        pod.handle(.stopFinished("c"))
        #expect(!pod.starts("c"))
        pod.handle(.resized([:]))
        #expect(pod.starts("c"))
        #expect(pod.condition("PodResizeInProgress")?["status"] == "True")
        #expect(Self.launch(&pod).count == 1)
        #expect(pod.condition("PodResizeInProgress") == nil)
        #expect(pod.container("c")?["restartCount"] == 1)
        #expect(pod.container("c")?["resources"] == Self.resources(memory: "96Mi"))
    }

    @Test("limits that cannot be changed are told and tried again")
    func fails() {
        var pod = Self.running(Self.spec(Self.resources()))
        pod.handle(.podUpdated(MachineDriver.pod(Self.spec(Self.resources(memory: "32Mi")))))
        pod.handle(.resizeFailed("too small", done: [:]))
        #expect(pod.condition("PodResizeInProgress")?["reason"] == "Error")
        #expect(pod.condition("PodResizeInProgress")?["message"] == "too small")
        #expect(pod.events("ResizeError").count == 1)
        #expect(pod.wakeUpSeconds == 10)
        pod.wait(seconds: 10)
        #expect(pod.actions.contains(.resize(containers: ["c"])))
        #expect(pod.container("c")?["resources"]?["limits"]?["memory"] == "64Mi")
    }

    @Test("why a resize is not granted stands in a condition as long as it is so")
    func pending() {
        var pod = Self.running(Self.spec(Self.resources()))
        let wanted = MachineDriver.pod(Self.spec(Self.resources(cpu: "300")))
        pod.handle(.resizePending(PendingResize(.infeasible, "never"), wanted: wanted))
        #expect(pod.condition("PodResizePending")?["reason"] == "Infeasible")
        #expect(pod.condition("PodResizePending")?["message"] == "never")
        #expect(pod.events("ResizeInfeasible").first?.contains("\"cpu\":\"300\"") == true)
        #expect(pod.events("ResizeInfeasible").first?.hasSuffix("\"error\":\"never\"}") == true)
        let before = pod.status
        pod.handle(.resizePending(nil, wanted: wanted))
        #expect(pod.condition("PodResizePending") == nil)
        let patch = StatusPublisher.patch(from: before, to: pod.status)
        #expect(
            patch?["conditions"]?.elements.contains(["$patch": "delete", "type": "PodResizePending"]) == true)
    }

    @Test("an agent that starts brings what it finds to what was granted")
    func adopts() {
        var machine = PodMachine(pod: MachineDriver.pod(Self.spec(Self.resources(cpu: "300m"))), startTime: 1)
        var instance = ContainerInstance(id: "c-0", attempt: 0, image: "", imageID: "", startedAt: 0)
        instance.limits = ContainerLimits(cpuShares: 102, cpuQuota: 10000, cpuPeriod: 100_000, memory: 64 << 20)
        let now = Moment(wallSeconds: 1, uptimeMilliseconds: 1)
        _ = machine.adopt(["c": [instance]], sandboxAddresses: ["10.1.0.2"], volumesReady: true, now: now)
        #expect(machine.resize.isInProgress)
        #expect(machine.resize.isActuating)
    }

    @Test("the node grants what it has, later what it will have, and never what it cannot have")
    func admission() {
        var machine = MachineFacts()
        machine.cpus = 2
        machine.memory = 1 << 30
        let configuration = KubeletConfiguration(
            nodeName: "n", hostname: "n", addresses: [], stateDirectory: "/s", runDirectory: "/r", version: "v1.36.0",
            runtimeVersion: "1")
        let node = NodeAdmission(configuration: configuration, machine: machine)
        let other = MachineDriver.pod(Self.spec(Self.resources(cpu: "1500m")))
        func verdict(_ cpu: String, _ memory: String = "64Mi") -> PendingResize? {
            node.pendingResize(
                of: MachineDriver.pod(Self.spec(Self.resources(cpu: cpu, memory: memory))), others: [other])
        }
        #expect(verdict("500m") == nil)
        #expect(
            verdict("600m")
                == PendingResize(
                    .deferred, "Node didn't have enough resource: cpu, requested: 600, used: 1500, capacity: 2000"))
        #expect(
            verdict("3")
                == PendingResize(.infeasible, "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000"))
        #expect(
            verdict("3", "2Gi")
                == PendingResize(
                    .infeasible,
                    "Node didn't have enough capacity: memory, requested: 2147483648, capacity: 1073741824"))
    }

    @Test("a pod has what it was granted in place of what it asks for")
    func granted() {
        let asking = MachineDriver.pod(Self.spec(Self.resources(cpu: "1")))
        let granted = asking.granted(["c": Self.resources()])
        #expect(granted.request("cpu") == 100)
        #expect(granted.resources == ["c": Self.resources()])
        #expect(asking.granted(asking.resources) == asking)
    }

    @Test("resources in force are read back from limits")
    func inForce() {
        let container = PodContainer(
            ["name": "c", "resources": Self.resources(cpu: "1", memory: "1Gi")], kind: .main, podPolicy: .always)
        let limits = ContainerLimits(cpuShares: 153, cpuQuota: 200_000, cpuPeriod: 100_000, memory: 96 << 20)
        #expect(
            ResourceSettings.resources(of: container, inForce: limits) == [
                "limits": ["cpu": "2", "memory": "96Mi"], "requests": ["cpu": "150m", "memory": "1Gi"],
            ])
    }
}
