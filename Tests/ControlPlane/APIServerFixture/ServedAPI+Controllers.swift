// SPDX-License-Identifier: Apache-2.0

import APIServer
package import ControllerRuntime
package import Controllers
package import KubeAPI
import Logging

extension ServedAPI {
    /// The informers and the rest of what controllers of this API are made from.
    package func controllerContext(
        now: @escaping @Sendable () -> KubeTime = { KubeTime(seconds: Int(SystemClock().now)) }
    ) -> ControllerContext {
        let logger = Logger(label: "test")
        return ControllerContext(
            client: client, informers: InformerSet(client: client, logger: logger), logger: logger, now: now)
    }

    /// Runs controllers and the informers that they share while `body` runs.
    package func withControllers(
        _ context: ControllerContext, _ loops: [any ControlLoop], _ body: () async throws -> Void
    ) async throws {
        let runs = loops.map { loop -> @Sendable () async throws -> Void in { try await loop.run() } }
        try await whileRunning([{ try await context.informers.run() }] + runs) {
            await context.informers.waitForSync()
            try await body()
        }
    }
}
