// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import Logging
import NIOCore
import NIOHTTP1

/// The kubelet's HTTPS server, which the API server calls for logs, exec, attach and port-forward.
struct KubeletServer: Sendable {
    let context: KubeletContext
    let director: PodDirector
    let tls: HTTPServerTLS?

    func run() async throws {
        // Without an identity there is nothing to prove to clients, and no client to trust.
        guard let tls else { return }
        let handler = KubeletHandler(context: context, director: director, access: KubeletAccess())
        let server = HTTPServer(handler: handler, group: context.eventLoops, logger: context.logger)
        _ = try await server.bind(
            host: context.configuration.listenAddress, port: context.configuration.port, tls: tls)
        await server.run()
    }
}
