// SPDX-License-Identifier: Apache-2.0

package import Logging
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

    /// Runs until SIGTERM or SIGINT, and ends in good order then.
    package func run() async throws {
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
