// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

@testable import Controllers

@Suite struct RollingUpdatePlanTests {
    private func member(
        _ name: String, _ replicas: Int, available: Int? = nil, created: String = "2026-01-01T00:00:00Z",
        maximum: Int? = nil
    ) -> RollingUpdatePlan.Member {
        .init(
            name: name, replicas: replicas, available: available ?? replicas, created: created, maximum: maximum)
    }

    @Test(arguments: [
        (current: 0, total: 10, expected: 3),
        (current: 3, total: 13, expected: 3),
        (current: 3, total: 10, expected: 6),
        (current: 10, total: 10, expected: 10),
        (current: 12, total: 12, expected: 10),
    ])
    func growsTheNewReplicaSetIntoTheSurge(current: Int, total: Int, expected: Int) {
        let plan = RollingUpdatePlan(replicas: 10, maxSurge: 3, maxUnavailable: 2)
        #expect(plan.newSize(current: current, total: total) == expected)
    }

    @Test func shrinksOldReplicaSetsOnlyAsFarAsAvailabilityAllows() {
        let plan = RollingUpdatePlan(replicas: 10, maxSurge: 3, maxUnavailable: 2)
        // All ten old pods are available, none of the three new ones is.
        #expect(plan.oldSizes([member("old", 10)], newSize: 3, newUnavailable: 3) == ["old": 8])
        // Two went, the new ones came: as many old pods may go as leave eight available.
        #expect(plan.oldSizes([member("old", 8)], newSize: 5, newUnavailable: 0) == ["old": 3])
    }

    @Test func removesOldPodsThatAreNotAvailableFirst() {
        let plan = RollingUpdatePlan(replicas: 10, maxSurge: 0, maxUnavailable: 2)
        let old = [
            member("a", 8, available: 8, created: "2026-01-01T00:00:00Z"),
            member("b", 4, available: 0, created: "2026-01-02T00:00:00Z"),
        ]
        #expect(plan.oldSizes(old, newSize: 0, newUnavailable: 0) == ["b": 0])
    }

    @Test func neverGoesBelowTheAvailablePods() {
        let plan = RollingUpdatePlan(replicas: 4, maxSurge: 1, maxUnavailable: 0)
        #expect(plan.oldSizes([member("old", 4)], newSize: 1, newUnavailable: 1) == [:])
    }

    @Test func scalesInProportionAndLosesNothingToRounding() {
        // The example of the upstream documentation: 10 replicas, 8 old and 5 new, scaled to 15.
        let plan = RollingUpdatePlan(replicas: 15, maxSurge: 3, maxUnavailable: 2)
        let sizes = plan.proportionalSizes([
            member("old", 8, created: "2026-01-01T00:00:00Z", maximum: 13),
            member("new", 5, created: "2026-01-02T00:00:00Z", maximum: 13),
        ])
        #expect(sizes == ["old": 11, "new": 7])
    }

    @Test func scalesEverythingToNothing() {
        let plan = RollingUpdatePlan(replicas: 0, maxSurge: 3, maxUnavailable: 0)
        let sizes = plan.proportionalSizes([member("old", 8, maximum: 13), member("new", 5, maximum: 13)])
        #expect(sizes == ["old": 0, "new": 0])
    }

    @Test func anAbsurdNoteOfTheLastTotalIsSurvived() {
        let many = Int(Int32.max)
        let plan = RollingUpdatePlan(replicas: many, maxSurge: many, maxUnavailable: 0)
        let sizes = plan.proportionalSizes([member("a", many, maximum: 1), member("b", 1, maximum: 1)])
        #expect(sizes.values.reduce(0, +) == 2 * many)
    }

    @Test func numbersOfOthersAreBroughtIntoRange() {
        var replicaSet = KubeObject(.init("apps", "v1", "ReplicaSet"), namespace: "default", name: "r")
        replicaSet.json["metadata", "annotations"] = [
            "deployment.kubernetes.io/revision": "9223372036854775807",
            "deployment.kubernetes.io/max-replicas": "9223372036854775807",
        ]
        replicaSet.spec = ["replicas": .int(.max)]
        let view = ReplicaSetView(replicaSet)
        #expect(view.revision == Int(Int32.max))
        #expect(view.maximum == Int(Int32.max))
        #expect(view.replicas == Int(Int32.max))
    }
}

@Suite struct TemplateHashTests {
    @Test func dependsOnTheContentAndNotOnTheOrderOfKeys() {
        let one = TemplateHash.hash(of: ["a": 1, "b": ["c": 2, "d": 3]], collisionCount: 0)
        #expect(one == TemplateHash.hash(of: ["b": ["d": 3, "c": 2], "a": 1], collisionCount: 0))
        #expect(one != TemplateHash.hash(of: ["a": 1, "b": ["c": 2, "d": 4]], collisionCount: 0))
        #expect(one != TemplateHash.hash(of: ["a": 1, "b": ["c": 2, "d": 3]], collisionCount: 1))
    }
}
