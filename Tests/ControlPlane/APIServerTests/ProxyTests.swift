// SPDX-License-Identifier: Apache-2.0

import APIServerFixture
import HTTPTransport
import JSON
import KubeAPI
import KubeClient
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

@testable import APIServer

/// Requests that the server passes on, and what it makes of the answers.
@Suite struct ProxyTests {
    private struct Answer: Sendable {
        var code: Int
        var location: String?
        var text: String
        var status: StatusError? {
            // Only a refusal is one.
            (try? JSON.parse(Array(text.utf8))).flatMap { StatusError($0) }
        }
    }

    private func ask(_ api: ServedAPI, _ method: HTTPMethod, _ path: String) async throws -> Answer {
        let client = HTTPUpgradeClient(group: MultiThreadedEventLoopGroup.singleton)
        let exchange = try await client.open(
            .init(host: "127.0.0.1", port: api.port, tls: .init(verification: .none)), method: method, uri: path,
            headers: ["Authorization": "Bearer \(ServedAPI.adminToken)"])
        var text = ""
        while let piece = try await exchange.stream.read() { text += String(buffer: piece) }
        return Answer(
            code: Int(exchange.status.code), location: exchange.headers.first(name: "Location"), text: text)
    }

    /// Runs with a node `n1` whose kubelet is a fake, a pod `p` on it, and a pod `waiting` on none.
    private func withNode(_ body: @Sendable @escaping (ServedAPI) async throws -> Void) async throws {
        try await ServedAPI.run { api in
            try await withKubelet(RefusingKubelet(), of: api) {
                for (name, node) in [("p", "n1"), ("waiting", "")] {
                    var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: name)
                    pod.metadata["annotations"] = ["kubernetes.io/config.mirror": "x"]
                    pod.spec = ["containers": [["name": "c", "image": "i"]]]
                    if !node.isEmpty { pod.json["spec", "nodeName"] = .string(node) }
                    _ = try await api.client.create(.init("", "v1", "pods"), object: pod)
                }
                try await body(api)
            }
        }
    }

    private static let logs = "/api/v1/namespaces/default/pods/p/log"

    @Test func refusalsOfKubeletsBecomeStatuses() async throws {
        try await withNode { api in
            let refused = try await ask(api, .GET, Self.logs + "?previous=true")
            #expect(refused.code == 400)
            #expect(refused.status?.reason == "BadRequest")
            #expect(refused.status?.message == #"previous terminated container "c" in pod "p" not found"#)
            let missing = try await ask(api, .GET, Self.logs + "?limitBytes=404").status
            #expect(missing?.code == 404)
            #expect(missing?.message == "the server could not find the requested resource ( pods/log p)")
            let broken = try await ask(api, .GET, Self.logs + "?limitBytes=500").status
            #expect(broken?.reason == "InternalError")
            #expect(broken?.message == "Internal error occurred: broken")
        }
    }

    @Test func logsOfAPodWithoutANodeAreEmpty() async throws {
        try await withNode { api in
            let answer = try await ask(api, .GET, "/api/v1/namespaces/default/pods/waiting/log")
            #expect(answer.code == 204)
            #expect(answer.text.isEmpty)
        }
    }

    @Test(arguments: [
        ("tailLines=-1", "tailLines", "Invalid value: -1: must be greater than or equal to 0"),
        ("limitBytes=0", "limitBytes", "Invalid value: 0: must be greater than 0"),
        ("sinceSeconds=0", "sinceSeconds", "Invalid value: 0: must be greater than 0"),
        (
            "stream=Foo", "stream",
            #"Unsupported value: "Foo": supported values: "All", "Stderr", "Stdout""#
        ),
        (
            "sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z", "",
            "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        ),
        (
            "stream=Stdout&tailLines=1", "",
            "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"
        ),
    ])
    func wrongLogOptionsAreInvalid(_ query: String, _ field: String, _ message: String) throws {
        let error = #expect(throws: StatusError.self) { try PodLogQuery(QueryParameters(query), pod: "p") }
        #expect(error?.code == 422)
        #expect(error?.details?.kind == "PodLogOptions")
        #expect(error?.details?.causes.map(\.field) == [field])
        #expect(error?.details?.causes.map(\.message) == [message])
    }

    @Test func logOptionsReachTheKubelet() throws {
        let query = QueryParameters("container=c&tailLines=3&follow=1&timestamps=false&stream=All")
        let text = try PodLogQuery(query, pod: "p").text
        #expect(text == "follow=true&tailLines=3&stream=All")
        let error = #expect(throws: StatusError.self) { try PodLogQuery(QueryParameters("tailLines=x"), pod: "p") }
        #expect(error?.code == 400)
    }

    @Test func everyMethodIsPassedOn() async throws {
        try await withNode { api in
            for method: HTTPMethod in [.GET, .POST, .PUT, .PATCH, .DELETE, .OPTIONS] {
                let answer = try await ask(api, method, "/api/v1/nodes/n1/proxy/echo?a=b")
                #expect(answer.text == "\(method) /echo?a=b", "\(answer)")
            }
            #expect(try await ask(api, .HEAD, "/api/v1/nodes/n1/proxy/echo").code == 200)
            #expect(try await ask(api, .OPTIONS, Self.logs).code == 405)
        }
    }

    @Test func rootsOfProxiesEndWithASlash() async throws {
        try await withNode { api in
            let path = "/api/v1/nodes/n1/proxy"
            for method: HTTPMethod in [.GET, .HEAD] {
                let answer = try await ask(api, method, path + "?a=b")
                #expect(answer.code == 301)
                #expect(answer.location == "/api/v1/nodes/n1/proxy/?a=b")
            }
            #expect(try await ask(api, .GET, path).location == "/api/v1/nodes/n1/proxy/")
            #expect(try await ask(api, .POST, path).text == "POST /")
            #expect(try await ask(api, .GET, path + "/").text == "GET /")
        }
    }
}

/// Refuses logs in different ways, and says otherwise what it was asked.
private struct RefusingKubelet: HTTPHandler {
    func handleImmediately(_ request: HTTPRequest) -> HTTPResponse? {
        func answer(_ status: HTTPResponseStatus, _ text: String) -> HTTPResponse {
            HTTPResponse(
                status: status, headers: ["Content-Type": "text/plain"], body: .bytes(ByteBuffer(string: text)))
        }
        switch request.uri {
        case "/containerLogs/default/p/c?previous=true":
            return answer(.badRequest, #"previous terminated container "c" in pod "p" not found"#)
        case "/containerLogs/default/p/c?limitBytes=404": return answer(.notFound, "pod does not exist")
        case "/containerLogs/default/p/c?limitBytes=500": return answer(.internalServerError, "broken")
        default: return answer(.ok, "\(request.method) \(request.uri)")
        }
    }

    func handle(_ request: HTTPRequest) async -> HTTPResponse {
        HTTPResponse(status: .internalServerError, body: .bytes(ByteBuffer()))
    }
}
