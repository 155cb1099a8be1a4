// SPDX-License-Identifier: Apache-2.0

import APIServerFixture
import HTTPTransport
import JSON
import KubeAPI
import KubeClient
import Logging
import NIOCore
import NIOPosix

/// Runs with a node `n1` in the API whose kubelet, a server without TLS, is this handler.
func withKubelet(
    _ handler: any HTTPHandler, of api: ServedAPI, _ body: () async throws -> Void
) async throws {
    let kubelet = HTTPServer(
        handler: handler, group: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "kubelet"))
    let address = try await kubelet.bind(host: "127.0.0.1", port: 0, tls: nil)
    async let serving: Void = kubelet.run()
    var node = KubeObject(.init("", "v1", "Node"), name: "n1")
    node.status = [
        "addresses": [["type": "InternalIP", "address": "127.0.0.1"]],
        "daemonEndpoints": ["kubeletEndpoint": ["Port": JSON(address.port ?? 0)]],
    ]
    _ = try await api.client.create(.init("", "v1", "nodes"), object: node)
    try await body()
    kubelet.shutdown()
    await serving
}
