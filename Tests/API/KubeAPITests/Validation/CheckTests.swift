// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

private let pod = GroupVersionKind("", "v1", "Pod")
private let deployment = GroupVersionKind("apps", "v1", "Deployment")

/// The message with which a body is refused; nil if it is taken.
private func refusal(
    _ text: String, _ kind: GroupVersionKind, _ strictness: ObjectRules.Strictness = .warn
) throws -> String? {
    let json = try JSON.parse(text)
    do {
        _ = try ObjectRules.check(json, kind: kind, strictness: strictness)
        return nil
    } catch {
        #expect(error.code == 400)
        #expect(error.reason == "BadRequest")
        return error.message
    }
}

struct CheckTests {
    @Test(arguments: [
        (
            #"{"spec":{"replicas":"3"}}"#, deployment,
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
        ),
        (
            #"{"spec":{"replicas":1.5}}"#, deployment,
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"
        ),
        (
            #"{"spec":{"replicas":3000000000}}"#, deployment,
            "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32"
        ),
        (
            #"{"spec":{"containers":{"name":"a"}}}"#, pod,
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"
        ),
        (
            #"{"spec":{"containers":[{"image":5}]}}"#, pod,
            "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string"
        ),
        (
            #"{"metadata":{"labels":{"a":true}}}"#, pod,
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string"
        ),
        (
            #"{"spec":{"restartPolicy":1}}"#, pod,
            "json: cannot unmarshal number into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy"
        ),
        (#"{"spec":[]}"#, pod, "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        (
            #"{"spec":{"containers":[{"resources":{"limits":{"cpu":"x"}}}]}}"#, pod,
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        ),
        (
            #"{"metadata":{"creationTimestamp":"yesterday"}}"#, pod,
            #"parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006""#
        ),
        (
            #"{"spec":{"containers":[{"ports":[{"containerPort":true}]}]}}"#, pod,
            "json: cannot unmarshal bool into Go struct field ContainerPort.spec.containers.ports.containerPort "
                + "of type int32"
        ),
    ])
    func typeMismatch(text: String, kind: GroupVersionKind, reason: String) throws {
        let message = try refusal(text, kind)
        #expect(message == "\(kind.kind) in version \"v1\" cannot be handled as a \(kind.kind): \(reason)")
    }

    @Test func unknownFieldsArePrunedAndNamed() throws {
        let text = #"""
            {"metadata":{"name":"x","nam":1},"spec":{"foo":1,"containers":[{"name":"a"},{"name":"b","imgae":"c"}]}}
            """#
        let checked = try ObjectRules.check(JSON.parse(text), kind: pod)
        #expect(
            checked.warnings == [
                #"unknown field "metadata.nam""#, #"unknown field "spec.foo""#,
                #"unknown field "spec.containers[1].imgae""#,
            ])
        #expect(checked.json["spec"]?["foo"] == nil)
        #expect(checked.json["spec"]?["containers"]?[1]?["imgae"] == nil)
        #expect(
            try refusal(text, pod, .strict) == #"""
                Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "metadata.nam", \#
                unknown field "spec.foo", unknown field "spec.containers[1].imgae"
                """#)
        #expect(try ObjectRules.check(JSON.parse(text), kind: pod, strictness: .ignore).warnings == [])
    }

    private func parse(_ text: String) throws -> (JSON, [JSON.DuplicateMember]) {
        var duplicates: [JSON.DuplicateMember] = []
        var options = JSON.ParseOptions()
        options.reportsDuplicates = true
        return (try JSON.parse(Array(text.utf8), options: options, duplicates: &duplicates), duplicates)
    }

    @Test(arguments: [
        (#"{"spec":{"nodeName":"a","nodeName":"b"}}"#, [#"duplicate field "spec.nodeName""#]),
        // In the order of the text, as one decoder comes upon them.
        (
            #"{"spec":{"foo":1,"nodeName":"a","nodeName":"b","bar":2,"nodeName":"c"},"kind":"Pod","kind":"Pod"}"#,
            [
                #"unknown field "spec.foo""#, #"duplicate field "spec.nodeName""#, #"unknown field "spec.bar""#,
                #"duplicate field "kind""#,
            ]
        ),
        // Of an unknown field no more is known, and nothing of what is in it.
        (#"{"foo":{"a":1,"a":2},"foo":{"a":1,"a":2}}"#, [#"unknown field "foo""#]),
        (
            #"{"metadata":{"labels":{"a":"b","a":"c"}},"spec":{"containers":[{"image":"a","image":"b","x":1}]}}"#,
            [
                #"duplicate field "metadata.labels.a""#, #"duplicate field "spec.containers[0].image""#,
                #"unknown field "spec.containers[0].x""#,
            ]
        ),
    ])
    func duplicateFieldsAreReportedInTheirOrder(text: String, problems: [String]) throws {
        let (json, duplicates) = try parse(text)
        #expect(try ObjectRules.check(json, kind: pod, duplicates: duplicates).warnings == problems)
    }

    @Test func duplicatesOfAPatchComeBeforeUnknownFields() throws {
        let (_, duplicates) = try parse(#"{"spec":{"nodeName":"a","nodeName":"b","foo":1,"foo":1}}"#)
        let patched: JSON = ["spec": ["foo": 1, "nodeName": "b"]]
        let problems = [
            #"duplicate field "spec.nodeName""#, #"duplicate field "spec.foo""#, #"unknown field "spec.foo""#,
        ]
        let checked = try ObjectRules.check(patched: patched, kind: pod, strictness: .warn, duplicates: duplicates)
        #expect(checked.warnings == problems)
        let refusal = #expect(throws: StatusError.self) {
            try ObjectRules.check(patched: patched, kind: pod, strictness: .strict, duplicates: duplicates)
        }
        #expect(refusal?.message == "strict decoding error: \(problems.joined(separator: ", "))")
    }

    @Test func otherKindsAreRefused() throws {
        #expect(
            try refusal(#"{"apiVersion":"v2","kind":"Pod"}"#, pod)
                == "the API version in the data (v2) does not match the expected API version (v1)")
        #expect(try refusal(#"{"apiVersion":"v1","kind":"Service"}"#, pod)?.contains("unknown conversion") == true)
    }

    /// Each is what a v1.36 server returns for the object, apart from defaults.
    @Test(arguments: [
        // Nulls, empty texts, lists and maps go; structs that Go always writes come.
        (
            #"{"metadata":{"creationTimestamp":null,"labels":{}},"spec":{"nodeName":"","hostNetwork":false,"containers":null}}"#,
            pod,
            #"{"metadata":{},"spec":{"containers":null},"status":{},"apiVersion":"v1","kind":"Pod"}"#
        ),
        (
            #"{"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":"1000m","memory":"0.5Gi"}}}]}}"#, pod,
            #"""
            {"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":"1","memory":"512Mi"}}}]},"metadata":{},\#
            "status":{},"apiVersion":"v1","kind":"Pod"}
            """#
        ),
        // A pointer keeps its zero.
        (
            #"{"spec":{"replicas":0,"paused":false,"selector":{},"template":{}}}"#, deployment,
            #"""
            {"spec":{"replicas":0,"selector":{},"template":{"metadata":{},"spec":{"containers":null}},"strategy":{}},\#
            "metadata":{},"status":{},"apiVersion":"apps/v1","kind":"Deployment"}
            """#
        ),
        (
            #"{"involvedObject":{},"firstTimestamp":"2026-01-01T01:00:00+01:00"}"#, GroupVersionKind("", "v1", "Event"),
            #"""
            {"involvedObject":{},"firstTimestamp":"2026-01-01T00:00:00Z","eventTime":null,"lastTimestamp":null,\#
            "metadata":{},"reportingComponent":"","reportingInstance":"","source":{},"apiVersion":"v1","kind":"Event"}
            """#
        ),
    ])
    func canonicalForm(text: String, kind: GroupVersionKind, expected: String) throws {
        let json = try ObjectRules.check(JSON.parse(text), kind: kind).json
        #expect(json == (try JSON.parse(expected)), "\(json)")
    }

    @Test func checkingTwiceChangesNothing() throws {
        let text = #"{"metadata":{"name":"x"},"spec":{"ports":[{"port":80}],"selector":{"a":"b"}}}"#
        let kind = GroupVersionKind("", "v1", "Service")
        let once = try ObjectRules.check(JSON.parse(text), kind: kind).json
        #expect(once["spec"]?["ports"]?[0]?["protocol"] == "TCP")
        #expect(try ObjectRules.check(once, kind: kind, strictness: .strict).json == once)
    }

    @Test func base64OfSecretsIsChecked() throws {
        let secret = GroupVersionKind("", "v1", "Secret")
        #expect(try refusal(#"{"data":{"a":"aGk="}}"#, secret) == nil)
        for bad in ["a", "aGk", "!!!!", "aGk=x", "a===", "=aaa"] {
            let message = try refusal("{\"data\":{\"a\":\"\(bad)\"}}", secret)
            #expect(message?.contains("illegal base64 data at input byte") == true, "\(bad)")
        }
    }
}
