// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

/// The facts are those of structured-merge-diff's merge tests and of upstream's field manager.
struct ServerSideApplyTests {
    private static let kind = GroupVersionKind("apps", "v1", "Deployment")
    private static let now = "2026-01-02T03:04:05Z"

    private func apply(
        _ spec: JSON, to live: JSON?, _ manager: String = "kubectl", force: Bool = false, time: String = now
    ) throws -> JSON {
        let patch: JSON = ["apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web"], "spec": spec]
        return try ServerSideApply(
            type: #require(Schema.type(for: Self.kind)), kind: Self.kind, manager: manager, force: force, time: time
        ).apply(patch, to: live)
    }

    private func template(_ containers: JSON) -> JSON { ["template": ["spec": ["containers": containers]]] }
    private func containers(_ object: JSON) -> JSON? { object["spec"]?["template"]?["spec"]?["containers"] }

    private func update(_ old: JSON?, _ new: JSON, _ manager: String) throws -> JSON {
        var result = new
        ManagedFields.update(
            old: old, new: &result, type: try #require(Schema.type(for: Self.kind)), apiVersion: "apps/v1",
            manager: manager, time: Self.now)
        return result
    }

    @Test func creatingOwnsTheConfiguration() throws {
        let object = try apply(template([["name": "a", "image": "x", "ports": [["containerPort": 80]]]]), to: nil)
        #expect(object["apiVersion"] == "apps/v1")
        let entry = try #require(object["metadata"]?["managedFields"]?[0])
        #expect(entry["operation"] == "Apply")
        let expected = try JSON.parse(
            #"""
            {"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{},"f:name":{},
            "f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}}
            """#)
        #expect(entry["fieldsV1"] == expected)
    }

    @Test func applyingAgainChangesNothing() throws {
        let first = try apply(template([["name": "a", "image": "x"]]), to: nil)
        #expect(try apply(template([["name": "a", "image": "x"]]), to: first, time: "2030-01-01T00:00:00Z") == first)
    }

    @Test func whatIsNoLongerAppliedIsRemoved() throws {
        let first = try apply(
            ["replicas": 2, "template": ["spec": ["containers": [["name": "a", "image": "x"], ["name": "b"]]]]], to: nil
        )
        let second = try apply(template([["name": "a"]]), to: first)
        #expect(second["spec"]?["replicas"] == nil)
        #expect(containers(second) == [["name": "a"]])
    }

    @Test func whatOthersOwnStays() throws {
        let first = try apply(template([["name": "a"], ["name": "b"]]), to: nil, "one")
        let second = try apply(template([["name": "b", "image": "y"]]), to: first, "two")
        let third = try apply(template([["name": "a"]]), to: second, "one")
        #expect(containers(third) == [["name": "a"], ["name": "b", "image": "y"]])
        let fourth = try apply(template([["name": "c"]]), to: third, "two")
        #expect(containers(fourth) == [["name": "a"], ["name": "c"]])
    }

    @Test func defaultsInsideRemovedItemsGoWithThem() throws {
        let first = try apply(template([["name": "a"], ["name": "b", "image": "y"]]), to: nil)
        var defaulted = first
        defaulted["spec", "template", "spec", "containers"] = [
            ["name": "a", "imagePullPolicy": "Always"], ["name": "b", "image": "y", "imagePullPolicy": "Always"],
        ]
        let second = try apply(template([["name": "a"]]), to: defaulted)
        #expect(containers(second) == [["name": "a", "imagePullPolicy": "Always"]])
    }

    @Test func conflictsNameOwnerAndField() throws {
        let created = try update(
            nil,
            ["apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web"], "spec": ["replicas": 1]],
            "kubectl-client-side-apply")
        #expect {
            try apply(["replicas": 2], to: created)
        } throws: { error in
            guard let error = error as? StatusError else { return false }
            return error.code == 409 && error.reason == "Conflict"
                && error.message
                    == #"Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas"#
                && error.details?.causes == [
                    .init(
                        reason: "FieldManagerConflict",
                        message: #"conflict with "kubectl-client-side-apply" using apps/v1"#, field: ".spec.replicas")
                ]
        }
        // The same value is shared, not fought over.
        let shared = try apply(["replicas": 1], to: created)
        #expect(shared["metadata"]?["managedFields"]?.elements.count == 2)
        // Force takes over.
        let forced = try apply(["replicas": 2], to: created, force: true)
        #expect(forced["spec"]?["replicas"] == 2)
        #expect(forced["metadata"]?["managedFields"]?.elements.map { $0["operation"] } == ["Apply"])
    }

    @Test func severalConflictsAreListed() throws {
        let one = try apply(["replicas": 1, "paused": true], to: nil, "one")
        let two = try apply(["minReadySeconds": 3], to: one, "two")
        #expect {
            try apply(["replicas": 2, "paused": false, "minReadySeconds": 4], to: two, "three")
        } throws: { error in
            (error as? StatusError)?.message
                == "Apply failed with 3 conflicts: conflicts with \"one\":\n- .spec.paused\n- .spec.replicas\nconflicts with \"two\":\n- .spec.minReadySeconds"
        }
    }

    @Test func objectsFromBeforeTheFirstApplyKeepTheirFields() throws {
        let live: JSON = [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web", "uid": "u"],
            "spec": ["replicas": 1, "paused": true],
        ]
        let applied = try apply(["replicas": 1], to: live)
        let entries = applied["metadata"]?["managedFields"]?.elements ?? []
        #expect(entries.map { $0["manager"] } == ["kubectl", "before-first-apply"])
        #expect(entries.last?["fieldsV1"] == ["f:spec": ["f:paused": [:], "f:replicas": [:]]])
        #expect(applied["spec"]?["paused"] == true)
    }

    @Test func clientSideApplyMigrates() throws {
        let annotation =
            #"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":1}}"#
        let created = try update(
            nil,
            [
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": [
                    "name": "web",
                    "annotations": ["kubectl.kubernetes.io/last-applied-configuration": .string(annotation)],
                ], "spec": ["replicas": 1, "paused": false],
            ], "kubectl-client-side-apply")
        let applied = try apply(["replicas": 2], to: created)
        #expect(applied["spec"]?["replicas"] == 2)
        let text = applied["metadata"]?["annotations"]?["kubectl.kubernetes.io/last-applied-configuration"]?.string
        #expect(text?.contains(#""replicas":2"#) == true)
        // Another manager conflicts, and so does kubectl about what it did not apply.
        #expect(throws: StatusError.self) { try apply(["replicas": 2], to: created, "other") }
        #expect {
            try apply(["replicas": 2, "paused": true], to: created)
        } throws: { ($0 as? StatusError)?.details?.causes.map(\.field) == [".spec.paused"] }
    }

    @Test(
        arguments: [
            (
                ["apiVersion": "v1", "kind": "Deployment"], 400,
                "Incorrect version specified in apply patch. Specified patch version: v1, expected: apps/v1"
            ),
            (["apiVersion": "apps/v1", "metadata": ["managedFields": []]], 400, "metadata.managedFields must be nil"),
            (
                ["apiVersion": "apps/v1", "metadata": ["name": "x", "namespace": "ns"], "spec": ["foo": 1]], 500,
                "failed to create typed patch object (ns/x; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema"
            ),
            (
                [
                    "apiVersion": "apps/v1",
                    "spec": ["template": ["spec": ["containers": [["name": "a"], ["name": "a"]]]]],
                ],
                500,
                "failed to create typed patch object (/; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name=\"a\"]"
            ),
            (
                ["apiVersion": "apps/v1", "spec": ["template": ["spec": ["containers": [["image": "a"]]]]]], 500,
                "failed to create typed patch object (/; apps/v1, Kind=Deployment): .spec.template.spec.containers: element 0: associative list with keys has an element that omits key field \"name\" (and doesn't have default value)"
            ),
        ] as [(JSON, Int, String)])
    func unfitConfigurationsAreRefused(_ patch: JSON, _ code: Int, _ message: String) {
        #expect {
            try ServerSideApply(
                type: Schema.type(for: Self.kind), kind: Self.kind, manager: "m", time: Self.now
            ).apply(patch, to: nil)
        } throws: { ($0 as? StatusError)?.code == code && ($0 as? StatusError)?.message == message }
    }

    @Test func listsMergeInTheAppliedOrder() throws {
        let live = try apply(template([["name": "a"], ["name": "b"], ["name": "c"]]), to: nil, "one")
        let merged = try apply(template([["name": "c"], ["name": "x"], ["name": "a"]]), to: live, "two")
        let names = containers(merged)?.elements.compactMap { $0["name"]?.string }
        #expect(names == ["b", "c", "x", "a"])
    }

    @Test func statusIsNotOwnedThroughTheObject() throws {
        let patch: JSON = [
            "apiVersion": "apps/v1", "kind": "Deployment", "spec": ["replicas": 1], "status": ["replicas": 5],
        ]
        var apply = ServerSideApply(type: Schema.type(for: Self.kind), kind: Self.kind, manager: "m", time: Self.now)
        var object = try apply.apply(patch, to: nil)
        #expect(object["metadata"]?["managedFields"]?[0]?["fieldsV1"] == ["f:spec": ["f:replicas": [:]]])
        apply.subresource = "status"
        object = try apply.apply(patch, to: nil)
        #expect(object["metadata"]?["managedFields"]?[0]?["fieldsV1"] == ["f:status": ["f:replicas": [:]]])
    }

    @Test func fieldsOutOfReachAreNoConflict() throws {
        var live = try apply(["replicas": 1], to: nil)
        live["status"] = ["replicas": 1]
        ManagedFields.update(
            old: try apply(["replicas": 1], to: nil), new: &live, type: try #require(Schema.type(for: Self.kind)),
            apiVersion: "apps/v1", manager: "controller", subresource: "status", time: Self.now)
        let patch: JSON = ["apiVersion": "apps/v1", "spec": ["replicas": 1], "status": ["replicas": 5]]
        let applied = try ServerSideApply(
            type: Schema.type(for: Self.kind), kind: Self.kind, manager: "kubectl", time: Self.now
        ).apply(patch, to: live)
        let owners = applied["metadata"]?["managedFields"]?.elements.map { $0["manager"] }
        #expect(owners == ["kubectl", "controller"])
    }

    @Test func randomConfigurationsKeepTheInvariants() throws {
        var random = RandomJSON(seed: 11)
        random.keys = ["a", "b", "c", "name", "labels", "annotations", "finalizers"]
        let kind = GroupVersionKind("example.com", "v1", "Widget")
        let schema = SchemaType(
            CustomSchema(openAPI: [
                "type": "object",
                "properties": [
                    "spec": ["type": "object", "x-kubernetes-preserve-unknown-fields": true],
                    "items": [
                        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                        "items": ["type": "object", "x-kubernetes-preserve-unknown-fields": true],
                    ],
                    "set": ["type": "array", "x-kubernetes-list-type": "set", "items": ["type": "string"]],
                ],
            ]))
        var live: JSON?
        for round in 0..<2000 {
            if round % 20 == 0 { live = nil }
            var patch: JSON = ["apiVersion": "example.com/v1", "kind": "Widget", "spec": random.value(depth: 3)]
            patch["items"] = .array(
                (0..<random.number(4)).map { ["name": .string("n\($0)"), "v": random.value(depth: 2)] })
            patch["set"] = JSON(["x", "y", "z"].filter { _ in random.number(2) == 0 })
            let manager = random.pick(["one", "two"])
            if random.number(3) == 0 {
                var next = patch
                ManagedFields.update(
                    old: live, new: &next, type: schema, apiVersion: "example.com/v1", manager: manager, time: Self.now)
                live = next
                continue
            }
            let apply = ServerSideApply(type: schema, kind: kind, manager: manager, force: true, time: Self.now)
            // Configurations that do not fit the schema are refused; those that fit must converge.
            guard let result = try? apply.apply(patch, to: live) else { continue }
            #expect(try apply.apply(patch, to: result) == result)
            live = result
        }
    }
}
