// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

@testable import Controllers

private func node(_ conditions: [String: String], taints: [JSON] = []) -> KubeObject {
    var node = KubeObject(.init("", "v1", "Node"), name: "n")
    if !taints.isEmpty { node.spec = ["taints": .array(taints)] }
    node.status = [
        "conditions": .array(
            conditions.sorted { $0.key < $1.key }.map { ["type": .string($0.key), "status": .string($0.value)] })
    ]
    return node
}

@Suite struct NodeTaintsTests {
    static let now = KubeTime(seconds: 1_800_000_000)

    private func wanted(_ node: KubeObject, evicts: Bool = true) -> [String]? {
        NodeTaints.wanted(on: node, evicts: evicts, now: Self.now)?.map {
            "\($0["key"]?.string ?? "")=\($0["value"]?.string ?? ""):\($0["effect"]?.string ?? "")"
        }
    }

    @Test func taintsFollowConditions() {
        #expect(wanted(node(["Ready": "True", "MemoryPressure": "False"])) == nil)
        #expect(
            wanted(node(["Ready": "Unknown"])) == [
                "node.kubernetes.io/unreachable=:NoSchedule", "node.kubernetes.io/unreachable=:NoExecute",
            ])
        #expect(
            wanted(node(["Ready": "False", "DiskPressure": "True"])) == [
                "node.kubernetes.io/not-ready=:NoSchedule", "node.kubernetes.io/not-ready=:NoExecute",
                "node.kubernetes.io/disk-pressure=:NoSchedule",
            ])
        var cordoned = node(["Ready": "True", "PIDPressure": "True", "NetworkUnavailable": "True"])
        cordoned.spec = ["unschedulable": true]
        #expect(
            wanted(cordoned) == [
                "node.kubernetes.io/pid-pressure=:NoSchedule", "node.kubernetes.io/network-unavailable=:NoSchedule",
                "node.kubernetes.io/unschedulable=:NoSchedule",
            ])
    }

    @Test func whatIsRightStaysAndOthersTaintsToo() throws {
        let foreign: JSON = ["key": "dedicated", "value": "db", "effect": "NoExecute"]
        let manual: JSON = ["key": "node.kubernetes.io/memory-pressure", "effect": "NoExecute"]
        let lost = try #require(NodeTaints.wanted(on: node(["Ready": "Unknown"]), evicts: true, now: Self.now))
        // The second look changes nothing: times of addition stay.
        let later = KubeTime(seconds: Self.now.seconds + 60)
        #expect(NodeTaints.wanted(on: node(["Ready": "Unknown"], taints: lost), evicts: true, now: later) == nil)
        #expect(
            wanted(node(["Ready": "True"], taints: [foreign] + lost + [manual])) == [
                "dedicated=db:NoExecute", "node.kubernetes.io/memory-pressure=:NoExecute",
            ])
        #expect(wanted(node(["Ready": "False"], taints: lost))?.contains { $0.contains("unreachable") } == false)
    }

    @Test func nothingIsEvictedWhenTheFaultIsElsewhere() {
        #expect(wanted(node(["Ready": "Unknown"]), evicts: false) == ["node.kubernetes.io/unreachable=:NoSchedule"])
        let (good, bad) = (node(["Ready": "True"]), node(["Ready": "Unknown"]))
        #expect(NodeTaints.areEvictionsHalted(nodes: [bad]))
        #expect(NodeTaints.areEvictionsHalted(nodes: [bad, bad]))
        #expect(!NodeTaints.areEvictionsHalted(nodes: [good, bad]))
        // Two of three may be lost, three of five not.
        #expect(!NodeTaints.areEvictionsHalted(nodes: [good, bad, bad]))
        #expect(NodeTaints.areEvictionsHalted(nodes: [good, good, bad, bad, bad]))
        #expect(
            !NodeTaints.areEvictionsHalted(nodes: Array(repeating: bad, count: 5) + Array(repeating: good, count: 5)))
    }

    @Test func silenceMakesConditionsUnknown() throws {
        let conditions = try #require(
            NodeTaints.silentConditions(of: node(["Ready": "True", "DiskPressure": "False"]), now: Self.now))
        #expect(conditions.count == 4 && conditions.allSatisfy { $0["status"]?.string == "Unknown" })
        let reasons = conditions.map { "\($0["type"]?.string ?? "") \($0["reason"]?.string ?? "")" }
        #expect(
            reasons == [
                "DiskPressure NodeStatusUnknown", "Ready NodeStatusUnknown", "MemoryPressure NodeStatusNeverUpdated",
                "PIDPressure NodeStatusNeverUpdated",
            ])
        var silent = node([:])
        silent.status = ["conditions": .array(conditions)]
        #expect(NodeTaints.silentConditions(of: silent, now: Self.now) == nil)
    }
}

@Suite struct NodeHeartbeatsTests {
    @Test func anySignOfLifeEndsTheSilence() {
        let heartbeats = NodeHeartbeats()
        let start = ContinuousClock.now
        func lease(_ time: String) -> KubeObject {
            var lease = KubeObject(.init("coordination.k8s.io", "v1", "Lease"), namespace: "kube-node-lease", name: "n")
            lease.spec = ["renewTime": .string(time)]
            return lease
        }
        #expect(heartbeats.silence(of: "n", at: start) == .zero)
        heartbeats.note(lease: lease("a"), at: start + .seconds(10))
        #expect(heartbeats.silence(of: "n", at: start + .seconds(15)) == .seconds(5))
        // The same lease again is no sign, nor is a status that stays.
        heartbeats.note(lease: lease("a"), at: start + .seconds(20))
        heartbeats.note(node: node([:]), at: start + .seconds(20))
        #expect(heartbeats.silence(of: "n", at: start + .seconds(60)) == .seconds(50))
        // A clock that goes backwards is one.
        heartbeats.note(lease: lease("0"), at: start + .seconds(61))
        #expect(heartbeats.silence(of: "n", at: start + .seconds(61)) == .zero)
        heartbeats.forget("n")
        #expect(heartbeats.silence(of: "n", at: start + .seconds(99)) == .zero)
    }
}

@Suite struct TaintEvictionTests {
    @Test func theShortestTolerationDecides() {
        let lost = Taint(["key": "node.kubernetes.io/unreachable", "effect": "NoExecute"])
        let other = Taint(["key": "x", "value": "y", "effect": "NoExecute"])
        func tolerates(_ key: String, _ seconds: Int?) -> JSON {
            var json: JSON = ["key": .string(key), "operator": "Exists", "effect": "NoExecute"]
            if let seconds { json["tolerationSeconds"] = JSON(seconds) }
            return json
        }
        let unreachable = "node.kubernetes.io/unreachable"
        #expect(TaintEviction.patience(of: [], with: []) == nil)
        #expect(TaintEviction.patience(of: [], with: [lost]) == .zero)
        #expect(TaintEviction.patience(of: [tolerates(unreachable, nil)], with: [lost]) == nil)
        let everything: JSON = ["operator": "Exists"]
        #expect(TaintEviction.patience(of: [everything], with: [lost, other]) == nil)
        #expect(TaintEviction.patience(of: [tolerates(unreachable, 300)], with: [lost]) == .seconds(300))
        #expect(TaintEviction.patience(of: [tolerates(unreachable, -1)], with: [lost]) == .zero)
        #expect(TaintEviction.patience(of: [tolerates(unreachable, 300)], with: [lost, other]) == .zero)
        let both = [tolerates(unreachable, 300), tolerates("x", 20)]
        #expect(TaintEviction.patience(of: both, with: [lost, other]) == .seconds(20))
    }
}
