// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

@testable import Scheduling

@Suite struct FilterTests: SchedulingFixture {
    @Test("a pod that is resized counts with the most of what it asks for, was granted and has")
    func resize() {
        var pod = KubeObject(.init("", "v1", "Pod"), namespace: "d", name: "p")
        pod.spec = ["containers": [container(cpu: "3")]]
        #expect(PodView(pod).reservedRequests["cpu"] == Quantity(3))
        pod.status = [
            "containerStatuses": [
                ["name": "c", "allocatedResources": ["cpu": "1"], "resources": ["requests": ["cpu": "2"]]]
            ]
        ]
        #expect(PodDemand(pod).requests["cpu"] == Quantity(3))
        pod.status["conditions"] = [["type": "PodResizePending", "status": "True", "reason": "Infeasible"]]
        #expect(PodDemand(pod).requests["cpu"] == Quantity(2))
        #expect(PodView(pod).requests["cpu"] == Quantity(3))
    }

    private func reasons(_ demand: PodDemand, _ node: NodeState, all: [NodeState]? = nil) -> [String]? {
        Filters.refusal(of: node, for: demand, in: snapshot(all ?? [node]))?.reasons
    }

    @Test func refusesWhatDoesNotFit() {
        #expect(reasons(pod("a", spec: ["containers": [container(cpu: "2")]]), node("n")) == nil)
        #expect(
            reasons(pod("a", spec: ["containers": [container(cpu: "2001m")]]), node("n")) == ["Insufficient cpu"])
        var full = node("n")
        full.add(pod("b", spec: ["containers": [container(cpu: "1500m")]]))
        #expect(reasons(pod("a", spec: ["containers": [container(cpu: "1")]]), full) == ["Insufficient cpu"])
        full.add(pod("c"))
        #expect(reasons(pod("a"), full) == ["Too many pods"])
        full.remove(.init(namespace: "default", name: "b"))
        #expect(reasons(pod("a", spec: ["containers": [container(cpu: "1")]]), full) == nil)
    }

    @Test func countsInitContainersByTheirPeakAndSidecarsForEver() {
        let spec: JSON = [
            "containers": [container(cpu: "500m")],
            "initContainers": [
                ["restartPolicy": "Always", "resources": ["requests": ["cpu": "200m"]]], container(cpu: "1"),
            ],
        ]
        #expect(pod("a", spec: spec).request("cpu") == Quantity(milli: 1200))
    }

    @Test func keepsPodsFromCordonedAndTaintedNodes() {
        let cordoned = node("n", spec: ["unschedulable": true])
        #expect(reasons(pod("a"), cordoned) == ["node(s) were unschedulable"])
        let tainted = node("n", spec: ["taints": [["key": "k", "value": "v", "effect": "NoSchedule"]]])
        #expect(reasons(pod("a"), tainted) == ["node(s) had untolerated taint {k: v}"])
        let tolerating = pod("a", spec: ["tolerations": [["key": "k", "operator": "Exists"]]])
        #expect(reasons(tolerating, tainted) == nil)
    }

    @Test func followsNodeSelectorsAndAffinity() {
        let selecting = pod("a", spec: ["nodeSelector": ["disk": "ssd"]])
        #expect(reasons(selecting, node("n")) == ["node(s) didn't match Pod's node affinity/selector"])
        #expect(reasons(selecting, node("n", labels: ["disk": "ssd"])) == nil)
    }

    @Test func givesAHostPortOnlyOnce() {
        func serving(_ name: String, address: String, proto: String = "TCP") -> PodDemand {
            pod(
                name,
                spec: [
                    "containers": [
                        ["ports": [["hostPort": 80, "protocol": .string(proto), "hostIP": .string(address)]]]
                    ]
                ])
        }
        var taken = node("n")
        taken.add(serving("b", address: "10.0.0.1"))
        #expect(reasons(serving("a", address: "10.0.0.2"), taken) == nil)
        #expect(reasons(serving("a", address: "10.0.0.1", proto: "UDP"), taken) == nil)
        #expect(
            reasons(serving("a", address: "0.0.0.0"), taken)
                == ["node(s) didn't have free ports for the requested pod ports"])
    }

    @Test func keepsPodsThatDislikeEachOtherApart() {
        let spec: JSON = [
            "affinity": [
                "podAntiAffinity": [
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        [
                            "labelSelector": ["matchLabels": ["app": "web"]],
                            "topologyKey": "kubernetes.io/hostname",
                        ]
                    ]
                ]
            ]
        ]
        var one = node("one")
        one.add(pod("b", spec: spec, labels: ["app": "web"]))
        let two = node("two")
        let next = pod("a", spec: spec, labels: ["app": "web"])
        #expect(
            reasons(next, one, all: [one, two]) == ["node(s) didn't match pod anti-affinity rules"])
        #expect(reasons(next, two, all: [one, two]) == nil)
        // The other way round: the pod that is there refuses one that has no wishes itself.
        #expect(
            reasons(pod("c", labels: ["app": "web"]), one, all: [one, two])
                == ["node(s) didn't satisfy existing pods anti-affinity rules"])
    }

    @Test func spreadsOverDomains() {
        let spec: JSON = [
            "topologySpreadConstraints": [
                [
                    "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": ["matchLabels": ["app": "web"]],
                ]
            ]
        ]
        var one = node("one")
        one.add(pod("b", labels: ["app": "web"]))
        let two = node("two")
        let next = pod("a", spec: spec, labels: ["app": "web"])
        #expect(reasons(next, one, all: [one, two]) == ["node(s) didn't match pod topology spread constraints"])
        #expect(reasons(next, two, all: [one, two]) == nil)
    }

    @Test func saysForHowManyNodesEachReasonHolds() {
        let refusals = [
            Refusal(["Insufficient cpu"]), Refusal(["Insufficient cpu", "Insufficient memory"]),
            Refusal(["node(s) were unschedulable"]),
        ]
        #expect(
            Scheduler.message(refusals, nodes: 3)
                == "0/3 nodes are available: 1 Insufficient memory, 1 node(s) were unschedulable, 2 Insufficient cpu.")
    }
}

@Suite struct SchedulingQueueTests {
    private let start = ContinuousClock.now
    private func key(_ name: String) -> ObjectKey { .init(namespace: "default", name: name) }

    @Test func ordersByPriorityAndThenByAge() {
        var queue = SchedulingQueue()
        queue.add(key("first"), priority: 0, now: start)
        queue.add(key("urgent"), priority: 1000, now: start)
        queue.add(key("second"), priority: 0, now: start)
        #expect(queue.next() == key("urgent"))
        #expect(queue.next() == key("first"))
        #expect(queue.next() == key("second"))
        #expect(queue.next() == nil)
    }

    @Test func triesAHopelessPodAgainOnlyWhenSomethingChangesOrTheLongWaitIsOver() {
        var queue = SchedulingQueue()
        queue.add(key("a"), priority: 0, now: start)
        #expect(queue.next() == key("a"))
        queue.failed(key("a"), now: start)
        #expect(queue.releaseDue(now: start + .seconds(20)) == start + SchedulingQueue.longestWait)
        #expect(queue.next() == nil)
        queue.wakeAll(now: start + .seconds(20))
        #expect(queue.next() == key("a"))
        queue.failed(key("a"), now: start + .seconds(20))
        #expect(queue.releaseDue(now: start + .seconds(20) + SchedulingQueue.longestWait) == nil)
        #expect(queue.next() == key("a"))
    }

    @Test func keepsTheBackOffWhenItIsWokenEarly() {
        var queue = SchedulingQueue()
        queue.add(key("a"), priority: 0, now: start)
        _ = queue.next()
        queue.failed(key("a"), now: start)
        queue.wakeAll(now: start + .milliseconds(100))
        #expect(queue.next() == nil)
        #expect(queue.releaseDue(now: start + .milliseconds(200)) == start + .seconds(1))
        #expect(queue.releaseDue(now: start + .seconds(1)) == nil)
        #expect(queue.next() == key("a"))
    }

    @Test("what changes while a pod is tried is not lost on it")
    func changesDuringAnAttempt() {
        var queue = SchedulingQueue()
        queue.add(key("a"), priority: 0, now: start)
        _ = queue.next()
        queue.wakeAll(now: start)
        queue.failed(key("a"), now: start)
        #expect(queue.releaseDue(now: start) == start + SchedulingQueue.shortestBackOff)
        _ = queue.releaseDue(now: start + .seconds(1))
        #expect(queue.next() == key("a"))
        queue.add(key("a"), priority: 0, now: start + .seconds(1))
        queue.failed(key("a"), now: start + .seconds(1))
        #expect(queue.releaseDue(now: start + .seconds(1)) == start + .seconds(3))
    }

    @Test("a pod that is placed wakes those that wait for others")
    func followers() {
        var queue = SchedulingQueue()
        queue.add(key("a"), priority: 0, now: start)
        queue.add(key("b"), priority: 0, followsPods: true, now: start)
        while let key = queue.next() { queue.failed(key, now: start) }
        queue.wakeFollowers(now: start + .seconds(20))
        #expect(queue.next() == key("b"))
        #expect(queue.next() == nil)
    }

    @Test func forgetsRemovedPods() {
        var queue = SchedulingQueue()
        queue.add(key("a"), priority: 0, now: start)
        queue.remove(key("a"))
        #expect(queue.next() == nil)
    }
}
