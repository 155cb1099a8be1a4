// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

/// Cases of RFC 6902, appendix A, and of the library that upstream uses.
struct JSONPatchTests {
    private func apply(_ patch: String, to document: String) throws -> JSON {
        try JSONPatch(JSON.parse(patch)).apply(to: JSON.parse(document))
    }

    @Test(arguments: [
        (#"{"foo":"bar"}"#, #"[{"op":"add","path":"/baz","value":"qux"}]"#, #"{"baz":"qux","foo":"bar"}"#),
        (#"{"foo":["bar","baz"]}"#, #"[{"op":"add","path":"/foo/1","value":"q"}]"#, #"{"foo":["bar","q","baz"]}"#),
        (#"{"a":1,"b":2}"#, #"[{"op":"remove","path":"/a"}]"#, #"{"b":2}"#),
        (#"{"foo":[1,2,3]}"#, #"[{"op":"remove","path":"/foo/1"}]"#, #"{"foo":[1,3]}"#),
        (#"{"a":1}"#, #"[{"op":"replace","path":"/a","value":{"x":[]}}]"#, #"{"a":{"x":[]}}"#),
        (
            #"{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}"#,
            #"[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]"#,
            #"{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}"#
        ),
        (#"{"a":[1,2,3,4]}"#, #"[{"op":"move","from":"/a/1","path":"/a/3"}]"#, #"{"a":[1,3,4,2]}"#),
        (#"{"a":{"b":[1]}}"#, #"[{"op":"copy","from":"/a/b","path":"/c"}]"#, #"{"a":{"b":[1]},"c":[1]}"#),
        (
            #"{"baz":"qux","foo":["a",2]}"#, #"[{"op":"test","path":"/foo/1","value":2}]"#,
            #"{"baz":"qux","foo":["a",2]}"#
        ),
        (#"{"foo":["bar"]}"#, #"[{"op":"add","path":"/foo/-","value":["x"]}]"#, #"{"foo":["bar",["x"]]}"#),
        (#"{"foo":["a","b"]}"#, #"[{"op":"replace","path":"/foo/-1","value":"z"}]"#, #"{"foo":["a","z"]}"#),
        (#"{"a/b":{"~x":1}}"#, #"[{"op":"replace","path":"/a~1b/~0x","value":2}]"#, #"{"a/b":{"~x":2}}"#),
        (#"{"":{"":1}}"#, #"[{"op":"remove","path":"//"}]"#, #"{"":{}}"#),
        (#"{"a":1}"#, #"[{"op":"test","path":"/b","value":null}]"#, #"{"a":1}"#),
        (#"{"a":1}"#, #"[{"op":"replace","path":"","value":{"b":2}}]"#, #"{"b":2}"#),
        (#"{"a":1}"#, #"[{"op":"add","path":"/b","value":null}]"#, #"{"a":1,"b":null}"#),
        (#"{"a":1}"#, "[]", #"{"a":1}"#),
    ])
    func appliesOperations(_ document: String, _ patch: String, _ expected: String) throws {
        #expect(try apply(patch, to: document) == JSON.parse(expected))
    }

    @Test(arguments: [
        #"[{"op":"add","path":"/x/y","value":1}]"#, #"[{"op":"remove","path":"/x"}]"#,
        #"[{"op":"replace","path":"/x","value":1}]"#, #"[{"op":"add","path":"/list/9","value":1}]"#,
        #"[{"op":"add","path":"/list/x","value":1}]"#, #"[{"op":"remove","path":"/list/3"}]"#,
        #"[{"op":"move","from":"/x","path":"/y"}]"#, #"[{"op":"copy","from":"/x","path":"/y"}]"#,
        #"[{"op":"test","path":"/a","value":2}]"#, #"[{"op":"test","path":"/x","value":2}]"#,
        #"[{"op":"jump","path":"/a"}]"#, #"[{"path":"/a"}]"#, #"[{"op":"add","value":1}]"#,
        #"[{"op":"remove","path":"a"}]"#, #"[{"op":"move","from":"/o","path":"/o/p"}]"#,
        #"[{"op":"remove","path":""}]"#, #"[{"op":"add","path":"/a/b","value":1}]"#,
    ])
    func whatDoesNotApplyIsUnprocessable(_ patch: String) {
        #expect {
            try apply(patch, to: #"{"a":1,"list":[1,2,3],"o":{}}"#)
        } throws: { error in
            guard let error = error as? StatusError else { return false }
            return error.code == 422 && error.reason == "Invalid"
                && error.message == "the server rejected our request due to an error in our request"
        }
    }

    @Test(arguments: ["{}", "1", "[1]", #"["x"]"#])
    func malformedPatchesAreBadRequests(_ patch: String) {
        #expect { try apply(patch, to: "{}") } throws: { ($0 as? StatusError)?.code == 400 }
    }

    @Test func theNumberOfOperationsIsLimited() throws {
        let operation: JSON = ["op": "test", "path": "/x"]
        _ = try JSONPatch(.array(Array(repeating: operation, count: 10_000)))
        #expect {
            try JSONPatch(.array(Array(repeating: operation, count: 10_001)))
        } throws: { error in
            (error as? StatusError)?.code == 413
                && (error as? StatusError)?.message
                    == "Request entity is too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
        }
    }

    @Test func copiesCannotExplode() {
        let doubling = (0..<64).map { _ in #"{"op":"copy","from":"/a","path":"/a/-"}"# }.joined(separator: ",")
        #expect(throws: StatusError.self) { try apply("[\(doubling)]", to: #"{"a":["0123456789"]}"#) }
    }

    @Test func nestingIsLimited() {
        let deep = String(repeating: "[", count: 400) + String(repeating: "]", count: 400)
        let path = String(repeating: "/0", count: 399)
        #expect(throws: StatusError.self) {
            try apply("[{\"op\":\"add\",\"path\":\"\(path)/-\",\"value\":\(deep)}]", to: deep)
        }
    }

    @Test func randomPatchesNeverCrash() throws {
        var random = RandomJSON(seed: 1)
        for _ in 0..<3000 {
            let document = random.value(depth: 4)
            let patch = JSON.array(
                (0..<3).map { _ in
                    var operation = random.value(depth: 2)
                    operation["op"] = .string(random.pick(["add", "remove", "replace", "move", "copy", "test"]))
                    operation["path"] = .string(random.pointer())
                    operation["from"] = .string(random.pointer())
                    return operation
                })
            // Most do not apply; that they are refused in an orderly way is what is tested.
            _ = try? JSONPatch(patch).apply(to: document)
            let merged = MergePatch.apply(patch[0] ?? .null, to: document)
            #expect(MergePatch.apply(patch[0] ?? .null, to: merged) == merged)
        }
    }
}

struct MergePatchTests {
    /// RFC 7386, appendix A.
    @Test(arguments: [
        (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
        (#"{"a":"b"}"#, #"{"a":null}"#, "{}"), (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#),
        (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
        (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
        (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#), (#"["a","b"]"#, #"["c","d"]"#, #"["c","d"]"#),
        (#"{"a":"b"}"#, #"["c"]"#, #"["c"]"#), (#"{"a":"foo"}"#, "null", "null"),
        (#"{"a":"foo"}"#, #""bar""#, #""bar""#),
        (#"{"e":null}"#, #"{"a":1}"#, #"{"e":null,"a":1}"#), ("[1,2]", #"{"a":"b","c":null}"#, #"{"a":"b"}"#),
        ("{}", #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
    ])
    func mergesAsTheStandardSays(_ document: String, _ patch: String, _ expected: String) throws {
        #expect(try MergePatch.apply(JSON.parse(patch), to: JSON.parse(document)) == JSON.parse(expected))
    }

    /// So many members that removing one at a time would take longer than the test may.
    @Test(.timeLimit(.minutes(5)))
    func manyMembersAreRemovedAtOnce() throws {
        let keys = (0..<60_000).map { "k\($0)" }
        let document: JSON = [
            "data": .object(JSONObject(keys.map { (key: $0, value: "v") })), "kind": "ConfigMap",
        ]
        let patch: JSON = ["data": .object(JSONObject(keys.dropFirst().map { (key: $0, value: .null) }))]
        let expected: JSON = ["data": ["k0": "v"], "kind": "ConfigMap"]
        #expect(MergePatch.apply(patch, to: document) == expected)
        let type = try #require(Schema.type(for: .init("", "v1", "ConfigMap")))
        #expect(try StrategicMergePatch.apply(patch, to: document, type: type) == expected)
    }

    @Test(.timeLimit(.minutes(5)))
    func longListsAreMergedByTheirKeys() throws {
        func container(_ number: Int, _ image: JSON) -> JSON { ["name": .string("c\(number)"), "image": image] }
        let numbers = 0..<20_000
        let document: JSON = ["spec": ["containers": .array(numbers.map { container($0, "a") })]]
        let changed: [JSON] = numbers.reversed().map { container($0, "b") }
        let gone: [JSON] = numbers.dropFirst().map { ["name": .string("c\($0)"), "$patch": "delete"] }
        let type = try #require(Schema.type(for: .init("", "v1", "Pod")))
        func apply(_ list: [JSON]) throws -> JSON? {
            let result = try StrategicMergePatch.apply(
                ["spec": ["containers": .array(list)]], to: document, type: type)
            return result["spec"]?["containers"]
        }
        #expect(try apply(changed) == .array(changed))
        #expect(try apply(gone) == .array([container(0, "a")]))
    }
}
