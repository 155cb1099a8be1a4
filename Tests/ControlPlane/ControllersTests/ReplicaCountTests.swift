// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

@testable import Controllers

@Suite struct ReplicaCountTests {
    private func pod(
        _ name: String, node: String = "n", phase: String = "Running", ready: String? = "2026-01-01T00:00:00Z",
        cost: String? = nil, created: String = "2026-01-01T00:00:00Z", restarts: Int = 0
    ) -> PodView {
        var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: name)
        pod.json["metadata", "creationTimestamp"] = .string(created)
        if let cost {
            pod.json["metadata", "annotations"] = ["controller.kubernetes.io/pod-deletion-cost": .string(cost)]
        }
        pod.json["spec"] = node.isEmpty ? [:] : ["nodeName": .string(node)]
        pod.json["status"] = [
            "phase": .string(phase), "containerStatuses": [["restartCount": JSON(restarts)]],
            "conditions": [
                [
                    "type": "Ready", "status": ready == nil ? "False" : "True",
                    "lastTransitionTime": .string(ready ?? ""),
                ]
            ],
        ]
        return PodView(pod)
    }

    private func first(_ pods: PodView...) -> String {
        ReplicaCount.deletionOrder(pods, podsPerNode: ["n": 1, "full": 5]).first?.object.name ?? ""
    }

    @Test func deletesFirstWhatIsMissedLeast() {
        let plain = pod("plain")
        #expect(first(plain, pod("x", node: "", phase: "Pending", ready: nil)) == "x")
        #expect(first(plain, pod("x", phase: "Pending", ready: nil)) == "x")
        #expect(first(plain, pod("x", ready: nil)) == "x")
        #expect(first(plain, pod("x", cost: "-5")) == "x")
        #expect(first(plain, pod("x", node: "full")) == "x")
        #expect(first(plain, pod("x", ready: "2026-01-01T01:00:00Z")) == "x")
        #expect(first(plain, pod("x", restarts: 3)) == "x")
        #expect(first(plain, pod("x", created: "2026-01-01T01:00:00Z")) == "x")
        #expect(first(pod("costly", cost: "100"), plain) == "plain")
    }

    @Test func countsAReadyPodAsAvailableAfterItsTime() throws {
        let now = try #require(KubeTime("2026-01-01T00:00:10Z"))
        #expect(ReplicaCount.secondsUntilAvailable(pod("a"), minReadySeconds: 0, now: now) == 0)
        #expect(ReplicaCount.secondsUntilAvailable(pod("a"), minReadySeconds: 30, now: now) == 20)
        #expect(ReplicaCount.secondsUntilAvailable(pod("a"), minReadySeconds: 10, now: now) == 0)
        #expect(ReplicaCount.secondsUntilAvailable(pod("a", ready: nil), minReadySeconds: 0, now: now) == nil)
    }

    @Test func countsOfZeroAreLeftOutOfAStatus() {
        var status: JSON = ["replicas": 2, "readyReplicas": 1]
        status.setCount("replicas", 3)
        status.setCount("readyReplicas", 0)
        status.setCount("availableReplicas", 0)
        #expect(status == ["replicas": 3])
    }
}
