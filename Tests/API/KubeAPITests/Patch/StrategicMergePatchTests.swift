// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

/// The facts are those of k8s.io/apimachinery/pkg/util/strategicpatch.
struct StrategicMergePatchTests {
    private static let pod = GroupVersionKind("", "v1", "Pod")

    private func apply(
        _ patch: String, to document: String, kind: GroupVersionKind = pod
    ) throws -> JSON {
        try StrategicMergePatch.apply(
            JSON.parse(patch), to: JSON.parse(document), type: #require(Schema.type(for: kind)))
    }

    @Test(arguments: [
        // Scalars and maps.
        (#"{"spec":{"nodeName":"a"}}"#, #"{"spec":{"nodeName":"b"}}"#, #"{"spec":{"nodeName":"b"}}"#),
        (
            #"{"metadata":{"labels":{"a":"1","b":"2"}}}"#, #"{"metadata":{"labels":{"a":null,"c":"3"}}}"#,
            #"{"metadata":{"labels":{"b":"2","c":"3"}}}"#
        ),
        (
            #"{"metadata":{"name":"x"}}"#, #"{"metadata":{"labels":{"a":null}}}"#,
            #"{"metadata":{"name":"x","labels":{}}}"#
        ),
        // Lists with a merge key.
        (
            #"{"spec":{"containers":[{"name":"a","image":"1"},{"name":"b"}]}}"#,
            #"{"spec":{"containers":[{"name":"a","image":"2"}]}}"#,
            #"{"spec":{"containers":[{"name":"a","image":"2"},{"name":"b"}]}}"#
        ),
        (
            #"{"spec":{"containers":[{"name":"a"}]}}"#, #"{"spec":{"containers":[{"name":"b"}]}}"#,
            #"{"spec":{"containers":[{"name":"b"},{"name":"a"}]}}"#
        ),
        (
            #"{"spec":{"containers":[{"name":"a"},{"name":"b"}]}}"#,
            #"{"spec":{"containers":[{"$patch":"delete","name":"a"}]}}"#,
            #"{"spec":{"containers":[{"name":"b"}]}}"#
        ),
        (
            #"{"spec":{"containers":[{"name":"a"},{"name":"b"}]}}"#,
            #"{"spec":{"containers":[{"$patch":"replace"},{"name":"c"}]}}"#,
            #"{"spec":{"containers":[{"name":"c"}]}}"#
        ),
        (
            #"{"spec":{"containers":[{"name":"a","ports":[{"containerPort":80}]}]}}"#,
            #"{"spec":{"containers":[{"name":"a","ports":[{"containerPort":81},{"containerPort":80,"name":"w"}]}]}}"#,
            #"{"spec":{"containers":[{"name":"a","ports":[{"containerPort":81},{"containerPort":80,"name":"w"}]}]}}"#
        ),
        // Lists without a merge strategy are replaced.
        (
            #"{"spec":{"tolerations":[{"key":"a"}]}}"#, #"{"spec":{"tolerations":[{"key":"b"}]}}"#,
            #"{"spec":{"tolerations":[{"key":"b"}]}}"#
        ),
        // Primitive lists with the merge strategy.
        (
            #"{"metadata":{"finalizers":["a","b"]}}"#, #"{"metadata":{"finalizers":["c","b"]}}"#,
            #"{"metadata":{"finalizers":["c","a","b"]}}"#
        ),
        (
            #"{"metadata":{"finalizers":["a","b","c"]}}"#,
            #"{"metadata":{"$deleteFromPrimitiveList/finalizers":["b"]}}"#,
            #"{"metadata":{"finalizers":["a","c"]}}"#
        ),
        (#"{"metadata":{}}"#, #"{"metadata":{"$deleteFromPrimitiveList/finalizers":["b"]}}"#, #"{"metadata":{}}"#),
        // Replacing and deleting maps.
        (
            #"{"spec":{"securityContext":{"runAsUser":1}}}"#,
            #"{"spec":{"securityContext":{"$patch":"replace","fsGroup":2}}}"#,
            #"{"spec":{"securityContext":{"fsGroup":2}}}"#
        ),
        (
            #"{"spec":{"securityContext":{"runAsUser":1}}}"#, #"{"spec":{"securityContext":{"$patch":"delete"}}}"#,
            #"{"spec":{"securityContext":{}}}"#
        ),
        (#"{"spec":{}}"#, #"{"spec":{"securityContext":{"$patch":"delete","fsGroup":1}}}"#, #"{"spec":{}}"#),
        // Directives in values that were not there before leave no trace.
        (
            #"{"spec":{}}"#,
            #"{"spec":{"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"a","env":[{"$patch":"delete","name":"x"},{"name":"y"}],"image":null}]}}"#,
            #"{"spec":{"containers":[{"name":"a","env":[{"name":"y"}]}]}}"#
        ),
        (
            #"{"spec":{"volumes":[{"name":"v","emptyDir":{}}]}}"#,
            #"{"spec":{"volumes":[{"$retainKeys":["name","hostPath"],"name":"v","hostPath":{"path":"/x"}}]}}"#,
            #"{"spec":{"volumes":[{"name":"v","hostPath":{"path":"/x"}}]}}"#
        ),
        // Order.
        (
            #"{"spec":{"containers":[{"name":"a"},{"name":"b"},{"name":"c"}]}}"#,
            #"{"spec":{"$setElementOrder/containers":[{"name":"c"},{"name":"a"}],"containers":[{"name":"a","image":"i"}]}}"#,
            #"{"spec":{"containers":[{"name":"b"},{"name":"c"},{"name":"a","image":"i"}]}}"#
        ),
        (
            #"{"spec":{"containers":[{"name":"a"},{"name":"s"},{"name":"b"}]}}"#,
            #"{"spec":{"$setElementOrder/containers":[{"name":"a"},{"name":"n"},{"name":"b"}],"containers":[{"name":"n"}]}}"#,
            #"{"spec":{"containers":[{"name":"a"},{"name":"n"},{"name":"s"},{"name":"b"}]}}"#
        ),
        (
            #"{"metadata":{"finalizers":["a","b"]}}"#,
            #"{"metadata":{"$setElementOrder/finalizers":["b","c","a"],"finalizers":["c"]}}"#,
            #"{"metadata":{"finalizers":["b","c","a"]}}"#
        ),
        (#"{"spec":{}}"#, #"{"spec":{"$setElementOrder/containers":[{"name":"a"}]}}"#, #"{"spec":{}}"#),
    ])
    func mergesByTheSchema(_ document: String, _ patch: String, _ expected: String) throws {
        #expect(try apply(patch, to: document).text() == JSON.parse(expected).text())
    }

    @Test func serviceAndDeploymentUseTheirOwnKeys() throws {
        let service = try apply(
            #"{"spec":{"ports":[{"port":80,"targetPort":8080}]}}"#,
            to: #"{"spec":{"ports":[{"port":80,"targetPort":80},{"port":443}]}}"#, kind: .init("", "v1", "Service"))
        #expect(service["spec"]?["ports"]?.elements.count == 2)
        #expect(service["spec"]?["ports"]?[0]?["targetPort"] == 8080)
        let deployment = try apply(
            #"{"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}}"#,
            to: #"{"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}}"#,
            kind: .init("apps", "v1", "Deployment"))
        #expect(deployment["spec"]?["strategy"] == ["type": "Recreate"])
    }

    @Test(arguments: [
        (
            #"{"spec":{"containers":[{"image":"x"}]}}"#, 500,
            "map: map[image:x] does not contain declared merge key: name"
        ),
        (
            #"{"spec":{"containers":[{"$patch":"delete"}]}}"#, 500,
            "map: map[$patch:delete] does not contain declared merge key: name"
        ),
        (
            #"{"spec":{"containers":[{"$patch":"merge","name":"a"}]}}"#, 500,
            "merging lists cannot yet be specified in the patch"
        ),
        (#"{"spec":{"$patch":"explode"}}"#, 500, "unknown patch type: explode in map: map[$patch:explode]"),
        (#"{"spec":{"$retainKeys":["a"],"nodeName":"x"}}"#, 400, "Invalid patch format of retainKeys"),
        (#"{"spec":{"$retainKeys":"a"}}"#, 400, "Invalid patch format of retainKeys"),
        (#"{"metadata":{"$deleteFromPrimitiveList":["a"]}}"#, 400, "Invalid patch format of primitive list"),
        (#"{"spec":{"$setElementOrder/containers":1}}"#, 400, "Invalid patch format of setElementOrder list"),
        (#"{"spec":{"containers":[[1]]}}"#, 422, "the server rejected our request due to an error in our request"),
        (
            #"{"spec":{"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"b"}]}}"#, 500,
            "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n"
        ),
        ("[]", 400, "Invalid JSON document"),
    ])
    func malformedPatchesAreRefused(_ patch: String, _ code: Int, _ message: String) {
        #expect {
            try apply(patch, to: #"{"metadata":{"finalizers":["a"]},"spec":{"containers":[{"name":"a"}]}}"#)
        } throws: { error in
            (error as? StatusError)?.code == code && (error as? StatusError)?.message == message
        }
    }

    @Test func randomPatchesNeverCrashAndLeaveNoDirectives() throws {
        var random = RandomJSON(seed: 7)
        random.keys += [
            "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "finalizers",
            "volumes",
        ]
        let type = try #require(Schema.type(for: Self.pod))
        for _ in 0..<3000 {
            var document: JSON = ["spec": ["containers": [["name": "x"], ["name": "y"]], "volumes": [["name": "x"]]]]
            document["metadata"] = ["finalizers": ["x", "y"]]
            var patch = random.value(depth: 5)
            patch["spec"] = random.value(depth: 4)
            // Refusals are fine; what is accepted must hold no directive.
            guard let result = try? StrategicMergePatch.apply(patch, to: document, type: type) else { continue }
            #expect(!result.text().contains("\"$patch\":"), "\(patch)")
        }
    }
}
