// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

@testable import Scheduling

@Suite struct PreemptionTests: SchedulingFixture {
    private func pod(
        _ name: String, priority: Int, cpu: String, start: String? = nil, labels: [String: String] = [:]
    ) -> PodDemand {
        var status: JSON = [:]
        if let start { status["startTime"] = .string(start) }
        let spec: JSON = ["priority": JSON(priority), "containers": [container(cpu: cpu)]]
        return pod(name, spec: spec, labels: labels, status: status)
    }

    private func host(_ name: String, cpu: String = "10", _ pods: PodDemand...) -> NodeState {
        var node = self.node(name, cpu: cpu, pods: "20")
        for pod in pods { node.add(pod) }
        return node
    }

    private func attempt(
        _ demand: PodDemand, _ nodes: NodeState..., nominations: [String: [PodDemand]] = [:], nomination: String? = nil,
        budgets: [KubeObject] = []
    ) -> Preemption.Outcome {
        let snapshot = snapshot(nodes, nominations: nominations)
        var refusals: [String: Refusal] = [:]
        for node in nodes { refusals[node.name] = Filters.refusal(of: node, for: demand, in: snapshot) }
        return Preemption(snapshot: snapshot, budgets: DisruptionBudgets(budgets))
            .attempt(for: demand, nomination: nomination, refusals: refusals)
    }

    private func chosen(_ outcome: Preemption.Outcome) -> String {
        switch outcome {
        case .candidate(let candidate):
            "\(candidate.node): \(candidate.victims.map(\.key.name).joined(separator: " "))"
        case .ineligible(let why): why
        case .hopeless(let reasons): Scheduler.message(reasons, nodes: reasons.count)
        }
    }

    private func budget(_ app: String, allowed: Int, disrupted: [String] = []) -> KubeObject {
        var budget = KubeObject(.init("policy", "v1", "PodDisruptionBudget"), namespace: "default", name: app)
        budget.spec = ["selector": ["matchLabels": ["app": .string(app)]]]
        let names = Dictionary(uniqueKeysWithValues: disrupted.map { ($0, "2026-05-01T10:00:00Z") })
        budget.status = ["disruptionsAllowed": JSON(allowed), "disruptedPods": JSON(names)]
        return budget
    }

    @Test("only what must go goes, the least important first")
    func fewestVictims() {
        let full = host(
            "n", pod("one", priority: 1, cpu: "2"), pod("two", priority: 2, cpu: "3"),
            pod("three", priority: 3, cpu: "4500m"))
        #expect(chosen(attempt(pod("four", priority: 4, cpu: "5"), full)) == "n: two one")
        #expect(chosen(attempt(pod("four", priority: 4, cpu: "2"), full)) == "n: one")
    }

    @Test("of equal pods the youngest goes")
    func youngest() {
        let full = host(
            "n", pod("old", priority: 1, cpu: "5", start: "2026-05-01T10:00:00Z"),
            pod("young", priority: 1, cpu: "5", start: "2026-05-01T11:00:00Z"))
        #expect(chosen(attempt(pod("p", priority: 4, cpu: "5"), full)) == "n: young")
    }

    @Test("pods of the same priority stay, and the message says so")
    func equals() {
        let full = host("n", pod("a", priority: 4, cpu: "8"))
        #expect(
            chosen(attempt(pod("p", priority: 4, cpu: "5"), full))
                == "0/1 nodes are available: 1 No preemption victims found for incoming pod.")
    }

    @Test("what cannot be helped is not tried, and what does not help is told")
    func hopeless() {
        let cordoned = node("c", spec: ["unschedulable": true])
        let full = host("n", pod("a", priority: 9, cpu: "8"), pod("b", priority: 1, cpu: "1"))
        #expect(
            chosen(attempt(pod("p", priority: 4, cpu: "5"), cordoned, full))
                == "0/2 nodes are available: 1 Insufficient cpu, 1 Preemption is not helpful for scheduling.")
        #expect(
            chosen(attempt(pod("p", priority: 4, cpu: "50"), full))
                == "0/1 nodes are available: 1 Preemption is not helpful for scheduling.")
    }

    @Test("a pod that may not preempt does not")
    func never() {
        var patient = pod("p", priority: 4, cpu: "5").pod.object
        patient.spec["preemptionPolicy"] = "Never"
        #expect(
            chosen(attempt(PodDemand(patient), host("n", pod("a", priority: 1, cpu: "8"))))
                == "not eligible due to preemptionPolicy=Never.")
    }

    @Test("who waits for a victim's end makes no others go")
    func waitsForVictims() {
        var victim = pod("a", priority: 1, cpu: "8").pod.object
        victim.metadata["deletionTimestamp"] = "2026-05-01T10:00:00Z"
        victim.status["conditions"] = [
            ["type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"]
        ]
        let demand = pod("p", priority: 4, cpu: "5")
        let full = host("n", PodDemand(victim))
        let other = host("o", pod("b", priority: 0, cpu: "8"))
        #expect(
            chosen(attempt(demand, full, other, nomination: "n"))
                == "not eligible due to a terminating pod on the nominated node.")
        #expect(chosen(attempt(demand, full, other)) == "o: b")
        // A node that can no longer take the pod is not waited for.
        let cordoned = node("n", spec: ["unschedulable": true])
        #expect(chosen(attempt(demand, cordoned, other, nomination: "n")) == "o: b")
    }

    @Test("the node is chosen by what is lost there")
    func bestNode() {
        let demand = pod("p", priority: 100, cpu: "8")
        let one = host("a", pod("a1", priority: 5, cpu: "8"))
        let two = host("b", pod("b1", priority: 3, cpu: "4"), pod("b2", priority: 3, cpu: "4"))
        // The lowest of the highest priorities, then the lowest sum, then the fewest.
        #expect(chosen(attempt(demand, one, two)) == "b: b1 b2")
        #expect(chosen(attempt(demand, two, host("c", pod("c1", priority: 3, cpu: "8")))) == "c: c1")
        let old = host("d", pod("d1", priority: 3, cpu: "8", start: "2026-05-01T10:00:00Z"))
        let young = host("e", pod("e1", priority: 3, cpu: "8", start: "2026-05-01T11:00:00Z"))
        #expect(chosen(attempt(demand, old, young)) == "e: e1")
    }

    @Test("disruption budgets are kept where that is possible")
    func budgets() {
        let demand = pod("p", priority: 100, cpu: "5")
        let kept = pod("kept", priority: 1, cpu: "5", labels: ["app": "web"])
        let free = pod("free", priority: 5, cpu: "5", labels: ["app": "other"])
        let both = host("n", kept, free)
        #expect(chosen(attempt(demand, both)) == "n: kept")
        #expect(chosen(attempt(demand, both, budgets: [budget("web", allowed: 0)])) == "n: free")
        #expect(chosen(attempt(demand, both, budgets: [budget("web", allowed: 1)])) == "n: kept")
        #expect(
            chosen(attempt(demand, both, budgets: [budget("web", allowed: 0, disrupted: ["kept"])])) == "n: kept")
        let only = host("a", pod("x", priority: 1, cpu: "10", labels: ["app": "web"]))
        let dearer = host("b", pod("y", priority: 50, cpu: "10"))
        #expect(chosen(attempt(demand, only, budgets: [budget("web", allowed: 0)])) == "a: x")
        #expect(chosen(attempt(demand, only, dearer, budgets: [budget("web", allowed: 0)])) == "b: y")
    }

    @Test("victims count for the spread of what comes")
    func spread() {
        let spec: JSON = [
            "priority": 5, "containers": [container(cpu: "3")],
            "topologySpreadConstraints": [
                [
                    "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": ["matchLabels": ["app": "web"]],
                ]
            ],
        ]
        let labels = ["app": "web"]
        let high = host("a", pod("high", priority: 9, cpu: "9", labels: labels))
        let low = host(
            "b", pod("l1", priority: 1, cpu: "3", labels: labels), pod("l2", priority: 1, cpu: "3", labels: labels),
            pod("l3", priority: 1, cpu: "3", labels: labels))
        #expect(chosen(attempt(pod("m", spec: spec, labels: labels), high, low)) == "b: l2 l3")
    }

    @Test("room that was promised is kept from less important pods, not from more important ones")
    func nominations() {
        let empty = host("n")
        let promised = ["n": [pod("waiting", priority: 4, cpu: "8")]]
        let snapshot = snapshot([empty], nominations: promised)
        let refusal = { Filters.refusal(of: empty, for: $0, in: snapshot)?.reasons }
        #expect(refusal(pod("p", priority: 3, cpu: "5")) == ["Insufficient cpu"])
        #expect(refusal(pod("p", priority: 4, cpu: "5")) == ["Insufficient cpu"])
        #expect(refusal(pod("p", priority: 5, cpu: "5")) == nil)
        #expect(refusal(pod("waiting", priority: 4, cpu: "8")) == nil)
        // Nor is anybody preempted for a pod that then has no room.
        let full = host("n", pod("a", priority: 1, cpu: "9"))
        #expect(
            chosen(attempt(pod("p", priority: 2, cpu: "5"), full, nominations: promised))
                == "0/1 nodes are available: 1 Insufficient cpu.")
    }
}

@Suite struct NominationTests: SchedulingFixture {
    private func waiting(_ node: String) -> KubeObject {
        pod("p", spec: ["priority": 1], status: node.isEmpty ? [:] : ["nominatedNodeName": .string(node)]).pod.object
    }

    @Test("a promise counts at once and ends with the placement")
    func life() {
        let state = ClusterState()
        let demand = PodDemand(waiting(""))
        state.putPod(waiting(""))
        state.nominate(demand, on: "n")
        // News from before the promise takes nothing back.
        state.putPod(waiting(""), before: waiting(""))
        #expect(state.nomination(of: demand.key) == "n")
        state.putPod(waiting("n"), before: waiting(""))
        #expect(state.nominations["n"]?.map(\.key.name) == ["p"])
        state.assume(demand, on: "n")
        state.putPod(waiting("n"), before: waiting("n"))
        #expect(state.nomination(of: demand.key) == nil)
    }

    @Test("what others promise or take back counts as well")
    func others() {
        let state = ClusterState()
        let key = waiting("").key
        state.putPod(waiting("m"))
        #expect(state.nomination(of: key) == "m")
        state.putPod(waiting(""), before: waiting("m"))
        #expect(state.nomination(of: key) == nil)
        state.putPod(waiting("m"))
        state.removePod(key)
        #expect(state.nominations.isEmpty)
    }
}
