// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Testing

@testable import APIServer

/// What the server makes of pods on their way in: generations and runtime classes.
@Suite struct PodRulesTests {
    private let pods = GroupVersionResource("", "v1", "pods")
    private let runtimeClasses = GroupVersionResource("node.k8s.io", "v1", "runtimeclasses")

    private func server() async throws -> TestRegistry {
        let test = try await TestRegistry()
        let account = KubeObject(.init("", "v1", "ServiceAccount"), namespace: "default", name: "default")
        _ = try await test.client.create(.init("", "v1", "serviceaccounts"), object: account)
        return test
    }

    private func pod(_ name: String, _ spec: JSON = [:]) -> KubeObject {
        var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: name)
        pod.spec = spec
        pod.json["spec", "containers"] = [["name": "c", "image": "i"]]
        return pod
    }

    private func bind(_ test: TestRegistry, _ name: String) async throws {
        let binding = KubeObject([
            "apiVersion": "v1", "kind": "Binding", "metadata": ["name": .string(name), "namespace": "default"],
            "target": ["kind": "Node", "name": "n1"],
        ])
        _ = try await test.client.create(
            pods, namespace: "default", name: name, subresource: "binding", object: binding, options: .init())
    }

    // MARK: Priorities

    @Test("a pod's priority and its preemption policy are those of its class")
    func priorities() async throws {
        let test = try await server()
        var patient = KubeObject(.init("scheduling.k8s.io", "v1", "PriorityClass"), namespace: "", name: "patient")
        patient.json["value"] = 7
        patient.json["preemptionPolicy"] = "Never"
        _ = try await test.client.create(.priorityClasses, object: patient)
        let made = try await test.client.create(pods, object: pod("p", ["priorityClassName": "patient"]))
        #expect(made.spec["priority"] == 7)
        #expect(made.spec["preemptionPolicy"] == "Never")
        let refused = await status {
            _ = try await test.client.create(pods, object: pod("q", ["preemptionPolicy": "Never"]))
        }
        #expect(refused?.code == 403)
        #expect(
            refused?.message == #"pods "q" is forbidden: the string value of PreemptionPolicy (Never) must not be "#
                + "provided in pod spec; priority admission controller computed PreemptLowerPriority from the given "
                + "PriorityClass name")
    }

    @Test("a pod that is bound is promised no node any more")
    func nominations() async throws {
        let test = try await server()
        var waiting = try await test.client.create(pods, object: pod("p"))
        waiting.status["nominatedNodeName"] = "n2"
        waiting = try await test.client.updateStatus(pods, object: waiting)
        #expect(waiting.status["nominatedNodeName"] == "n2")
        try await bind(test, "p")
        let bound = try await test.client.get(pods, namespace: "default", name: "p")
        #expect(bound.status["nominatedNodeName"] == nil)
    }

    // MARK: Generations

    @Test func onlyWhatUsersWishCountsAsGeneration() async throws {
        let test = try await server()
        func current() async throws -> KubeObject { try await test.client.get(pods, namespace: "default", name: "p") }
        _ = try await test.client.create(pods, object: pod("p"))
        try await bind(test, "p")
        var changed = try await current()
        #expect(changed.generation == 1)
        changed.json["metadata", "labels"] = ["a": "b"]
        changed = try await test.client.update(pods, object: changed)
        #expect(changed.generation == 1)
        changed.json["status", "phase"] = "Running"
        changed = try await test.client.updateStatus(pods, object: changed)
        #expect(changed.generation == 1)
        changed.json["spec", "activeDeadlineSeconds"] = 1000
        changed = try await test.client.update(pods, object: changed)
        #expect(changed.generation == 2)
        try await test.client.delete(
            pods, namespace: "default", name: "p", options: .init(gracePeriodSeconds: 30))
        changed = try await current()
        #expect(changed.generation == 3)
    }

    @Test func ephemeralContainersAndResizeCountAsGeneration() async throws {
        let test = try await server()
        _ = try await test.client.create(pods, object: pod("p"))
        try await bind(test, "p")
        var changed = try await test.client.get(pods, namespace: "default", name: "p")
        changed.json["spec", "ephemeralContainers"] = [["name": "e", "image": "i"]]
        changed = try await test.client.update(
            pods, subresource: "ephemeralcontainers", object: changed, options: .init())
        #expect(changed.generation == 2)
        changed.json["spec", "containers"] = [
            ["name": "c", "image": "i", "resources": ["requests": ["cpu": "100m"]]]
        ]
        changed = try await test.client.update(pods, subresource: "resize", object: changed, options: .init())
        #expect(changed.generation == 3)
    }

    // MARK: Deletion

    @Test func aRepeatedDeletionOnlyShortensThePeriodThatItNames() async throws {
        let test = try await server()
        _ = try await test.client.create(pods, object: pod("p"))
        try await bind(test, "p")
        func delete(_ seconds: Int?) async throws -> Int? {
            try await test.client.delete(
                pods, namespace: "default", name: "p", options: .init(gracePeriodSeconds: seconds))
            return try await test.client.get(pods, namespace: "default", name: "p")
                .metadata["deletionGracePeriodSeconds"]?.int
        }
        #expect(try await delete(600) == 600)
        #expect(try await delete(nil) == 600)
        #expect(try await delete(700) == 600)
        #expect(try await delete(20) == 20)
        #expect(try await delete(-1) == 1)
        try await test.client.delete(
            pods, namespace: "default", name: "p", options: .init(gracePeriodSeconds: 0))
        let error = await status { _ = try await test.client.get(pods, namespace: "default", name: "p") }
        #expect(error?.isNotFound == true)
    }

    @Test func aPeriodWithoutEndCanBeAddedToATime() async throws {
        let test = try await server()
        _ = try await test.client.create(
            pods, object: pod("p", ["terminationGracePeriodSeconds": .int(.max)]))
        try await bind(test, "p")
        try await test.client.delete(pods, namespace: "default", name: "p", options: .init())
        let marked = try await test.client.get(pods, namespace: "default", name: "p")
        #expect(marked.metadata["deletionGracePeriodSeconds"]?.int == Int(Int32.max))
    }

    // MARK: Label keys

    @Test func labelKeysBecomePartOfSelectors() async throws {
        let test = try await server()
        let term: JSON = [
            "topologyKey": "zone", "labelSelector": ["matchLabels": ["app": "web"]], "matchLabelKeys": ["version"],
            "mismatchLabelKeys": ["tenant", "absent"],
        ]
        let bare: JSON = ["topologyKey": "zone", "matchLabelKeys": ["version"]]
        let spread: JSON = [
            "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": ["matchLabels": ["app": "web"]], "matchLabelKeys": ["version"],
        ]
        var submitted = pod(
            "p",
            [
                "affinity": [
                    "podAffinity": ["requiredDuringSchedulingIgnoredDuringExecution": [term, bare]],
                    "podAntiAffinity": [
                        "preferredDuringSchedulingIgnoredDuringExecution": [["weight": 1, "podAffinityTerm": term]]
                    ],
                ], "topologySpreadConstraints": [spread],
            ])
        submitted.json["metadata", "labels"] = ["app": "web", "version": "2", "tenant": "t"]
        let made = try await test.client.create(pods, object: submitted)
        let version: JSON = ["key": "version", "operator": "In", "values": ["2"]]
        let merged: JSON = [version, ["key": "tenant", "operator": "NotIn", "values": ["t"]]]
        let affinity = made.spec["affinity"]
        let required = affinity?["podAffinity"]?["requiredDuringSchedulingIgnoredDuringExecution"]
        #expect(required?[0]?["labelSelector"] == ["matchLabels": ["app": "web"], "matchExpressions": merged])
        #expect(required?[1]?["labelSelector"] == nil)
        let preferred = affinity?["podAntiAffinity"]?["preferredDuringSchedulingIgnoredDuringExecution"]
        #expect(preferred?[0]?["podAffinityTerm"]?["labelSelector"]?["matchExpressions"] == merged)
        #expect(
            made.spec["topologySpreadConstraints"]?[0]?["labelSelector"]?["matchExpressions"] == .array([version]))
    }

    // MARK: Runtime classes

    private func addClass(_ test: TestRegistry, _ name: String, _ members: JSON = [:]) async throws {
        var object = KubeObject(.init("node.k8s.io", "v1", "RuntimeClass"), name: name)
        object.json["handler"] = "runc"
        for (key, value) in members.members { object.json[key] = value }
        _ = try await test.client.create(runtimeClasses, object: object)
    }

    @Test func podsOfAMissingRuntimeClassAreRefused() async throws {
        let test = try await server()
        let error = await status {
            _ = try await test.client.create(pods, object: pod("p", ["runtimeClassName": "none"]))
        }
        #expect(error?.code == 403)
        #expect(error?.message == #"pods "p" is forbidden: pod rejected: RuntimeClass "none" not found"#)
    }

    @Test func overheadIsThatOfTheRuntimeClass() async throws {
        let test = try await server()
        try await addClass(test, "heavy", ["overhead": ["podFixed": ["cpu": "500m", "memory": "64Mi"]]])
        try await addClass(test, "light")
        let created = try await test.client.create(pods, object: pod("a", ["runtimeClassName": "heavy"]))
        #expect(created.spec["overhead"] == ["cpu": "500m", "memory": "64Mi"])
        let same: JSON = ["runtimeClassName": "heavy", "overhead": ["cpu": "0.5", "memory": "64Mi"]]
        let agreeing = try await test.client.create(pods, object: pod("b", same))
        #expect(agreeing.spec["overhead"]?["cpu"] == "500m")
        let other = await status {
            let spec: JSON = ["runtimeClassName": "heavy", "overhead": ["cpu": "1"]]
            _ = try await test.client.create(pods, object: pod("c", spec))
        }
        #expect(other?.code == 403)
        #expect(other?.message.hasSuffix("Pod's Overhead doesn't match RuntimeClass's defined Overhead") == true)
        for spec: JSON in [["overhead": ["cpu": "1"]], ["runtimeClassName": "light", "overhead": ["cpu": "1"]]] {
            let error = await status { _ = try await test.client.create(pods, object: pod("d", spec)) }
            #expect(
                error?.message
                    == #"pods "d" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass "#
                    + "defined Overhead")
        }
    }

    @Test func schedulingOfTheRuntimeClassIsMerged() async throws {
        let test = try await server()
        let key = "node.kubernetes.io/not-ready"
        try await addClass(
            test, "placed",
            [
                "scheduling": [
                    "nodeSelector": ["disk": "fast"],
                    "tolerations": [
                        ["key": "board", "operator": "Exists"],
                        ["key": .string(key), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300],
                    ],
                ]
            ])
        let spec: JSON = ["runtimeClassName": "placed", "nodeSelector": ["zone": "a"]]
        let created = try await test.client.create(pods, object: pod("a", spec))
        #expect(created.spec["nodeSelector"] == ["zone": "a", "disk": "fast"])
        let keys = (created.spec["tolerations"]?.elements ?? []).compactMap { $0["key"]?.string }
        #expect(keys.sorted() == ["board", key, "node.kubernetes.io/unreachable"])
        let error = await status {
            let spec: JSON = ["runtimeClassName": "placed", "nodeSelector": ["disk": "slow"]]
            _ = try await test.client.create(pods, object: pod("b", spec))
        }
        #expect(error?.code == 403)
        #expect(
            error?.message
                == #"pods "b" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[disk] = fast; "#
                + "pod.spec.nodeSelector[disk] = slow")
    }
}
