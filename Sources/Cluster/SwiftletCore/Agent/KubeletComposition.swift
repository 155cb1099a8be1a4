// SPDX-License-Identifier: Apache-2.0

import ContainerImages
import HTTPTransport
import HostChecks
import KubeAPI
import KubeClient
import Kubelet
import LinuxSystem
import Logging
import NIOCore
import NIOPosix
import PodNetwork
import PodRuntime
import SandboxNetwork
import SystemBus

/// Builds the parts that every node has: images, pod network, runtime and kubelet.
struct KubeletComposition: Sendable {
    let configuration: Configuration
    let node: NodeIdentity
    /// Labels that the Node gets when it is registered.
    var labels: [String: String] = [:]
    /// Whether the API server is another machine.
    var isWorker = false
    /// What the examination of the machine found.
    let findings: [Finding]
    let eventLoops: any EventLoopGroup
    let logger: Logger

    /// What runs on every node.
    struct Parts: Sendable {
        let kubelet: Kubelet
        let network: PodNetwork
        let sandboxes: SandboxNetwork
        /// What the examination of the machine at the start found.
        let findings: [Finding]

        /// Runs until it is cancelled, or one of them fails.
        ///
        /// - Parameter addressesChanged: told the node's addresses when they have changed, before kubelet and network.
        func run(
            _ configuration: Configuration, _ logger: Logger,
            addressesChanged: @escaping @Sendable (NodeIdentity) async throws -> Void
        ) async throws {
            let watch = NetworkWatch(.addresses, logger: logger) {
                let node = try NodeIdentity.discover(configuration)
                try await addressesChanged(node)
                await kubelet.addressesChanged(to: node.addresses.map(\.description))
                network.addressesChanged()
            }
            let hostWatch = HostWatch(
                configuration: configuration, findings: findings, logger: logger.component("checks")
            ) { await kubelet.hostProblemsChanged(to: $0) }
            let shutdown = ShutdownWatch(
                time: configuration.kubelet.shutdownGracePeriod, kubelet: kubelet,
                logger: logger.component("shutdown"))
            try await withThrowingDiscardingTaskGroup { group in
                group.addTask { try await hostWatch.run() }
                group.addTask { try await shutdown.run() }
                group.addTask { try await network.run() }
                group.addTask { try await watch.run() }
                group.addTask { try await repairLinks(logger.component("sandbox-network")).run() }
                group.addTask { try await repairRules(logger.component("sandbox-network")).run() }
                group.addTask { try await kubelet.run() }
            }
        }

        /// Mends what somebody else changes of the pod network's links; processes in pods go on.
        private func repairLinks(_ logger: Logger) -> NetworkWatch {
            NetworkWatch(.links, logger: logger) { [sandboxes, network] in
                let mended = try await NIOThreadPool.singleton.runIfActive { try sandboxes.repairLinks() }
                if !mended.isEmpty {
                    logger.warning(
                        "Links of the pod network were changed or deleted by somebody else, and are mended",
                        metadata: ["link": "\(mended.joined(separator: " "))"])
                }
                // Paths to other nodes may have gone with a link.
                network.addressesChanged()
            }
        }

        private func repairRules(_ logger: Logger) -> NetworkWatch {
            NetworkWatch(.rules, logger: logger) { [sandboxes] in
                guard try await NIOThreadPool.singleton.runIfActive({ try sandboxes.repairTable() }) else { return }
                logger.warning(
                    "The pod network's packet filter rules were changed or deleted by somebody else, and are set again")
            }
        }
    }

    /// - Parameters:
    ///   - client: the API with this node's identity.
    ///   - tls: of the kubelet's server.
    func make(client: any ResourceClient, tls: HTTPServerTLS) async throws -> Parts {
        let images = try await ImageService(
            configuration: configuration.imageService, logger: logger.component("images"))
        let sandboxes = try makeNetwork()
        let runtime = try PodRuntime(
            configuration: try runtimeSettings(), images: images, network: sandboxes,
            logger: logger.component("pod-runtime"))
        return Parts(
            kubelet: Kubelet(
                configuration: try kubeletSettings(), client: client, runtime: runtime, images: images,
                eventLoops: eventLoops, tls: tls, logger: logger.component("kubelet")),
            network: PodNetwork(
                nodeName: node.name, client: client, stateDirectory: "\(configuration.directories.state)/network",
                logger: logger.component("pod-network")
            ) { try sandboxes.setPeers($0) }, sandboxes: sandboxes, findings: findings)
    }

    private func makeNetwork() throws -> SandboxNetwork {
        let network = try SandboxNetwork(
            try configuration.sandboxNetwork, logger: logger.component("sandbox-network"))
        try network.prepareNode()
        return network
    }

    /// Who makes pods' cgroups on this machine.
    private func cgroupDriver() throws -> CgroupDriver {
        switch configuration.kubelet.cgroupDriver {
        case .cgroupfs: return .cgroupfs
        case .auto: return ServiceManager.isReachable ? .systemd : .cgroupfs
        case .systemd:
            guard ServiceManager.isReachable else {
                throw ConfigurationError(
                    field: "kubelet.cgroupDriver",
                    reason: "systemd does not run this machine, or does not answer: leave the field out, or say"
                        + " cgroupfs")
            }
            return .systemd
        }
    }

    private func runtimeSettings() throws -> RuntimeConfiguration {
        let directories = configuration.directories
        var settings = RuntimeConfiguration(
            launcher: "\(directories.executables)/swiftlet-launcher",
            runDirectory: directories.run,
            stateDirectory: directories.state, podLogDirectory: "\(directories.logs)/pods",
            containerLogDirectory: "\(directories.logs)/containers", cgroupRoot: configuration.kubelet.cgroupRoot)
        settings.cgroupDriver = try cgroupDriver()
        settings.journal.limit = 10 * configuration.log.journalLinesPerSecond
        settings.journal.node = node.name
        return settings
    }

    private func kubeletSettings() throws -> KubeletConfiguration {
        var settings = KubeletConfiguration(
            nodeName: node.name, hostname: node.hostName, addresses: node.addresses.map(\.description),
            stateDirectory: configuration.directories.state, runDirectory: configuration.directories.run,
            version: ProductVersion.git, runtimeVersion: ProductVersion.swiftlet)
        settings.port = configuration.kubelet.port
        settings.hostProblems = NodeChecks.hostProblems(HostWatchMachine.problems(findings))
        settings.maxPods = configuration.kubelet.maxPods
        settings.shutdownPeriods = ShutdownPeriods(
            total: configuration.kubelet.shutdownGracePeriod,
            critical: configuration.kubelet.shutdownGracePeriodCriticalPods)
        settings.clusterDomain = configuration.network.clusterDomain
        settings.labels = labels
        settings.logsToJournal = configuration.log.containersToJournal
        settings.keepsObjects = isWorker
        // A worker's Node is made when it joins, with its part of the pod network: one that the node made itself would have another.
        settings.registersNode = !isWorker
        settings.reservedMemory = Int64(
            try configuration.quantity("kubelet.reservedMemory", configuration.kubelet.reservedMemory).value)
        settings.reservedMilliCPU = Int64(
            try configuration.quantity("kubelet.reservedCPU", configuration.kubelet.reservedCPU).milliValue)
        return settings
    }
}
