// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import KubeClient
import NIOCore
import NIOHTTP1
import Storage
import Testing

@testable import APIServer

/// What upstream's strategies and admission do to objects on their way in, and what they refuse.
@Suite struct WriteRulesTests {
    private static let claims = GroupVersionResource.persistentVolumeClaims
    private static let budgets = GroupVersionResource("policy", "v1", "poddisruptionbudgets")

    private func object(_ kind: GroupVersionKind, _ name: String, _ members: JSON = [:]) -> KubeObject {
        var object = KubeObject(kind, namespace: "", name: name)
        for (key, value) in members.members { object.json[key] = value }
        return object
    }

    private func namespaced(_ kind: GroupVersionKind, _ name: String, _ members: JSON = [:]) -> KubeObject {
        var object = object(kind, name, members)
        object.namespace = "default"
        return object
    }

    private func merge(
        _ test: TestRegistry, _ resource: GroupVersionResource, _ name: String, _ patch: JSON,
        subresource: String? = nil, isNamespaced: Bool = true
    ) async throws -> KubeObject {
        try await test.client.patch(
            resource, namespace: isNamespaced ? "default" : nil, name: name, subresource: subresource, type: .merge,
            patch: patch, options: .init())
    }

    // MARK: Versions

    @Test func aPatchNeedsNoVersionWhereAnUpdateDoes() async throws {
        let test = try await TestRegistry()
        let lease = try await test.client.create(
            .leases, object: namespaced(.init("coordination.k8s.io", "v1", "Lease"), "a"))
        let labelled = try await merge(test, .leases, "a", ["metadata": ["labels": ["x": "y"]]])
        #expect(labelled.labels == ["x": "y"])
        var unversioned = labelled
        unversioned.resourceVersion = ""
        let refused = await status { [unversioned] in _ = try await test.client.update(.leases, object: unversioned) }
        #expect(refused?.code == 422)
        #expect(refused?.message.contains("metadata.resourceVersion: Invalid value") == true)
        let stale = await status {
            _ = try await merge(
                test, .leases, "a",
                ["metadata": ["resourceVersion": .string(lease.resourceVersion), "labels": ["x": "z"]]])
        }
        #expect(stale?.isConflict == true)

        _ = try await test.client.create(
            Self.budgets,
            object: namespaced(.init("policy", "v1", "PodDisruptionBudget"), "b", ["spec": ["minAvailable": 1]]))
        let changed = try await merge(test, Self.budgets, "b", ["spec": ["minAvailable": 2]])
        #expect(changed.spec["minAvailable"]?.int == 2)
        let counted = try await merge(
            test, Self.budgets, "b", ["status": ["currentHealthy": 3]], subresource: "status")
        #expect(counted.status["currentHealthy"]?.int == 3)
    }

    @Test func concurrentPatchesOfAVersionedKindAllArrive() async throws {
        let test = try await TestRegistry()
        _ = try await test.client.create(
            .leases, object: namespaced(.init("coordination.k8s.io", "v1", "Lease"), "a"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    _ = try await merge(test, .leases, "a", ["metadata": ["labels": ["l\(number)": "x"]]])
                }
            }
            try await group.waitForAll()
        }
        #expect(try await test.client.get(.leases, namespace: "default", name: "a").labels.count == 8)
    }

    @Test func anAutoscalerIsReplacedWithoutItsVersion() async throws {
        let test = try await TestRegistry()
        let scalers = GroupVersionResource("autoscaling", "v2", "horizontalpodautoscalers")
        let target: JSON = ["kind": "Deployment", "name": "web", "apiVersion": "apps/v1"]
        var scaler = try await test.client.create(
            scalers,
            object: namespaced(
                .init("autoscaling", "v2", "HorizontalPodAutoscaler"), "a",
                ["spec": ["scaleTargetRef": target, "maxReplicas": 3]]))
        scaler.resourceVersion = ""
        scaler.spec["maxReplicas"] = 4
        #expect(try await test.client.update(scalers, object: scaler).spec["maxReplicas"]?.int == 4)
    }

    @Test func theOlderVersionOfAnAutoscalerKeepsWhatItCannotSay() async throws {
        let test = try await TestRegistry()
        let older = GroupVersionResource("autoscaling", "v1", "horizontalpodautoscalers")
        let newer = GroupVersionResource("autoscaling", "v2", "horizontalpodautoscalers")
        func cpu(_ percent: JSON) -> JSON {
            [
                "type": "Resource",
                "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": percent]],
            ]
        }
        let requests: JSON = [
            "type": "Pods",
            "pods": ["metric": ["name": "requests"], "target": ["type": "AverageValue", "averageValue": "10"]],
        ]
        let behaviour: JSON = ["scaleDown": ["stabilizationWindowSeconds": 60]]
        let target: JSON = ["kind": "Deployment", "name": "web", "apiVersion": "apps/v1"]
        _ = try await test.client.create(
            newer,
            object: namespaced(
                .init("autoscaling", "v2", "HorizontalPodAutoscaler"), "a",
                [
                    "spec": [
                        "scaleTargetRef": target, "maxReplicas": 3, "metrics": [requests, cpu(50)],
                        "behavior": behaviour,
                    ]
                ]))
        var seen = try await test.client.get(older, namespace: "default", name: "a")
        #expect(seen.spec["targetCPUUtilizationPercentage"] == 50)
        seen.spec["maxReplicas"] = 4
        seen.spec["targetCPUUtilizationPercentage"] = 60
        _ = try await test.client.update(older, object: seen)
        var kept = try await test.client.get(newer, namespace: "default", name: "a")
        #expect(kept.spec["maxReplicas"] == 4)
        #expect(kept.spec["metrics"] == [requests, cpu(60)])
        #expect(kept.spec["behavior"]?["scaleDown"]?["stabilizationWindowSeconds"] == 60)
        _ = try await merge(test, older, "a", ["spec": ["targetCPUUtilizationPercentage": .null]])
        kept = try await test.client.get(newer, namespace: "default", name: "a")
        #expect(kept.spec["metrics"] == .array([requests]))
        #expect(kept.spec["behavior"] != nil)
    }

    @Test func appliedStatusNeedsItsObject() async throws {
        let test = try await TestRegistry()
        var options = WriteOptions()
        options.fieldManager = "m"
        let patch: JSON = [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": "a"], "status": ["phase": "Running"],
        ]
        let error = await status { [options] in
            _ = try await test.client.patch(
                .pods, namespace: "default", name: "a", subresource: "status", type: .apply, patch: patch,
                options: options)
        }
        #expect(error?.isNotFound == true)
    }

    // MARK: What answers show

    @Test func aDryRunHasNoVersion() async throws {
        let test = try await TestRegistry()
        var options = WriteOptions()
        options.dryRun = true
        let served = try test.registry.served(.configMaps)
        let written = try await test.registry.create(
            served, namespace: "default", object: configMap("a", ["k": "v"]), options: options,
            context: RequestContext(user: .loopback))
        let metadata = try #require(try JSON.parse(written.bytes)["metadata"])
        #expect(metadata["resourceVersion"] == nil)
        #expect(metadata["name"] == "a")
        #expect(metadata["uid"] != nil)
    }

    @Test(arguments: [
        (#"{"kind":"A","apiVersion":"v1","metadata":{"name":"a"}}"#, #"{"name":"a"}"#),
        (#"{"kind":"A","apiVersion":"v1","metadata":{"labels":{}}}"#, #"{"labels":{}}"#),
        (#"{"kind":"A","apiVersion":"v1","metadata":{"name":"a","labels":{}}}"#, #"{"name":"a","labels":{}}"#),
        (#"{"kind":"A","apiVersion":"v1","metadata":{}}"#, #"{}"#),
    ])
    func bytesCanDoWithoutAVersion(text: String, metadata: String) throws {
        let encoded = ObjectCodec.encode(KubeObject(try JSON.parse(text)))
        #expect(try JSON.parse(encoded.bytes(at: nil))["metadata"]?.text() == metadata)
    }

    @Test(arguments: [
        ("apps", "v1", "ReplicaSet", #"{"replicas":0}"#),
        ("apps", "v1", "Deployment", "{}"),
        ("apps", "v1", "StatefulSet", #"{"replicas":0,"availableReplicas":0}"#),
        ("networking.k8s.io", "v1", "Ingress", #"{"loadBalancer":{}}"#),
        ("", "v1", "Service", #"{"loadBalancer":{}}"#),
    ])
    func aNewStatusHasItsZeros(group: String, version: String, kind: String, status: String) throws {
        #expect(ObjectRules.emptyStatus(of: .init(group, version, kind)) == (try JSON.parse(status)))
    }

    @Test func aNewBudgetCountsNothing() async throws {
        let test = try await TestRegistry()
        let created = try await test.client.create(
            Self.budgets,
            object: namespaced(
                .init("policy", "v1", "PodDisruptionBudget"), "b",
                ["spec": ["minAvailable": 1], "status": ["disruptionsAllowed": 9]]))
        #expect(
            created.status == [
                "disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0,
            ])
    }

    @Test func anObjectThatIsBeingDeletedHasNoEmptyFinalizers() async throws {
        let test = try await TestRegistry()
        _ = try await test.client.create(.namespaces, object: object(.init("", "v1", "Namespace"), "n"))
        let served = try test.registry.served(.namespaces)
        let marked = try await test.registry.delete(
            served, namespace: "", name: "n", options: .init(), context: RequestContext(user: .loopback))
        #expect(marked.object.isBeingDeleted)
        #expect(marked.object.metadata["finalizers"] == nil)
    }

    // MARK: Volumes and classes

    private func claim(_ name: String, _ spec: JSON = [:]) -> KubeObject {
        var spec = spec
        spec["accessModes"] = ["ReadWriteOnce"]
        spec["resources"] = ["requests": ["storage": "1Gi"]]
        return namespaced(.init("", "v1", "PersistentVolumeClaim"), name, ["spec": spec])
    }

    @Test func volumesAndClaimsAreProtectedFromTheStart() async throws {
        let test = try await TestRegistry()
        let claim = try await test.client.create(Self.claims, object: claim("a"))
        #expect(claim.finalizers == ["kubernetes.io/pvc-protection"])
        #expect(claim.status["phase"] == "Pending")
        #expect(claim.spec["storageClassName"] == nil)
        var volume = object(
            .init("", "v1", "PersistentVolume"), "v",
            [
                "spec": [
                    "capacity": ["storage": "1Gi"], "accessModes": ["ReadWriteOnce"], "hostPath": ["path": "/data"],
                ]
            ])
        volume.json["metadata", "finalizers"] = ["example.com/a", "kubernetes.io/pv-protection"]
        let created = try await test.client.create(.persistentVolumes, object: volume)
        #expect(created.finalizers == ["example.com/a", "kubernetes.io/pv-protection"])
        #expect(created.status["phase"] == "Pending")
        #expect(created.status["lastPhaseTransitionTime"]?.string == created.creationTimestamp)
    }

    @Test func claimsGetTheDefaultClassUnlessTheyNameOne() async throws {
        let test = try await TestRegistry()
        let classes = GroupVersionResource("storage.k8s.io", "v1", "storageclasses")
        for name in ["b", "a", "other"] {
            var storageClass = object(
                .init("storage.k8s.io", "v1", "StorageClass"), name, ["provisioner": "example.com/p"])
            if name != "other" {
                storageClass.json["metadata", "annotations"] = ["storageclass.kubernetes.io/is-default-class": "true"]
            }
            _ = try await test.client.create(classes, object: storageClass)
        }
        let chosen = try await test.client.create(Self.claims, object: claim("none"))
        // Equally old, so the first by name.
        #expect(chosen.spec["storageClassName"] == "a")
        let named = try await test.client.create(Self.claims, object: claim("named", ["storageClassName": "other"]))
        #expect(named.spec["storageClassName"] == "other")
        let empty = try await test.client.create(Self.claims, object: claim("empty", ["storageClassName": ""]))
        #expect(empty.spec["storageClassName"] == "")
    }

    @Test func theNewestDefaultClassWins() {
        func candidate(_ name: String, _ time: String, _ mark: JSON) -> KubeObject {
            KubeObject([
                "metadata": ["name": .string(name), "creationTimestamp": .string(time), "annotations": ["d": mark]]
            ])
        }
        let all = [
            candidate("old", "2026-01-01T00:00:00Z", "true"), candidate("new", "2026-01-02T00:00:00Z", "true"),
            candidate("not", "2026-01-03T00:00:00Z", "false"),
        ]
        #expect(DefaultClass.newest(of: all, markedBy: ["d"]) == "new")
        #expect(DefaultClass.newest(of: all, markedBy: ["e"]) == nil)
    }

    @Test func ingressesGetTheDefaultClass() async throws {
        let test = try await TestRegistry()
        var ingressClass = object(
            .init("networking.k8s.io", "v1", "IngressClass"), "nginx", ["spec": ["controller": "example.com/c"]])
        ingressClass.json["metadata", "annotations"] = ["ingressclass.kubernetes.io/is-default-class": "true"]
        _ = try await test.client.create(.init("networking.k8s.io", "v1", "ingressclasses"), object: ingressClass)
        let ingresses = GroupVersionResource("networking.k8s.io", "v1", "ingresses")
        let spec: JSON = ["spec": ["defaultBackend": ["service": ["name": "s", "port": ["number": 80]]]]]
        var ingress = namespaced(.init("networking.k8s.io", "v1", "Ingress"), "a", spec)
        #expect(try await test.client.create(ingresses, object: ingress).spec["ingressClassName"] == "nginx")
        ingress.name = "b"
        ingress.json["metadata", "annotations"] = ["kubernetes.io/ingress.class": "traefik"]
        #expect(try await test.client.create(ingresses, object: ingress).spec["ingressClassName"] == nil)
    }

    // MARK: Refusals

    @Test func systemPriorityClassesStay() async throws {
        let test = try await TestRegistry()
        let name = "system-node-critical"
        _ = try await test.client.create(
            .priorityClasses,
            object: object(.init("scheduling.k8s.io", "v1", "PriorityClass"), name, ["value": 2_000_001_000]))
        let error = await status {
            try await test.client.delete(.priorityClasses, namespace: nil, name: name, options: .init())
        }
        #expect(error?.code == 403)
        #expect(
            error?.message == #"priorityclasses.scheduling.k8s.io "\#(name)" is forbidden: "#
                + "this is a system priority class and cannot be deleted")
    }

    @Test("of a priority class only the description and the default change, and one is the default")
    func priorityClasses() async throws {
        let test = try await TestRegistry()
        func create(_ name: String, _ members: JSON) async throws -> KubeObject {
            try await test.client.create(
                .priorityClasses, object: object(.init("scheduling.k8s.io", "v1", "PriorityClass"), name, members))
        }
        func patch(_ name: String, _ patch: JSON) async -> StatusError? {
            await status { _ = try await merge(test, .priorityClasses, name, patch, isNamespaced: false) }
        }
        var first = try await create("first", ["value": 1, "globalDefault": true])
        _ = try await create("second", ["value": 2])
        #expect(await patch("first", ["value": 10])?.code == 422)
        #expect(await patch("first", ["preemptionPolicy": "Never"])?.code == 422)
        #expect(await patch("first", ["description": "d", "globalDefault": true]) == nil)
        first = try await test.client.get(.priorityClasses, namespace: nil, name: "first")
        #expect(first.json["description"] == "d")
        first.json["value"] = 10
        let update = await status { [first] in _ = try await test.client.update(.priorityClasses, object: first) }
        #expect(update?.code == 422)
        #expect(update?.message.contains("may not be changed in an update.") == true)
        let taken = await patch("second", ["globalDefault": true])
        #expect(taken?.code == 403)
        #expect(
            taken?.message == #"priorityclasses.scheduling.k8s.io "second" is forbidden: "#
                + "PriorityClass first is already marked as default. Only one default can exist")
        let third = await status { _ = try await create("third", ["value": 3, "globalDefault": true]) }
        #expect(third?.code == 403)
        #expect(await patch("first", ["globalDefault": false]) == nil)
        #expect(await patch("second", ["globalDefault": true]) == nil)
    }

    @Test func aNodeKeepsItsRangesAndItsProvider() async throws {
        let test = try await TestRegistry()
        _ = try await test.client.create(.nodes, object: object(.init("", "v1", "Node"), "n"))
        func patch(_ spec: JSON) async -> StatusError? {
            await status { _ = try await merge(test, .nodes, "n", ["spec": spec], isNamespaced: false) }
        }
        #expect(await patch(["podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"], "providerID": "a://b"]) == nil)
        #expect(
            await patch(["podCIDR": "10.2.0.0/24"])?.message
                == #"Node "n" is invalid: spec.podCIDRs: Forbidden: node updates may not change podCIDR except "#
                + #"from "" to valid"#)
        #expect(await patch(["podCIDR": nil, "podCIDRs": nil])?.code == 422)
        #expect(
            await patch(["providerID": "c://d"])?.message
                == #"Node "n" is invalid: spec.providerID: Forbidden: node updates may not change providerID except "#
                + #"from "" to valid"#)
    }

    @Test func finalizersAreStandardOrQualified() async throws {
        let test = try await TestRegistry()
        var map = configMap("a")
        map.json["metadata", "finalizers"] = ["bad"]
        let refused = await status { [map] in _ = try await test.client.create(.configMaps, object: map) }
        #expect(refused?.code == 422)
        #expect(
            refused?.message == #"ConfigMap "a" is invalid: metadata.finalizers[0]: Invalid value: "bad": "#
                + "name is neither a standard finalizer name nor is it fully qualified")
        map.json["metadata", "finalizers"] = ["orphan", "example.com/good"]
        _ = try await test.client.create(.configMaps, object: map)
        let patched = await status {
            _ = try await merge(test, .configMaps, "a", ["metadata": ["finalizers": ["orphan", "worse"]]])
        }
        #expect(patched?.details?.causes.first?.field == "metadata.finalizers[1]")
    }

    @Test func anEvictionWaitsForABudgetThatNobodyHasCounted() async throws {
        let test = try await TestRegistry()
        _ = try await test.client.create(
            .serviceAccounts, object: namespaced(.init("", "v1", "ServiceAccount"), "default"))
        var pod = namespaced(
            .init("", "v1", "Pod"), "p", ["spec": ["containers": [["name": "c", "image": "i"]]]])
        pod.json["metadata", "labels"] = ["a": "b"]
        var running = try await test.client.create(.pods, object: pod)
        running.status = ["phase": "Running", "conditions": [["type": "Ready", "status": "True"]]]
        _ = try await test.client.updateStatus(.pods, object: running)
        let selector: JSON = ["matchLabels": ["a": "b"]]
        _ = try await test.client.create(
            Self.budgets,
            object: namespaced(
                .init("policy", "v1", "PodDisruptionBudget"), "pdb",
                ["spec": ["minAvailable": 1, "selector": selector]]))
        let eviction = namespaced(.init("policy", "v1", "Eviction"), "p")
        func evict() async -> StatusError? {
            await status {
                _ = try await test.client.create(
                    .pods, namespace: "default", name: "p", subresource: "eviction", object: eviction,
                    options: .init())
            }
        }
        let early = await evict()
        #expect(early?.code == 429)
        #expect(early?.message == "Cannot evict pod as it would violate the pod's disruption budget.")
        #expect(
            early?.details?.causes.first?.message
                == "The disruption budget pdb is still being processed by the server.")
        #expect(early?.details?.retryAfterSeconds == 10)
        let counted: JSON = ["observedGeneration": 1, "desiredHealthy": 1, "currentHealthy": 1]
        _ = try await merge(test, Self.budgets, "pdb", ["status": counted], subresource: "status")
        let late = await evict()
        #expect(late?.details?.retryAfterSeconds == 0)
        #expect(
            late?.details?.causes.first?.message
                == "The disruption budget pdb needs 1 healthy pods and has 1 currently")
        // A pod that is not ready counts for nothing, so that its going takes nothing from a budget that is kept.
        _ = try await merge(
            test, .pods, "p", ["status": ["conditions": [["type": "Ready", "status": "False"]]]],
            subresource: "status")
        #expect(await evict() == nil)
    }

    // MARK: Requests

    @Test(arguments: [
        ("5s", nil), ("1h15m30.5s", nil), ("0", nil), ("-1.5ms", nil),
        ("5invalid", #"time: unknown unit "invalid" in duration "5invalid""#),
        ("5", #"time: missing unit in duration "5""#), ("soon", #"time: invalid duration "soon""#),
        ("1..5s", #"time: invalid duration "1..5s""#), (".s", #"time: invalid duration ".s""#),
    ])
    func timeoutsAreDurations(text: String, problem: String?) async {
        let error = await status { _ = try QueryParameters("timeout=\(text)").timeout() }
        #expect(error?.message == problem.map { "invalid timeout specified in the request URL - \($0)" })
        #expect(error?.code == (problem == nil ? nil : 400))
    }

    @Test(arguments: [
        ("5s", Duration.seconds(5)), ("1h15m30.5s", .milliseconds(4_530_500)), (".5s", .milliseconds(500)),
        ("1.s", .seconds(1)), ("250ms", .milliseconds(250)), ("0", nil), ("-1.5ms", nil), ("", nil),
    ])
    func timeoutsSayHowLongTheClientWaits(text: String, duration: Duration?) throws {
        #expect(try QueryParameters("timeout=\(text)").timeout() == duration)
    }

    private func patchCall(_ type: String, _ query: String, _ body: String) -> APICall {
        APICall(
            HTTPRequest(
                method: .PATCH, uri: "/api/v1/namespaces/default/configmaps/a?\(query)",
                headers: ["Content-Type": type], body: ByteBuffer(string: body),
                peer: HTTPPeer(address: nil, certificate: nil)))
    }

    @Test func onlyAnApplyIsForced() async throws {
        let merge = patchCall("application/merge-patch+json", "force=true", "{}")
        let error = await status { _ = try merge.patch() }
        #expect(error?.code == 422)
        #expect(
            error?.message
                == #"PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch"#
        )
        _ = try patchCall("application/apply-patch+yaml", "force=true", "a: b").patch()
    }

    @Test func duplicatesInAnApplyAreTold() async throws {
        let test = try await TestRegistry()
        let body = #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"1","k":"2"}}"#
        let (type, patch, duplicates) = try patchCall("application/apply-patch+yaml", "", body).patch()
        func apply(_ fieldValidation: String) async throws -> [String] {
            var options = WriteOptions(fieldManager: "test")
            options.fieldValidation = fieldValidation
            let context = RequestContext(user: .loopback)
            _ = try await test.registry.patch(
                .init(
                    served: try test.registry.served(.configMaps), namespace: "default", name: "a", subresource: "",
                    type: type, patch: patch, duplicates: duplicates, options: options), context: context)
            return context.warnings.all
        }
        let error = await status { _ = try await apply("Strict") }
        #expect(error?.code == 400)
        #expect(
            error?.message
                == "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  "
                + #"key "k" already set in map"#)
        #expect(try await apply("") == [#"key "k" already set in map"#])
        #expect(try await apply("Ignore") == [])
        let applied = try await test.client.get(.configMaps, namespace: "default", name: "a")
        #expect(applied.json["data"] == ["k": "2"])
    }

    @Test(arguments: ["application/merge-patch+json", "application/strategic-merge-patch+json"])
    func duplicatesInAPatchAreTold(type: String) async throws {
        let test = try await TestRegistry()
        _ = try await test.client.create(.configMaps, object: configMap("a"))
        let body = #"{"data":{"k":"1","k":"2"},"unknown":1}"#
        let (patchType, patch, duplicates) = try patchCall(type, "", body).patch()
        func write(_ fieldValidation: String) async throws -> [String] {
            var options = WriteOptions()
            options.fieldValidation = fieldValidation
            let context = RequestContext(user: .loopback)
            _ = try await test.registry.patch(
                .init(
                    served: try test.registry.served(.configMaps), namespace: "default", name: "a", subresource: "",
                    type: patchType, patch: patch, duplicates: duplicates, options: options), context: context)
            return context.warnings.all
        }
        let problems = [#"duplicate field "data.k""#, #"unknown field "unknown""#]
        let error = await status { _ = try await write("Strict") }
        #expect(error?.code == 422)
        #expect(
            error?.message.hasSuffix("strict decoding error: \(problems.joined(separator: ", "))") == true,
            "\(error?.message ?? "")")
        #expect(error?.details?.causes.first?.field == "patch")
        #expect(try await write("Warn") == problems)
        #expect(try await write("Ignore") == [])
    }

    @Test func reviewsHaveNoTables() throws {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io"
        let error = #expect(throws: StatusError.self) {
            try Negotiated.choose(accept: table, supportsTables: false)
        }
        #expect(error?.code == 406)
        #expect(try Negotiated.choose(accept: "\(table),application/json", supportsTables: false) == .json)
    }
}
