// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
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
        self.logger = logger.component("agent")
    }

    /// Few threads work at the same time, so few arenas are enough.
    private static let heapArenas: CInt = 2

    /// Threads for what blocks: they wait for launchers and the kernel and hardly use a processor, so their number is
    /// how many pods start and stop at one time.
    private static let blockingThreads = 8

    /// Runs until SIGTERM or SIGINT, and ends in good order then; SIGHUP ends it too, and begins it anew in the same process.
    /// SIGUSR1 tells it that certificates on disk are others.
    package func run() async throws {
        Heap.limitArenas(to: Self.heapArenas)
        NIOSingletons.blockingPoolThreadCountSuggestion = Self.blockingThreads
        let service = AgentService(agent: self)
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        try await group.run()
        if service.isToRestart.load(ordering: .acquiring) { throw Self.executeAgain() }
    }

    /// Replaces the process's program by the one that is installed now, with the same arguments: what the old one held in
    /// memory has gone, and systemd sees the same process.
    ///
    /// - Returns: why it failed.
    private static func executeAgain() -> any Error {
        do {
            // The kernel marks a program that was replaced by an upgrade; the new one has its name.
            var program = try Files.linkTarget("/proc/self/exe")
            let mark = " (deleted)"
            if program.hasSuffix(mark) { program.removeLast(mark.count) }
            // Libraries open descriptors without close-on-exec: a listening socket that is left would be in the way.
            try closeDescriptorsOnExec(from: 3)
            return Processes.execute(
                program, arguments: CommandLine.arguments, environment: Processes.environment())
        } catch {
            return error
        }
    }
}

/// The agent as a service: a graceful shutdown cancels its task tree, whose parts end in order; before, if it is the machine
/// that goes down, pods end.
private final class AgentService: Service {
    private let agent: Agent
    /// Whether it ended to begin anew.
    let isToRestart = Atomic(false)

    init(agent: Agent) { self.agent = agent }

    func run() async throws {
        // Before anybody can find out that the agent runs: an unknown signal would end it.
        let signals = await UnixSignalsSequence(trapping: .sighup, .sigusr1)
        let notice = CertificateNotice()
        let farewell = Farewell(
            time: agent.configuration.kubelet.shutdownGracePeriod, logger: agent.logger.component("shutdown"))
        do {
            try await withThrowingTaskGroup { group in
                group.addTask {
                    try await NodeComposition(self.agent.configuration, notice, farewell, self.agent.logger).run()
                }
                group.addTask { await self.follow(signals, notice) }
                group.addTask { try await MemoryHousekeeping(logger: self.agent.logger).run() }
                group.addTask {
                    try await gracefulShutdown()
                    await farewell.say()
                }
                // The first that ends, ends the others.
                try await group.next()
                group.cancelAll()
                try await group.waitForAll()
            }
        } catch is CancellationError {
            if !isToRestart.load(ordering: .acquiring) { ServiceNotifier.notify(.stopping) }
        }
    }

    /// Returns when the agent is to begin anew.
    private func follow(_ signals: UnixSignalsSequence, _ notice: CertificateNotice) async {
        for await signal in signals {
            if signal == .sigusr1 {
                notice.post()
                continue
            }
            agent.logger.notice("Starting anew as asked by SIGHUP")
            isToRestart.store(true, ordering: .releasing)
            return
        }
    }
}
