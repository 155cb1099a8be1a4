// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import KubeClient
import NIOCore
import NIOHTTP1
import Storage
import Testing

@testable import APIServer

/// What upstream's strategies and admission do to objects on their way in, and what they refuse.
@Suite struct WriteRulesTests {
    private static let claims = GroupVersionResource.persistentVolumeClaims
    private static let budgets = GroupVersionResource("policy", "v1", "poddisruptionbudgets")

    private func object(_ kind: GroupVersionKind, _ name: String, _ members: JSON = [:]) -> KubeObject {
        var object = KubeObject(kind, namespace: "", name: name)
        for (key, value) in members.members { object.json[key] = value }
        return object
    }

    private func namespaced(_ kind: GroupVersionKind, _ name: String, _ members: JSON = [:]) -> KubeObject {
        var object = object(kind, name, members)
        object.namespace = "default"
        return object
    }

    private func merge(
        _ test: TestRegistry, _ resource: GroupVersionResource, _ name: String, _ patch: JSON,
        subresource: String? = nil, isNamespaced: Bool = true
    ) async throws -> KubeObject {
        try await test.client.patch(
            resource, namespace: isNamespaced ? "default" : nil, name: name, subresource: subresource, type: .merge,
            patch: patch, options: .init())
    }

    // MARK: Versions

    // MARK: What answers show

    // MARK: Volumes and classes

    private func claim(_ name: String, _ spec: JSON = [:]) -> KubeObject {
        var spec = spec
        spec["accessModes"] = ["ReadWriteOnce"]
        spec["resources"] = ["requests": ["storage": "1Gi"]]
        return namespaced(.init("", "v1", "PersistentVolumeClaim"), name, ["spec": spec])
    }

    // MARK: Refusals

    // MARK: Requests

    private func patchCall(_ type: String, _ query: String, _ body: String) -> APICall {
        APICall(
            HTTPRequest(
                method: .PATCH, uri: "/api/v1/namespaces/default/configmaps/a?\(query)",
                headers: ["Content-Type": type], body: ByteBuffer(string: body),
                peer: HTTPPeer(address: nil, certificate: nil)))
    }

    @Test func onlyAnApplyIsForced() async throws {
        let merge = patchCall("application/merge-patch+json", "force=true", "{}")
        let error = await status { _ = try merge.patch() }
        #expect(error?.code == 422)
        #expect(
            error?.message
                == #"PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch"#
        )
        _ = try patchCall("application/apply-patch+yaml", "force=true", "a: b").patch()
    }

    @Test(arguments: ["application/merge-patch+json", "application/strategic-merge-patch+json"])
    func duplicatesInAPatchAreTold(type: String) async throws {
        let test = try await TestRegistry()
        _ = try await test.client.create(.configMaps, object: configMap("a"))
        let body = #"{"data":{"k":"1","k":"2"},"unknown":1}"#
        let (patchType, patch, duplicates) = try patchCall(type, "", body).patch()
        func write(_ fieldValidation: String) async throws -> [String] {
            var options = WriteOptions()
            options.fieldValidation = fieldValidation
            let context = RequestContext(user: .loopback)
            _ = try await test.registry.patch(
                .init(
                    served: try test.registry.served(.configMaps), namespace: "default", name: "a", subresource: "",
                    type: patchType, patch: patch, duplicates: duplicates, options: options), context: context)
            return context.warnings.all
        }
        let problems = [#"duplicate field "data.k""#, #"unknown field "unknown""#]
        let error = await status { _ = try await write("Strict") }
        #expect(error?.code == 422)
        #expect(
            error?.message.hasSuffix("strict decoding error: \(problems.joined(separator: ", "))") == true,
            "\(error?.message ?? "")")
        #expect(error?.details?.causes.first?.field == "patch")
        #expect(try await write("Warn") == problems)
        #expect(try await write("Ignore") == [])
    }
}
