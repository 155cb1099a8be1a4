// SPDX-License-Identifier: Apache-2.0

import APIServer
import APIServerFixture
import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Testing

@testable import Controllers

@Suite struct DisruptionTests {
    private static let now = KubeTime(seconds: 1_800_000_000)
    private static let budgets = GroupVersionResource("policy", "v1", "poddisruptionbudgets")

    private func budget(_ spec: JSON, status: JSON = [:]) -> KubeObject {
        KubeObject(["metadata": ["name": "b", "generation": 3], "spec": spec, "status": status])
    }

    private func pod(_ name: String, ready: String = "True", isGoing: Bool = false) -> KubeObject {
        var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: name)
        pod.status = ["phase": "Running", "conditions": [["type": "Ready", "status": .string(ready)]]]
        if isGoing { pod.json["metadata", "deletionTimestamp"] = .string(Self.now.text) }
        return pod
    }

    @Test(
        arguments: [
            (["minAvailable": 2], 4, 2, 2), (["minAvailable": "50%"], 5, 3, 1), (["maxUnavailable": 1], 5, 4, 0),
            (["maxUnavailable": "30%"], 5, 3, 1), (["maxUnavailable": 9], 5, 0, 4), ([:], 4, 0, 4),
        ] as [(JSON, Int, Int, Int)])
    func numbersFollowFromTheBudget(spec: JSON, expected: Int, desired: Int, allowed: Int) {
        let pods = ["a", "b", "c", "d"].map { pod($0) }
        let count = BudgetCount(budget(spec), pods: pods, scale: 5, now: Self.now)
        #expect(count.currentHealthy == 4)
        #expect([count.expectedPods, count.desiredHealthy, count.disruptionsAllowed] == [expected, desired, allowed])
    }

    @Test func whatIsNotReadyOrOnItsWayOutIsNotHealthy() {
        let evictions: JSON = [
            "evicted": .string(KubeTime(seconds: Self.now.seconds - 100).text),
            "stayed": .string(KubeTime(seconds: Self.now.seconds - 120).text), "gone": .string(Self.now.text),
        ]
        let pods = [pod("a"), pod("b", ready: "False"), pod("c", isGoing: true), pod("evicted"), pod("stayed")]
        let budget = budget(["minAvailable": 1], status: ["disruptedPods": evictions])
        let count = BudgetCount(budget, pods: pods, scale: 0, now: Self.now)
        #expect(count.currentHealthy == 2)
        #expect(count.expectedPods == 5)
        #expect(Array(count.disruptedPods.keys) == ["evicted"])
        #expect(count.recheck == 20)
    }

    @Test func theConditionSaysWhetherPodsMayGo() {
        let budget = budget(["minAvailable": 1])
        let none = BudgetCount(budget, pods: [], scale: 0, now: Self.now).status(of: budget, now: Self.now)
        #expect(none["disruptionsAllowed"] == 0)
        #expect(none["observedGeneration"] == 3)
        #expect(none["conditions"]?[0]?["reason"] == "InsufficientPods")
        var later = budget
        later.status = none
        let time = KubeTime(seconds: Self.now.seconds + 60)
        let count = BudgetCount(later, pods: [pod("a"), pod("b")], scale: 0, now: time)
        let some = count.status(of: later, now: time)
        #expect(
            some["conditions"] == [
                [
                    "type": "DisruptionAllowed", "status": "True", "reason": "SufficientPods", "message": "",
                    "observedGeneration": 3, "lastTransitionTime": .string(time.text),
                ]
            ])
        // The same again, later, changes nothing.
        later.status = some
        #expect(count.status(of: later, now: KubeTime(seconds: time.seconds + 60)) == some)
        let failed = BudgetCount.failure("why", of: later, now: time)
        #expect(failed["disruptionsAllowed"] == 0)
        #expect(failed["conditions"]?[0]?["reason"] == "SyncFailed")
        #expect(failed["conditions"]?[0]?["message"] == "why")
    }

    @Test(.timeLimit(.minutes(1))) func evictionsAreGrantedAsTheBudgetAllows() async throws {
        try await ServedAPI.run { api in
            let client = api.client
            let context = api.controllerContext { Self.now }
            let serviceAccount = KubeObject(.init("", "v1", "ServiceAccount"), namespace: "default", name: "default")
            _ = try await client.create(.serviceAccounts, object: serviceAccount)
            try await api.withControllers(context, [DisruptionController(context: context)]) {
                var budget = KubeObject(
                    .init("policy", "v1", "PodDisruptionBudget"), namespace: "default", name: "b")
                budget.spec = ["minAvailable": 1, "selector": ["matchLabels": ["a": "b"]]]
                _ = try await client.create(Self.budgets, object: budget)
                for name in ["p1", "p2"] {
                    var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: name)
                    pod.json["metadata", "labels"] = ["a": "b"]
                    pod.spec = ["containers": [["name": "c", "image": "i"]]]
                    var created = try await client.create(.pods, object: pod)
                    created.status = ["phase": "Running", "conditions": [["type": "Ready", "status": "True"]]]
                    _ = try await client.updateStatus(.pods, object: created)
                }
                func waitUntil(_ isFine: (JSON) -> Bool) async throws {
                    while true {
                        let budget = try await client.get(Self.budgets, namespace: "default", name: "b")
                        if isFine(budget.status) { return }
                        try await Task.sleep(for: .milliseconds(5))
                    }
                }
                func evict(_ name: String) async throws {
                    let eviction = KubeObject(
                        .init("policy", "v1", "Eviction"), namespace: "default", name: name)
                    _ = try await client.create(
                        .pods, namespace: "default", name: name, subresource: "eviction", object: eviction,
                        options: .init())
                }
                try await waitUntil { $0["disruptionsAllowed"]?.int == 1 && $0["expectedPods"]?.int == 2 }
                // Counted again, it is the same: nothing is written.
                let stored = try await client.get(Self.budgets, namespace: "default", name: "b")
                let pods = try await client.list(.pods, namespace: "default", options: .init()).items
                let again = BudgetCount(stored, pods: pods, scale: 0, now: Self.now)
                #expect(again.status(of: stored, now: Self.now) == stored.status)
                try await evict("p1")
                try await waitUntil { $0["disruptionsAllowed"]?.int == 0 && $0["currentHealthy"]?.int == 1 }
                do {
                    try await evict("p2")
                    Issue.record("The last healthy pod was evicted")
                } catch let error as StatusError {
                    #expect(error.code == 429)
                }
            }
        }
    }
}
