// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

@testable import APIServer

@Suite(.serialized, .enabled(if: Kubectl.isInstalled)) struct KubectlTests {
    private func withKubectl(_ body: @Sendable @escaping (Kubectl, ServedAPI) async throws -> Void) async throws {
        try await ServedAPI.run { api in
            let kubectl = try Kubectl(api)
            defer { kubectl.remove() }
            try await body(kubectl, api)
        }
    }

    @Test func rawRequestsAnswer() async throws {
        try await withKubectl { kubectl, _ in
            #expect(try await kubectl("get", "--raw", "/healthz").output == "ok")
            #expect(try await kubectl("get", "--raw", "/readyz?verbose").output.contains("readyz check passed"))
            let version = try JSON.parse(try await kubectl("get", "--raw", "/version").output)
            #expect(version["minor"]?.string == "36")
            let list = try JSON.parse(try await kubectl("get", "--raw", "/api/v1/namespaces").output)
            let names = list["items"]?.elements.compactMap { $0["metadata"]?["name"]?.string }
            #expect(names == ["default", "kube-node-lease", "kube-public", "kube-system"])
            let missing = try await kubectl("get", "--raw", "/nothing")
            #expect(missing.status != 0)
        }
    }
}
