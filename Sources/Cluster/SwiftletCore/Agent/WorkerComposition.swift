// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import HTTPTransport
import HostChecks
import KubeAPI
import KubeClient
import Kubelet
import LinuxSystem
import Logging
import NIOCore
import NIOPosix
import Systemd

/// Builds the parts of a node in somebody else's cluster, and runs them.
///
/// Nothing here waits for the control plane: without it the node starts the pods that it had.
struct WorkerComposition: Sendable {
    let configuration: Configuration
    let membership: Membership
    /// What the examination of the machine found.
    let findings: [Finding]
    /// Tells that certificates on disk are others.
    let notice: CertificateNotice
    /// Told the kubelet, for the end of the machine.
    let farewell: Farewell
    let logger: Logger

    init(
        _ configuration: Configuration, _ membership: Membership, _ findings: [Finding],
        _ notice: CertificateNotice, _ farewell: Farewell, _ logger: Logger
    ) {
        self.configuration = configuration
        self.membership = membership
        self.findings = findings
        self.notice = notice
        self.farewell = farewell
        self.logger = logger
    }

    func run() async throws {
        let node = try NodeIdentity.discover(configuration)
        let eventLoops = MultiThreadedEventLoopGroup.singleton
        // It is of the cluster that this node had of its own, whose API does not run any more.
        try Files.remove(configuration.kubeconfigPath)
        let current = CurrentMembership(membership, stateDirectory: configuration.directories.state)
        let client = try membership.makeClient(
            configuration, group: eventLoops, logger: logger.component("api-client")
        ) { try current.value.fingerprints() }
        let composition = KubeletComposition(
            configuration: configuration, node: node, isWorker: true, findings: findings, eventLoops: eventLoops,
            logger: logger)
        let tls = try HTTPServerTLS(membership.serverTLS)
        let parts = try await composition.make(client: client, tls: tls)
        farewell.set(parts.kubelet)
        let certificates = WorkerCertificates(
            current, node: node, runDirectory: configuration.directories.run, client: client, kubelet: tls,
            notice: notice, logger: logger.component("certificates"))
        let servers = WorkerServers(current, client: client, logger: logger.component("servers"))
        try await withThrowingTaskGroup { group in
            group.addTask { try await client.run() }
            group.addTask { try await certificates.run() }
            group.addTask { try await servers.run() }
            if Watchdog.isWanted { group.addTask { try await watchdog(node, client, eventLoops).run() } }
            group.addTask {
                try await parts.run(configuration, logger) { certificates.addressesChanged($0) }
            }
            announce(node)
            // All of them run until they are cancelled; the first that fails ends the others.
            try await group.next()
            group.cancelAll()
        }
    }

    /// The lease is renewed by the kubelet; while the control plane does not answer, nothing can be told from it.
    private func watchdog(
        _ node: NodeIdentity, _ client: HTTPSClient, _ eventLoops: any EventLoopGroup
    ) -> Watchdog {
        Watchdog(eventLoops: eventLoops, logger: logger.component("watchdog")) {
            do {
                return try await client.get(.leases, namespace: "kube-node-lease", name: node.name).resourceVersion
            } catch is ClientError {
                return nil
            } catch is StatusError {
                return nil
            }
        }
    }

    private func announce(_ node: NodeIdentity) {
        let server = membership.cluster.servers.first ?? ""
        ServiceNotifier.notify(.ready, .status("A node of the cluster at \(server)"))
        logger.notice("The agent is running", metadata: ["server": "\(server)"])
    }
}

extension Membership {
    /// A client of the cluster's API with the identity of this node.
    ///
    /// - Parameter authorities: The SHA-256 of the cluster's authorities as they are when a server is looked for; nil for those
    ///   of this membership.
    func makeClient(
        _ configuration: Configuration, group: any EventLoopGroup, logger: Logger,
        authorities: (@Sendable () throws -> [String])? = nil
    ) throws -> HTTPSClient {
        try HTTPSClient(
            clientSettings(configuration, logger: logger, authorities: authorities), group: group, logger: logger)
    }

    /// How ``makeClient(_:group:logger:authorities:)`` reaches the API.
    ///
    /// - Parameter patience: How long the server may work on a request; nil for what is usual.
    func clientSettings(
        _ configuration: Configuration, logger: Logger, authorities: (@Sendable () throws -> [String])? = nil,
        patience: TimeAmount? = nil
    ) -> HTTPSClientConfiguration {
        var settings = HTTPSClientConfiguration(
            servers: cluster.servers,
            tls: clientTLS,
            userAgent: "kubelet/\(ProductVersion.git)")
        let discovery = ServerDiscovery(
            configuration: configuration, authorities: authorities ?? { try fingerprints() }, logger: logger)
        settings.discover = { await discovery.servers() }
        // Every node has a certificate by the cluster's authority for its own address; none has this name in it.
        settings.serverName = ClusterIdentity.serverName
        if let patience {
            settings.limits.requestTimeout = max(settings.limits.requestTimeout, patience)
            // While the server works it says nothing.
            settings.limits.silenceTimeout = max(settings.limits.silenceTimeout, patience)
        }
        return settings
    }
}
