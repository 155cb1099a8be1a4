// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

/// The facts are those of structured-merge-diff and of objects that upstream wrote.
struct FieldSetTests {
    private static let wire = #"""
        {"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}},"f:replicas":{}},"v:\"x\"":{},"i:3":{}}
        """#

    @Test func wireFormRoundTrips() throws {
        let set = try #require(FieldSet(JSON.parse(Self.wire)))
        #expect(try FieldSet(set.json) == set)
        #expect(set.json == (try JSON.parse(Self.wire)))
        let paths = set.paths.map { $0.map(\.description).joined() }
        #expect(paths.contains(#".spec.containers[name="a"].ports[containerPort=80,protocol="TCP"].containerPort"#))
        #expect(paths.contains(".metadata.labels"))
        #expect(!paths.contains(".metadata"))
        #expect(paths.contains(#"[="x"]"#))
        #expect(paths.contains("[3]"))
    }

    @Test func anyTextIsAFieldName() throws {
        for name in ["", "a.b/c", "é", "\u{301}", "\"", "f:"] {
            let set = FieldSet([[name]])
            #expect(try FieldSet(JSON.parse(set.json.text())) == set, "\(name)")
        }
    }

    @Test(arguments: [#"{"x:a":{}}"#, #"{"k:nojson":{}}"#, #"{"i:x":{}}"#, #"{"f:a":1}"#, "1", #"{"":{}}"#])
    func malformedSetsAreRefused(_ text: String) throws {
        #expect(try FieldSet(JSON.parse(text)) == nil)
    }

    @Test func setsCombine() {
        let left = FieldSet([["a"], ["b", "c"], ["b", "d"]])
        let right = FieldSet([["b"], ["b", "c"], ["e"]])
        #expect(left.union(right) == FieldSet([["a"], ["b"], ["b", "c"], ["b", "d"], ["e"]]))
        #expect(left.intersection(right) == FieldSet([["b", "c"]]))
        #expect(left.subtracting(right) == FieldSet([["a"], ["b", "d"]]))
        #expect(left.subtractingBelow(right) == FieldSet([["a"]]))
    }

    @Test func algebraHoldsForRandomSets() throws {
        var random = RandomJSON(seed: 3)
        func randomSet(_ random: inout RandomJSON) -> FieldSet {
            FieldSet(
                (0..<random.number(8)).map { _ in (0...random.number(3)).map { _ in random.pick(["a", "b", "c"]) } })
        }
        for _ in 0..<500 {
            let (one, two) = (randomSet(&random), randomSet(&random))
            #expect(Set(one.union(two).paths) == Set(one.paths).union(two.paths))
            #expect(Set(one.intersection(two).paths) == Set(one.paths).intersection(two.paths))
            #expect(Set(one.subtracting(two).paths) == Set(one.paths).subtracting(two.paths))
            #expect(FieldSet(one.json) == one)
            #expect(one.intersects(fieldsV1: two.json) == !one.intersection(two).isEmpty)
            #expect(one.isContained(inFieldsV1: two.json) == one.subtracting(two).isEmpty)
        }
    }
}

struct ManagedFieldsTests {
    private static let kind = GroupVersionKind("apps", "v1", "Deployment")
    private static let now = "2026-01-02T03:04:05Z"
    static let deployment = #"""
        {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"default","labels":{"app":"web"}},
        "spec":{"replicas":1,"selector":{"matchLabels":{"app":"web"}},"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":"25%"}},
        "template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"nginx","image":"nginx","ports":[{"containerPort":80,"protocol":"TCP"}],"resources":{},"env":[]}],
        "securityContext":{},"dnsPolicy":"ClusterFirst","tolerations":[{"key":"a"}]}}},"status":{}}
        """#

    private func update(_ old: JSON?, _ new: JSON, _ manager: String, subresource: String = "", time: String = now)
        throws -> JSON
    {
        var result = new
        ManagedFields.update(
            old: old, new: &result, type: try #require(Schema.type(for: Self.kind)), apiVersion: "apps/v1",
            manager: manager, subresource: subresource, time: time)
        return result
    }

    private func fields(_ object: JSON, _ manager: String) -> JSON? {
        object["metadata"]?["managedFields"]?.elements.first { $0["manager"]?.string == manager }?["fieldsV1"]
    }

    /// As upstream's server records `kubectl create deployment`.
    @Test func creationOwnsWhatItSets() throws {
        let created = try update(nil, JSON.parse(Self.deployment), "kubectl-create")
        let expected = try JSON.parse(
            #"""
            {"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:replicas":{},"f:selector":{},
            "f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{}},"f:type":{}},
            "f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{
            "k:{\"name\":\"nginx\"}":{".":{},"f:env":{},"f:image":{},"f:name":{},"f:ports":{".":{},
            "k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:protocol":{}}},"f:resources":{}}},
            "f:dnsPolicy":{},"f:securityContext":{},"f:tolerations":{}}}}}
            """#)
        #expect(fields(created, "kubectl-create") == expected)
        let entry = try #require(created["metadata"]?["managedFields"]?[0])
        #expect(entry["operation"] == "Update" && entry["apiVersion"] == "apps/v1" && entry["fieldsType"] == "FieldsV1")
        #expect(entry["time"] == .string(Self.now))
        #expect(entry["subresource"] == nil)
    }

    @Test func changedFieldsChangeTheirOwner() throws {
        let created = try update(nil, JSON.parse(Self.deployment), "a")
        var changed = created
        changed["spec", "replicas"] = 3
        changed["metadata", "labels", "new"] = "x"
        let updated = try update(created, changed, "b", time: "2026-01-02T03:04:06Z")
        #expect(fields(updated, "a")?["f:spec"]?["f:replicas"] == nil)
        #expect(
            fields(updated, "b")
                == ["f:metadata": ["f:labels": ["f:new": [:]]], "f:spec": ["f:replicas": [:]]])
        // What is removed belongs to nobody.
        var without = updated
        without["metadata", "labels", "new"] = nil
        let removed = try update(updated, without, "c")
        #expect(fields(removed, "b") == ["f:spec": ["f:replicas": [:]]])
        #expect(fields(removed, "c") == nil)
    }

    @Test func nothingChangesWhenNothingChanges() throws {
        let created = try update(nil, JSON.parse(Self.deployment), "a")
        #expect(try update(created, created, "b", time: "2030-01-01T00:00:00Z") == created)
        var bare = created
        bare["metadata", "managedFields"] = nil
        #expect(try update(created, bare, "b") == created)
    }

    @Test func oneEmptyEntryForgetsEverything() throws {
        let created = try update(nil, JSON.parse(Self.deployment), "a")
        var reset = created
        reset["metadata", "managedFields"] = [[:]]
        let forgotten = try update(created, reset, "b")
        #expect(forgotten["metadata"]?["managedFields"] == nil)
        // And an object without managed fields stays so under updates.
        var changed = forgotten
        changed["spec", "replicas"] = 9
        #expect(try update(forgotten, changed, "b")["metadata"]?["managedFields"] == nil)
        // A subresource cannot do that.
        #expect(try update(created, reset, "b", subresource: "status") == created)
    }

    @Test func eachWayOfWritingOwnsItsPart() throws {
        let created = try update(nil, JSON.parse(Self.deployment), "a")
        var changed = created
        changed["status"] = ["replicas": 1]
        let status = try update(created, changed, "controller", subresource: "status")
        let entry = status["metadata"]?["managedFields"]?.elements.first { $0["manager"] == "controller" }
        #expect(entry?["subresource"] == "status")
        #expect(entry?["fieldsV1"] == ["f:status": ["f:replicas": [:]]])
        #expect(fields(try update(created, changed, "user"), "user") == nil)
    }

    @Test func theOldestUpdatesAreJoined() throws {
        var object = try update(nil, JSON.parse(Self.deployment), "m00", time: "2026-01-01T00:00:00Z")
        for index in 1...12 {
            var next = object
            next["metadata", "labels", "l\(index)"] = "x"
            object = try update(
                object, next, "m\(index)", time: "2026-01-01T00:00:\(index < 10 ? "0" : "")\(index)Z")
        }
        let entries = object["metadata"]?["managedFields"]?.elements ?? []
        #expect(entries.count == 10)
        let ancient = try #require(fields(object, "ancient-changes"))
        #expect(ancient["f:metadata"]?["f:labels"]?["f:l3"] == [:])
        #expect(ancient["f:metadata"]?["f:labels"]?["f:l4"] == nil)
        #expect(ancient["f:spec"]?["f:replicas"] == [:])
        #expect(fields(object, "m12") != nil)
    }

    @Test(arguments: [
        ("x", "kubectl/v1.32", "x"), ("", "kubectl/v1.32 (linux)", "kubectl"), ("", "", "unknown"),
        ("", "a\u{7}b/1", "ab"), ("", "curl", "curl"),
        ("", String(repeating: "é", count: 100), String(repeating: "é", count: 64)),
    ])
    func managersHaveNames(_ fieldManager: String, _ userAgent: String, _ expected: String) {
        #expect(ManagedFields.manager(fieldManager: fieldManager, userAgent: userAgent) == expected)
    }
}
