// SPDX-License-Identifier: Apache-2.0

import APIServer
import APIServerFixture
import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Testing

@testable import Controllers

/// The three loops that deal with lost nodes and their pods, over the real API; the time is theirs to be told.
@Suite struct NodeLoopsTests {
    static let now = KubeTime(seconds: 1_800_000_000)

    /// What a test works with.
    struct Fixture {
        let client: InProcessClient
        let context: ControllerContext

        /// Waits until the loops' copy shows what the API has; the test's own limit ends a wait in vain.
        func catchUp(_ resource: GroupVersionResource) async throws {
            func revisions(_ objects: [KubeObject]) -> Set<String> {
                Set(objects.map { "\($0.key) \($0.resourceVersion)" })
            }
            let wanted = revisions(try await client.list(resource, namespace: nil, options: .init()).items)
            let informer = context.informers.informer(resource)
            while revisions(informer.list()) != wanted { try await Task.sleep(for: .milliseconds(5)) }
        }

        @discardableResult
        func addNode(_ name: String, ready: String = "True", taints: [JSON] = []) async throws -> KubeObject {
            var node = KubeObject(.init("", "v1", "Node"), name: name)
            if !taints.isEmpty { node.spec = ["taints": .array(taints)] }
            var created = try await client.create(.nodes, object: node)
            created.status = [
                "conditions": [
                    [
                        "type": "Ready", "status": .string(ready), "reason": "Test",
                        "lastHeartbeatTime": .string(NodeLoopsTests.now.text),
                        "lastTransitionTime": .string(NodeLoopsTests.now.text),
                    ]
                ]
            ]
            return try await client.updateStatus(.nodes, object: created)
        }

        @discardableResult
        func addPod(
            _ name: String, on node: String, tolerations: [JSON] = [], status: JSON = ["phase": "Running"]
        ) async throws -> KubeObject {
            var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: name)
            pod.spec = ["containers": [["name": "c", "image": "i"]]]
            if !node.isEmpty { pod.spec["nodeName"] = .string(node) }
            if !tolerations.isEmpty { pod.spec["tolerations"] = .array(tolerations) }
            var created = try await client.create(.pods, object: pod)
            created.status = status
            return try await client.updateStatus(.pods, object: created)
        }

        func pod(_ name: String) async throws -> KubeObject {
            try await client.get(.pods, namespace: "default", name: name)
        }

        func podNames() async throws -> [String] {
            try await client.list(.pods, namespace: "default", options: .init()).items.map(\.name).sorted()
        }
    }

    /// Runs the informers of a loop, but not the loop.
    private func withLoop<Loop: ControlLoop>(
        _ make: @escaping @Sendable (ControllerContext) -> Loop, isRunning: Bool = false,
        _ body: @Sendable @escaping (Fixture, Loop) async throws -> Void
    ) async throws {
        try await ServedAPI.run { api in
            let context = api.controllerContext { Self.now }
            let loop = make(context)
            _ = try await api.client.create(
                .serviceAccounts,
                object: KubeObject(.init("", "v1", "ServiceAccount"), namespace: "default", name: "default"))
            try await api.withControllers(context, isRunning ? [loop] : []) {
                try await body(Fixture(client: api.client, context: context), loop)
            }
        }
    }

    private func key(_ name: String) -> ObjectKey { ObjectKey(namespace: "default", name: name) }

    // MARK: Lost nodes

    @Test(.timeLimit(.minutes(1))) func aSilentNodeIsReportedAndTaintedAndItsPodsLeaveServices() async throws {
        try await withLoop({ NodeLifecycleController(context: $0) }) { fixture, loop in
            for name in ["n1", "n2", "n3"] { try await fixture.addNode(name) }
            let ready: JSON = ["type": "Ready", "status": "True", "lastTransitionTime": .string(Self.now.text)]
            try await fixture.addPod("p", on: "n1", status: ["phase": "Running", "conditions": [ready]])
            try await fixture.catchUp(.nodes)
            try await fixture.catchUp(.pods)
            let node = ObjectKey(namespace: "", name: "n1")
            let start = ContinuousClock.now
            let before = try await fixture.client.get(.nodes, namespace: nil, name: "n1")

            // In time nothing is written, and the next look is when the grace period ends.
            let left = try #require(try await loop.reconcile(node, at: start))
            #expect(left > .zero && left <= NodeLifecycleController.gracePeriod)
            var current = try await fixture.client.get(.nodes, namespace: nil, name: "n1")
            #expect(current.resourceVersion == before.resourceVersion)

            // Too late.
            let late = start + NodeLifecycleController.gracePeriod
            _ = try await loop.reconcile(node, at: late)
            current = try await fixture.client.get(.nodes, namespace: nil, name: "n1")
            #expect(current.condition("Ready")?.status == "Unknown")
            #expect(current.condition("Ready")?.reason == "NodeStatusUnknown")
            #expect(current.condition("DiskPressure")?.reason == "NodeStatusNeverUpdated")
            try await fixture.catchUp(.nodes)
            _ = try await loop.reconcile(node, at: late)
            current = try await fixture.client.get(.nodes, namespace: nil, name: "n1")
            let taints = current.spec["taints"]?.elements.map {
                "\($0["key"]?.string ?? ""):\($0["effect"]?.string ?? "")"
            }
            #expect(
                taints == [
                    "node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute",
                ])
            #expect(try await fixture.pod("p").condition("Ready")?.status == "False")

            // Again: nothing is left to be done.
            try await fixture.catchUp(.nodes)
            try await fixture.catchUp(.pods)
            let pod = try await fixture.pod("p")
            _ = try await loop.reconcile(node, at: late)
            let after = try await fixture.client.get(.nodes, namespace: nil, name: "n1")
            #expect(after.resourceVersion == current.resourceVersion)
            #expect(try await fixture.pod("p").resourceVersion == pod.resourceVersion)
        }
    }

    /// When all are lost the fault is more likely here.
    @Test(.timeLimit(.minutes(1))) func nothingIsEvictedWhenAllNodesAreLost() async throws {
        try await withLoop({ NodeLifecycleController(context: $0) }) { fixture, loop in
            try await fixture.addNode("n1", ready: "Unknown")
            try await fixture.catchUp(.nodes)
            _ = try await loop.reconcile(ObjectKey(namespace: "", name: "n1"), at: .now)
            let node = try await fixture.client.get(.nodes, namespace: nil, name: "n1")
            #expect(node.spec["taints"]?.elements.compactMap { $0["effect"]?.string } == ["NoSchedule"])
        }
    }

    // MARK: Taints

    private static let taint: JSON = ["key": "example.com/off", "effect": "NoExecute"]

    private static func toleration(seconds: Int?) -> JSON {
        var toleration: JSON = ["key": "example.com/off", "operator": "Exists", "effect": "NoExecute"]
        if let seconds { toleration["tolerationSeconds"] = JSON(seconds) }
        return toleration
    }

    @Test(.timeLimit(.minutes(1))) func podsStayOnATaintedNodeAsLongAsTheyTolerateIt() async throws {
        try await withLoop({ TaintEvictionController(context: $0) }) { fixture, loop in
            try await fixture.addNode("n1", taints: [Self.taint])
            try await fixture.addPod("brittle", on: "n1")
            try await fixture.addPod("patient", on: "n1", tolerations: [Self.toleration(seconds: 300)])
            try await fixture.addPod("tough", on: "n1", tolerations: [Self.toleration(seconds: nil)])
            try await fixture.catchUp(.nodes)
            try await fixture.catchUp(.pods)
            let start = ContinuousClock.now
            for name in ["brittle", "patient", "tough"] {
                let left = try await loop.reconcile(key(name), at: start)
                #expect(left == (name == "patient" ? .seconds(300) : nil))
            }
            let evicted = try await fixture.pod("brittle")
            #expect(evicted.isBeingDeleted)
            #expect(evicted.condition("DisruptionTarget")?.reason == "DeletionByTaintManager")
            #expect(try await loop.reconcile(key("patient"), at: start + .seconds(299)) == .seconds(1))
            #expect(try await !fixture.pod("patient").isBeingDeleted)
            #expect(try await loop.reconcile(key("patient"), at: start + .seconds(300)) == nil)
            #expect(try await fixture.pod("patient").isBeingDeleted)
            #expect(try await loop.reconcile(key("tough"), at: start + .seconds(1 << 30)) == nil)
            #expect(try await !fixture.pod("tough").isBeingDeleted)
            // Again: what is on its way is left alone.
            try await fixture.catchUp(.pods)
            let revision = try await fixture.pod("brittle").resourceVersion
            _ = try await loop.reconcile(key("brittle"), at: start)
            #expect(try await fixture.pod("brittle").resourceVersion == revision)
        }
    }

    @Test(.timeLimit(.minutes(1))) func aTaintThatGoesTakesThePodsDeadlineAlong() async throws {
        try await withLoop({ TaintEvictionController(context: $0) }) { fixture, loop in
            try await fixture.addNode("n1", taints: [Self.taint])
            try await fixture.addPod("patient", on: "n1", tolerations: [Self.toleration(seconds: 300)])
            try await fixture.catchUp(.nodes)
            try await fixture.catchUp(.pods)
            let start = ContinuousClock.now
            #expect(try await loop.reconcile(key("patient"), at: start) == .seconds(300))
            func setTaints(_ taints: JSON) async throws {
                _ = try await fixture.client.patch(
                    .nodes, namespace: nil, name: "n1", subresource: nil, type: .merge,
                    patch: ["spec": ["taints": taints]],
                    options: .init())
                try await fixture.catchUp(.nodes)
            }
            try await setTaints([])
            #expect(try await loop.reconcile(key("patient"), at: start + .seconds(200)) == nil)
            try await setTaints([Self.taint])
            #expect(try await loop.reconcile(key("patient"), at: start + .seconds(400)) == .seconds(300))
        }
    }

    @Test(.timeLimit(.minutes(1))) func aNodeThatGetsATaintLosesItsPods() async throws {
        try await withLoop({ TaintEvictionController(context: $0) }, isRunning: true) { fixture, _ in
            try await fixture.addNode("n1")
            try await fixture.addPod("p", on: "n1")
            _ = try await fixture.client.patch(
                .nodes, namespace: nil, name: "n1", subresource: nil, type: .merge,
                patch: ["spec": ["taints": [Self.taint]]], options: .init())
            while try await !fixture.pod("p").isBeingDeleted { try await Task.sleep(for: .milliseconds(5)) }
        }
    }

    // MARK: Pods that nobody ends

    @Test(.timeLimit(.minutes(1))) func podsOfANodeThatIsGoneGoAfterAWhile() async throws {
        try await withLoop({ PodGarbageCollector(context: $0) }) { fixture, loop in
            try await fixture.addNode("n1")
            try await fixture.addPod("kept", on: "n1")
            try await fixture.addPod("orphan", on: "n2")
            try await fixture.catchUp(.nodes)
            try await fixture.catchUp(.pods)
            let start = ContinuousClock.now
            #expect(try await loop.reconcile(key("kept"), at: start) == nil)
            #expect(try await loop.reconcile(key("orphan"), at: start) == PodGarbageCollector.quarantine)
            #expect(try await loop.reconcile(key("orphan"), at: start + .seconds(39)) == .seconds(1))
            #expect(try await fixture.podNames() == ["kept", "orphan"])
            #expect(try await loop.reconcile(key("orphan"), at: start + PodGarbageCollector.quarantine) == nil)
            #expect(try await fixture.podNames() == ["kept"])
        }
    }

    /// The copy may be behind: the API itself is asked before a pod is deleted.
    @Test(.timeLimit(.minutes(1))) func aNodeThatHasJustComeKeepsItsPods() async throws {
        try await withLoop({ PodGarbageCollector(context: $0) }) { fixture, loop in
            try await fixture.addPod("early", on: "n1")
            try await fixture.catchUp(.pods)
            let start = ContinuousClock.now
            _ = try await loop.reconcile(key("early"), at: start)
            try await fixture.addNode("n1")
            // Whether the copy has heard of the node or not.
            _ = try await loop.reconcile(key("early"), at: start + .seconds(41))
            #expect(try await fixture.podNames() == ["early"])
        }
    }

    @Test(.timeLimit(.minutes(1))) func podsOfANodeOutOfServiceAndWithoutANodeEndAtOnce() async throws {
        try await withLoop({ PodGarbageCollector(context: $0) }, isRunning: true) { fixture, _ in
            try await fixture.addNode("n1", ready: "Unknown")
            for name in ["stuck", "other"] { try await fixture.addPod(name, on: "n1") }
            try await fixture.client.delete(.pods, namespace: "default", name: "stuck", options: .init())
            #expect(try await fixture.podNames() == ["other", "stuck"])
            _ = try await fixture.client.patch(
                .nodes, namespace: nil, name: "n1", subresource: nil, type: .merge,
                patch: ["spec": ["taints": [["key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"]]]],
                options: .init())
            while try await fixture.podNames() != ["other"] { try await Task.sleep(for: .milliseconds(5)) }
        }
    }

    @Test(.timeLimit(.minutes(1))) func ofThePodsThatHaveEndedTheOldestGo() async throws {
        try await withLoop({ PodGarbageCollector(context: $0, keepingEnded: 2) }) { fixture, loop in
            try await fixture.addNode("n1")
            try await fixture.addPod("a-running", on: "n1")
            for (name, status) in [
                ("b", ["phase": "Succeeded"]), ("c", ["phase": "Failed"]), ("d", ["phase": "Succeeded"]),
                ("e", ["phase": "Failed", "reason": "Evicted"]),
            ] as [(String, JSON)] {
                try await fixture.addPod(name, on: "n1", status: status)
            }
            try await fixture.catchUp(.nodes)
            try await fixture.catchUp(.pods)
            _ = try await loop.reconcile(PodGarbageCollector.endedPods, at: .now)
            // Of one second they go by their names, evicted ones first.
            #expect(try await fixture.podNames() == ["a-running", "c", "d"])
            try await fixture.catchUp(.pods)
            _ = try await loop.reconcile(PodGarbageCollector.endedPods, at: .now)
            #expect(try await fixture.podNames() == ["a-running", "c", "d"])
        }
    }

    @Test func evictedPodsGoFirstThenTheOldest() {
        func pod(_ name: String, second: Int, reason: String? = nil) -> KubeObject {
            var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: name)
            pod.metadata["creationTimestamp"] = .string(KubeTime(seconds: Self.now.seconds + second).text)
            pod.status = ["phase": "Failed"]
            if let reason { pod.status["reason"] = .string(reason) }
            return pod
        }
        let pods = [
            pod("young", second: 9), pod("old", second: 1), pod("evicted", second: 8, reason: "Evicted"),
            pod("middle", second: 5),
        ]
        #expect(PodGarbageCollector.surplus(of: pods, limit: 1).map(\.name) == ["evicted", "old", "middle"])
        #expect(PodGarbageCollector.surplus(of: pods, limit: 4).isEmpty)
    }
}
