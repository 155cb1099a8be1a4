// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import KubeClient
import NIOCore
import NIOHTTP1
import Testing

@testable import APIServer

/// Scales are read as strictly as the objects that they change.
@Suite struct ScaleTests {
    private static let controllers = GroupVersionResource("", "v1", "replicationcontrollers")

    private func server() async throws -> TestRegistry {
        let test = try await TestRegistry()
        var controller = KubeObject(
            .init("", "v1", "ReplicationController"), namespace: "default", name: "web")
        controller.spec = [
            "replicas": 3, "selector": ["app": "web"],
            "template": [
                "metadata": ["labels": ["app": "web"]], "spec": ["containers": [["name": "c", "image": "i"]]],
            ],
        ]
        _ = try await test.client.create(Self.controllers, object: controller)
        return test
    }

    private func patch(_ test: TestRegistry, _ replicas: JSON) async throws -> KubeObject {
        try await test.client.patch(
            Self.controllers, namespace: "default", name: "web", subresource: "scale", type: .merge,
            patch: ["spec": ["replicas": replicas]], options: .init())
    }

    @Test(arguments: [JSON.string("5"), .int(.max), .int(Int64(Int32.max) + 1), .double(2.5), .bool(true), .int(-1)])
    func whatIsNoNumberOfReplicasIsRefused(replicas: JSON) async throws {
        let test = try await server()
        let error = await status { _ = try await patch(test, replicas) }
        #expect(error?.code == 422)
        let left = try await test.client.get(Self.controllers, namespace: "default", name: "web")
        #expect(left.spec["replicas"] == 3)
    }

    @Test func aScaleIsPatched() async throws {
        let test = try await server()
        #expect(try await patch(test, 7).spec["replicas"] == 7)
        #expect(try await patch(test, 0).spec["replicas"] == nil)
        let left = try await test.client.get(Self.controllers, namespace: "default", name: "web")
        #expect(left.spec["replicas"] == 0)
    }

    @Test(arguments: [
        (#""5""#, "string"), ("9223372036854775807", "number 9223372036854775807"), ("3000000000", "number 3000000000"),
    ])
    func aBodyIsCheckedAgainstItsType(replicas: String, word: String) throws {
        let body =
            #"{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"web"},"spec":{"replicas":\#(replicas)}}"#
        let call = APICall(
            HTTPRequest(
                method: .PUT, uri: "/api/v1/namespaces/default/replicationcontrollers/web/scale", headers: [:],
                body: ByteBuffer(string: body), peer: HTTPPeer(address: nil, certificate: nil)))
        let error = #expect(throws: StatusError.self) {
            try ObjectHandlers.submitted(call, ScaleSubresource.kind, .init(), RequestContext(user: .loopback))
        }
        #expect(error?.code == 400)
        #expect(
            error?.message
                == #"Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal \#(word) into Go struct "#
                + "field ScaleSpec.spec.replicas of type int32")
    }
}
