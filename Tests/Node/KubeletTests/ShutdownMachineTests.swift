// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

@testable import Kubelet

@Suite("The order in which pods end before the machine goes down")
struct ShutdownMachineTests {
    static let periods = ShutdownPeriods(total: .seconds(30), critical: .seconds(10))
    static let web = ShutdownMachine.Member(uid: "web", priority: 0, grace: 5)
    static let slow = ShutdownMachine.Member(uid: "slow", priority: 1000, grace: 300)
    static let dns = ShutdownMachine.Member(uid: "dns", priority: 2_000_001_000, grace: 60)

    @Test("ordinary pods end first, critical ones when they have, each with its own time or less")
    func order() {
        var machine = ShutdownMachine([Self.dns, Self.web, Self.slow], periods: Self.periods)
        #expect(
            machine.begin(now: 1000) == [
                .end(uid: "web", grace: 5), .end(uid: "slow", grace: 20), .wakeUp(at: 21_000),
            ])
        #expect(machine.ended("web", now: 2000) == [])
        // Also when it is told twice.
        #expect(machine.ended("web", now: 2000) == [])
        #expect(machine.ended("slow", now: 3000) == [.end(uid: "dns", grace: 10), .wakeUp(at: 13_000)])
        #expect(!machine.isFinished)
        #expect(machine.ended("dns", now: 4000) == [.finish])
        #expect(machine.isFinished)
    }

    @Test("what does not end in its time is left behind")
    func deadline() {
        var machine = ShutdownMachine([Self.slow, Self.dns], periods: Self.periods)
        _ = machine.begin(now: 0)
        #expect(machine.tick(now: 19_999) == [.wakeUp(at: 20_000)])
        #expect(machine.tick(now: 20_000) == [.end(uid: "dns", grace: 10), .wakeUp(at: 30_000)])
        // The late end of an ordinary pod does not end the wait for the critical ones.
        #expect(machine.ended("slow", now: 21_000) == [])
        #expect(machine.tick(now: 30_000) == [.finish])
        #expect(machine.tick(now: 40_000) == [])
        #expect(machine.ended("dns", now: 41_000) == [])
    }

    @Test("a stage without pods takes no time")
    func emptyStages() {
        var none = ShutdownMachine([], periods: Self.periods)
        #expect(none.begin(now: 0) == [.finish])
        var critical = ShutdownMachine([Self.dns], periods: Self.periods)
        #expect(critical.begin(now: 0) == [.end(uid: "dns", grace: 10), .wakeUp(at: 10_000)])
    }

    @Test("a machine that waits less shortens the time of ordinary pods first")
    func limited() {
        #expect(Self.periods.limited(to: .seconds(60)) == Self.periods)
        #expect(
            Self.periods.limited(to: .seconds(12)) == ShutdownPeriods(total: .seconds(12), critical: .seconds(10)))
        #expect(Self.periods.limited(to: .seconds(5)) == ShutdownPeriods(total: .seconds(5), critical: .seconds(5)))
    }

    // MARK: The pods themselves

    private static func running(_ policy: String = "Always") -> MachineDriver {
        var pod = MachineDriver([
            "restartPolicy": .string(policy), "terminationGracePeriodSeconds": 30,
            "containers": [["name": "c", "image": "i"]],
        ])
        pod.prepare()
        pod.launch("c")
        return pod
    }

    private static func takeDown(_ pod: inout MachineDriver) {
        pod.exit("c", 143)
        pod.handle(.stopFinished("c"))
        pod.handle(.sandboxRemoved)
        pod.handle(.volumesRemoved)
    }

    @Test("a pod that is replaced fails and says why, as upstream's does")
    func terminated() {
        var pod = Self.running()
        pod.handle(.evicted(reason: ShutdownWords.reason, message: ShutdownWords.message, grace: 20))
        #expect(pod.stops("c") == 20)
        #expect(!pod.machine.isDown)
        Self.takeDown(&pod)
        #expect(pod.machine.isDown)
        #expect(pod.status["phase"] == "Failed")
        #expect(pod.status["reason"] == "Terminated")
        #expect(pod.status["message"] == "Pod was terminated in response to imminent node shutdown.")
        #expect(pod.condition("DisruptionTarget")?["status"] == "True")
        #expect(pod.condition("DisruptionTarget")?["reason"] == "TerminationByKubelet")
        pod.handle(.resumed)
        #expect(pod.status["phase"] == "Failed")
    }

    @Test("a pod that nobody replaces stays a running pod without containers")
    func suspended() {
        var pod = Self.running()
        pod.handle(.suspended(grace: 20))
        #expect(pod.stops("c") == 20)
        Self.takeDown(&pod)
        #expect(pod.machine.isDown)
        #expect(pod.status["phase"] == "Running")
        #expect(pod.status["reason"] == nil)
        #expect(pod.condition("Ready")?["status"] == "False")
        #expect(pod.condition("DisruptionTarget") == nil)
        #expect(pod.container("c")?["state"]?["terminated"]?["exitCode"] == 143)
        #expect(!pod.starts("c"))
    }

    @Test("it starts again when the shutdown is cancelled")
    func resumed() {
        var pod = Self.running()
        pod.handle(.suspended(grace: 20))
        Self.takeDown(&pod)
        pod.handle(.resumed)
        #expect(pod.actions.contains(.createSandbox))
        #expect(pod.actions.contains(.mountVolumes))
        pod.prepare()
        #expect(pod.starts("c"))
    }

    @Test("it starts again also when it has not ended yet")
    func resumedHalfway() {
        var pod = Self.running()
        pod.handle(.suspended(grace: 20))
        pod.exit("c", 143)
        pod.handle(.stopFinished("c"))
        pod.handle(.resumed)
        pod.handle(.sandboxRemoved)
        pod.handle(.volumesRemoved)
        #expect(pod.actions.contains(.createSandbox) || pod.actions.contains(.mountVolumes))
        pod.prepare()
        #expect(pod.starts("c"))
    }

    @Test("it starts again after the boot, from what the API has of it")
    func afterBoot() {
        var pod = Self.running()
        pod.handle(.suspended(grace: 20))
        Self.takeDown(&pod)
        var object = pod.machine.pod.object
        object.status = pod.status
        var machine = PodMachine(pod: Pod(object), startTime: 0)
        let actions = machine.adopt([:], sandboxAddresses: nil, volumesReady: false, now: pod.now)
        #expect(actions.contains(.createSandbox))
        _ = machine.handle(.sandboxReady(addresses: ["10.1.0.3"]), now: pod.now)
        #expect(machine.handle(.volumesMounted, now: pod.now).contains(.startContainer("c", attempt: 1)))
    }

    @Test("deleted meanwhile, it goes")
    func deletedMeanwhile() {
        var pod = Self.running()
        pod.handle(.suspended(grace: 20))
        Self.takeDown(&pod)
        pod.delete(grace: 0)
        #expect(pod.actions.contains(.finishDeletion))
    }

    @Test("who comes back: what no controller replaces and may run again")
    func whoComesBack() {
        let owned: JSON = [
            "ownerReferences": [
                ["apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "2", "controller": true]
            ]
        ]
        #expect(MachineDriver.pod(["containers": []]).comesBackAfterBoot)
        #expect(MachineDriver.pod(["containers": [], "restartPolicy": "OnFailure"]).comesBackAfterBoot)
        #expect(!MachineDriver.pod(["containers": [], "restartPolicy": "Never"]).comesBackAfterBoot)
        #expect(!MachineDriver.pod(["containers": []], metadata: owned).comesBackAfterBoot)
    }
}
