// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
package import Logging
import NIOCore
import ServiceLifecycle
import Systemd
import UnixSignals

/// The agent: everything that `swiftlet run` runs, composed from the configuration.
///
/// Order of life: the store opens, the API server listens, controllers and scheduler follow the API, the kubelet takes over
/// the containers that are there. It ends the other way round; the store closes last, when nobody writes any more.
package struct Agent: Sendable {
    let configuration: Configuration
    let logger: Logger

    package init(configuration: Configuration) {
        self.configuration = configuration
        var logger = Logger(label: "swiftlet") { StandardLogging.handler($0) }
        logger.logLevel = Logger.Level(rawValue: configuration.log.level) ?? .info
        self.logger = logger
    }

    /// Few threads work at the same time, so few arenas are enough.
    private static let heapArenas: CInt = 2

    /// Threads for what blocks: they wait for launchers and the kernel and hardly use a processor, so their number is
    /// how many pods start and stop at one time.
    private static let blockingThreads = 8

    /// Runs until SIGTERM or SIGINT, and ends in good order then.
    package func run() async throws {
        Heap.limitArenas(to: Self.heapArenas)
        NIOSingletons.blockingPoolThreadCountSuggestion = Self.blockingThreads
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: AgentService(agent: self))],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        try await group.run()
    }
}

/// The agent as a service: a graceful shutdown cancels its task tree, whose parts end in order.
private struct AgentService: Service {
    let agent: Agent

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown {
                try await NodeComposition(agent.configuration, agent.logger).run()
            }
        } catch is CancellationError {
            ServiceNotifier.notify(.stopping)
        }
    }
}
