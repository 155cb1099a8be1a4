// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Testing

@testable import Controllers

@Suite struct OwnerGraphTests {
    private func object(
        _ uid: String, owners: [String] = [], finalizers: [String] = [], deleted: Bool = false
    ) -> KubeObject {
        var object = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: uid)
        object.json["metadata", "uid"] = .string(uid)
        object.json["metadata", "ownerReferences"] = .array(
            owners.map {
                [
                    "apiVersion": "v1", "kind": "Pod", "name": .string($0), "uid": .string($0),
                    "blockOwnerDeletion": true,
                ]
            })
        object.json["metadata", "finalizers"] = JSON(finalizers)
        if deleted { object.json["metadata", "deletionTimestamp"] = "2026-01-01T00:00:00Z" }
        return object
    }

    @Test func keepsNothingButTheUidOfAnObjectWithoutOwners() {
        var graph = OwnerGraph()
        #expect(graph.put(object("a"), at: .pods).isEmpty)
        #expect(graph.node("a") == nil)
        #expect(graph.isLive("a"))
    }

    @Test func looksAtDependantsWhenTheirOwnerGoes() {
        var graph = OwnerGraph()
        _ = graph.put(object("owner"), at: .pods)
        #expect(graph.put(object("child", owners: ["owner"]), at: .pods) == ["child"])
        #expect(graph.remove("owner", at: .pods) == ["child"])
        #expect(!graph.isLive("owner"))
    }

    @Test func looksAtAnOwnerThatWaitsWhenADependantGoes() {
        var graph = OwnerGraph()
        let waiting = object("owner", finalizers: ["foregroundDeletion"], deleted: true)
        _ = graph.put(waiting, at: .pods)
        _ = graph.put(object("child", owners: ["owner"]), at: .pods)
        #expect(graph.node("owner")?.awaitsDependants == true)
        #expect(graph.remove("child", at: .pods) == ["owner"])
        #expect(graph.dependants(of: "owner").isEmpty)
    }

    @Test func forgetsReferencesThatAnObjectNoLongerHas() {
        var graph = OwnerGraph()
        _ = graph.put(object("child", owners: ["owner"]), at: .pods)
        _ = graph.put(object("child"), at: .pods)
        #expect(graph.dependants(of: "owner").isEmpty)
        #expect(graph.remove("owner", at: .pods).isEmpty)
    }

    @Test func removesWhatIsMissingFromANewList() {
        var graph = OwnerGraph()
        _ = graph.put(object("owner"), at: .pods)
        _ = graph.put(object("child", owners: ["owner"]), at: .pods)
        #expect(graph.replace(.pods, with: [object("child", owners: ["owner"])]).contains("child"))
        #expect(!graph.isLive("owner"))
    }
}
