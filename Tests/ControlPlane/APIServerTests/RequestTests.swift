// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOCore
import NIOHTTP1
import Testing

@testable import APIServer

@Suite struct RequestTests {
    private func info(_ method: String, _ path: String, _ query: String = "") -> RequestInfo {
        RequestInfo(method: method, path: path, query: QueryParameters(query))
    }

    @Test func pathsOfObjectsAreRead() {
        let pod = info("GET", "/api/v1/namespaces/default/pods/p/log")
        #expect(pod.verb == "get")
        #expect(pod.groupVersionResource == GroupVersionResource("", "v1", "pods"))
        #expect(pod.namespace == "default")
        #expect(pod.name == "p")
        #expect(pod.subresource == "log")
        let role = info("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterroles/r")
        #expect(role.verb == "delete")
        #expect(role.groupVersion.group == "rbac.authorization.k8s.io")
        #expect(role.namespace.isEmpty)
        let proxied = info("POST", "/api/v1/namespaces/d/services/s:80/proxy/a/b")
        #expect(proxied.verb == "create")
        #expect(proxied.name == "s:80")
        #expect(proxied.remainder == "a/b")
    }

    @Test func namespacesAreResourcesToo() {
        let namespace = info("GET", "/api/v1/namespaces/n")
        #expect(namespace.resource == "namespaces")
        #expect(namespace.name == "n")
        #expect(namespace.namespace == "n")
        let finalize = info("PUT", "/api/v1/namespaces/n/finalize")
        #expect(finalize.resource == "namespaces")
        #expect(finalize.subresource == "finalize")
    }

    @Test(arguments: [
        ("GET", "/api/v1/pods", "", "list"), ("GET", "/api/v1/pods", "watch=true", "watch"),
        ("GET", "/api/v1/pods", "watch=0", "list"), ("GET", "/api/v1/watch/pods", "", "watch"),
        ("DELETE", "/api/v1/namespaces/d/pods", "", "deletecollection"),
        ("POST", "/api/v1/namespaces/d/pods", "", "create"),
        ("PATCH", "/api/v1/namespaces/d/pods/p", "", "patch"), ("PUT", "/api/v1/namespaces/d/pods/p", "", "update"),
    ])
    func verbsFollowFromMethodAndPath(_ method: String, _ path: String, _ query: String, _ verb: String) {
        #expect(info(method, path, query).verb == verb)
    }

    @Test func otherPathsAreNotResources() {
        for path in ["/healthz", "/api", "/apis/apps/v1", "/openapi/v3/apis/apps/v1"] {
            #expect(!info("GET", path).isResourceRequest, "\(path)")
        }
    }

    private func call(_ path: String, _ selector: String) -> APICall {
        let query = PercentEncoding.encode(selector)
        return APICall(
            HTTPRequest(
                method: .GET, uri: "\(path)?fieldSelector=\(query)", headers: [:], body: ByteBuffer(),
                peer: HTTPPeer(address: nil, certificate: nil)))
    }

    @Test(arguments: [
        ("", "metadata.name=a"), ("metadata.name=a", "metadata.name=a"),
        ("type=Opaque,metadata.name=a", "type=Opaque,metadata.name=a"), ("metadata.name!=x", nil),
        ("metadata.name=b", nil), ("type=Opaque", nil), ("metadata.name!=a", nil),
    ])
    func aWatchOfOneObjectSelectsNoOther(_ selector: String, _ expected: String?) throws {
        let call = call("/api/v1/watch/namespaces/d/secrets/a", selector)
        #expect(call.info.verb == "watch")
        if let expected {
            #expect(try call.selector(selector) == expected)
        } else {
            let error = #expect(throws: StatusError.self) { try call.selector(selector) }
            #expect(error?.code == 400)
            #expect(error?.message == "fieldSelector metadata.name doesn't match requested name")
        }
    }

    @Test func aListThatWasAllowedByNameSelectsThatName() throws {
        #expect(
            try call("/api/v1/namespaces/d/secrets", "metadata.name=a").listOptions().fieldSelector
                == "metadata.name=a")
        // What access was granted for is not what the selector says: an escape makes another value of it.
        let escaped = call("/api/v1/namespaces/d/secrets", #"metadata.name=a\=b"#)
        #expect(escaped.info.name == #"a\=b"#)
        #expect(throws: StatusError.self) { try escaped.listOptions() }
        #expect(try call("/api/v1/namespaces/d/secrets", "type=x").listOptions().fieldSelector == "type=x")
    }

    @Test(arguments: [
        ("9223372036854775807", Int(Int32.max)), ("-9223372036854775808", Int(Int32.min)), ("5", 5),
    ])
    func secondsCanBeReckonedWith(text: String, seconds: Int) throws {
        #expect(try QueryParameters("timeoutSeconds=\(text)").watchOptions().timeoutSeconds == seconds)
        #expect(try QueryParameters("gracePeriodSeconds=\(text)").seconds("gracePeriodSeconds") == seconds)
    }

    // MARK: YAML

    private func yaml(_ text: String) throws -> RequestBody { try RequestBody(yaml: ByteBuffer(string: text)) }

    @Test func sharedPartsOfYAMLAreWrittenOut() throws {
        let text = """
            base: &base {cpu: 1}
            first: *base
            second: [*base, *base]
            """
        #expect(try yaml(text).json["second"] == [["cpu": 1], ["cpu": 1]])
    }

    @Test(arguments: ["- *x", "*x : 1", "? *x", "{*x}"])
    func aliasesThatComeToTooMuchAreRefused(last: String) {
        var text = "- &x [a, a, a, a, a, a, a, a, a, a]\n"
        for _ in 0..<8 { text += "- &x [*x, *x, *x, *x, *x, *x, *x, *x, *x, *x]\n" }
        let error = #expect(throws: StatusError.self) { try yaml(text + "- \(last)\n") }
        #expect(error?.code == 400)
        #expect(error?.message == "error converting YAML to JSON: yaml: document contains excessive aliasing")
    }

    @Test func aChainOfAliasesIsNotFollowedDeep() {
        let text = "- &x [a]\n" + String(repeating: "- &x [*x]\n", count: 50_000)
        #expect(throws: StatusError.self) { try yaml(text) }
    }

    @Test func whatOnlyLooksLikeAliasesCountsForNothing() throws {
        let text = "script: |\n" + String(repeating: "  sleep 1 & wait; f *args, &other\n", count: 5000)
        #expect(try yaml(text).json["script"]?.string?.utf8.count == 5000 * 32)
        let code = "code: |\n" + String(repeating: "  *known = &value;\n", count: 5000)
        _ = try yaml(code)
    }

    @Test(arguments: [
        (1, 1000, 1000, true), (3, 12, 4096, true), (9, 90, 400, false), (50_000, 50_000, 500_000, false),
        (1, 1, 3_000_000, false), (1, 0, 3_000_000, true),
    ])
    func aliasesAreReckonedUp(anchors: Int, aliases: Int, bytes: Int, isAcceptable: Bool) {
        #expect(YAMLAliases.isAcceptable(anchors: anchors, aliases: aliases, bytes: bytes) == isAcceptable)
    }

    @Test func fieldSelectorOnTheNameCountsForAccess() {
        #expect(info("GET", "/api/v1/namespaces/d/secrets", "fieldSelector=metadata.name%3Da").name == "a")
        #expect(info("GET", "/api/v1/namespaces/d/secrets", "fieldSelector=metadata.name%3Da,x%3Dy").name.isEmpty)
    }

    @Test func queriesAreDecodedAndChecked() throws {
        let query = QueryParameters("labelSelector=a%20in%20(b,c)&limit=5&x=1+2&dryRun=All")
        #expect(try query.listOptions().labelSelector == "a in (b,c)")
        #expect(try query.listOptions().limit == 5)
        #expect(query["x"] == "1 2")
        #expect(try query.writeOptions("CreateOptions").dryRun)
        #expect(throws: StatusError.self) { try QueryParameters("limit=x").listOptions() }
        #expect(throws: StatusError.self) { try QueryParameters("dryRun=Some").writeOptions("CreateOptions") }
        #expect(throws: StatusError.self) { try QueryParameters("fieldValidation=x").writeOptions("CreateOptions") }
    }

    @Test func clientsGetTheFormThatTheyPrefer() throws {
        let kubectl =
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,"
            + "application/json"
        #expect(try Negotiated.choose(accept: kubectl).representation == .table(version: "v1"))
        #expect(try Negotiated.choose(accept: "application/vnd.kubernetes.protobuf, application/json") == .json)
        #expect(
            try Negotiated.choose(accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
                .representation == .metadata(version: "v1"))
        #expect(throws: StatusError.self) { try Negotiated.choose(accept: "application/vnd.kubernetes.protobuf") }
        #expect(throws: StatusError.self) { try Negotiated.choose(accept: "text/html") }
    }

    @Test func continueTokensReturnWhatTheyHold() throws {
        let token = ContinueToken(revision: 17, last: "default/a")
        #expect(try ContinueToken(parsing: token.text) == token)
        #expect(throws: StatusError.self) { try ContinueToken(parsing: "nonsense") }
    }
}
