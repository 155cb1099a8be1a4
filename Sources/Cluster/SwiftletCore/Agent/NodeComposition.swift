// SPDX-License-Identifier: Apache-2.0

import APIServer
import ClusterFormation
import ContainerImages
import HTTPTransport
import KubeAPI
import KubeClient
import Kubelet
import LinuxSystem
import Logging
import NIOCore
import NIOPosix
import PKI
import PodRuntime
import SandboxNetwork
import StorageSQLite
import Systemd

/// Builds the parts of a node that is also the control plane, and runs them.
struct NodeComposition: Sendable {
    let configuration: Configuration
    let logger: Logger

    init(_ configuration: Configuration, _ logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    func run() async throws {
        let node = try NodeIdentity.discover(configuration)
        try makeDirectories()
        let storage = try openStorage()
        let identity = try loadIdentity(of: node)
        try await withThrowingTaskGroup { group in
            group.addTask { try await storage.run() }
            let result: Result<Void, any Error>
            do {
                try await runParts(node, identity, storage)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            // Only now, when nobody writes any more, may the store close.
            group.cancelAll()
            _ = await group.nextResult()
            try result.get()
        }
    }

    private func runParts(_ node: NodeIdentity, _ identity: ClusterIdentity, _ storage: SQLiteStorage) async throws {
        let eventLoops = MultiThreadedEventLoopGroup.singleton
        let server = try makeServer(node, identity, storage, eventLoops)
        _ = try await server.bind()
        try writeKubeconfig(identity)
        let kubelet = try await makeKubelet(node, identity, server, eventLoops)
        let controlPlane = ControlPlane(
            configuration: configuration, server: server, identity: identity, logger: logger)
        try await withThrowingTaskGroup { group in
            group.addTask { try await server.run() }
            try await server.waitUntilReady()
            group.addTask { try await controlPlane.run() }
            group.addTask { try await kubelet.run() }
            announce(node)
            // All of them run until they are cancelled; the first that fails ends the others.
            try await group.next()
            group.cancelAll()
        }
    }

    private func announce(_ node: NodeIdentity) {
        ServiceNotifier.notify(.ready, .status("Serving the Kubernetes API on port \(configuration.api.port)"))
        logger.notice(
            "The agent is running",
            metadata: ["node": "\(node.name)", "api-port": "\(configuration.api.port)"])
    }

    // MARK: Parts

    private func makeDirectories() throws {
        let directories = configuration.directories
        try Files.makeDirectories(directories.state, permissions: 0o711)
        try Files.makeDirectories(directories.run, permissions: 0o711)
        try Files.makeDirectories(directories.configuration)
    }

    private func openStorage() throws -> SQLiteStorage {
        var settings = SQLiteStorage.Configuration(
            location: .directory("\(configuration.directories.state)/store"),
            volatilePrefixes: StorageKeys.volatilePrefixes)
        settings.volatileCheckpointInterval = .seconds(configuration.storage.checkpointMinutes * 60)
        return try SQLiteStorage(settings, logger: logger)
    }

    private func loadIdentity(of node: NodeIdentity) throws -> ClusterIdentity {
        let services = try network("network.serviceCIDR", configuration.network.serviceCIDR)
        return try ClusterIdentity.loadOrCreate(
            directory: "\(configuration.directories.state)/pki",
            subject: .init(
                nodeName: node.name, hostName: node.hostName, addresses: node.addresses,
                serviceAddress: services.address.advanced(by: 1) ?? services.address,
                clusterDomain: configuration.network.clusterDomain, extraNames: configuration.api.certificateNames),
            now: FileTime.now().seconds, logger: logger)
    }

    private func makeServer(
        _ node: NodeIdentity, _ identity: ClusterIdentity, _ storage: SQLiteStorage, _ group: any EventLoopGroup
    ) throws -> APIServer {
        var settings = APIServerConfiguration(
            advertised: .init(host: address(of: node).description, port: configuration.api.port),
            serviceAccountKey: identity.serviceAccountKey)
        settings.listeners = [.init(host: configuration.api.bindAddress, port: configuration.api.port)]
        settings.tls = try HTTPServerTLS(
            .init(
                certificateChain: identity.apiServer.certificatePEM, privateKey: identity.apiServer.keyPEM,
                clientAuthorities: identity.authorityPEM))
        settings.kubeletTLS = HTTPClientTLS(
            verification: .authorities(identity.authorityPEM),
            identity: (identity.apiServerKubeletClient.certificatePEM, identity.apiServerKubeletClient.keyPEM))
        settings.registry.serviceRange = configuration.network.serviceCIDR
        if let ports = configuration.portRange { settings.registry.nodePorts = ports }
        settings.version = ServerVersion(gitVersion: ProductVersion.git)
        return try APIServer(configuration: settings, storage: storage, group: group, logger: logger)
    }

    private func writeKubeconfig(_ identity: ClusterIdentity) throws {
        let host = configuration.api.bindAddress == "0.0.0.0" ? "127.0.0.1" : configuration.api.bindAddress
        try Kubeconfig(
            server: "https://\(host):\(configuration.api.port)", authorityPEM: identity.authorityPEM,
            user: identity.admin
        ).write(to: configuration.kubeconfigPath)
    }

    private func makeKubelet(
        _ node: NodeIdentity, _ identity: ClusterIdentity, _ server: APIServer, _ eventLoops: any EventLoopGroup
    ) async throws -> Kubelet {
        let directories = configuration.directories
        let images = try await ImageService(configuration: configuration.imageService, logger: logger)
        let network = try SandboxNetwork(
            SandboxNetworkConfiguration(
                bridgeName: configuration.network.bridge,
                subnet: network("network.nodeCIDR", configuration.network.nodeCIDR),
                clusterNetwork: network("network.clusterCIDR", configuration.network.clusterCIDR),
                tableName: configuration.network.table, runDirectory: "\(directories.run)/network"),
            logger: logger)
        try network.prepareNode()
        let runtime = try PodRuntime(
            configuration: RuntimeConfiguration(
                launcher: "\(directories.executables)/swiftlet-launcher",
                monitor: "\(directories.executables)/swiftlet-monitor", runDirectory: directories.run,
                stateDirectory: directories.state, podLogDirectory: "\(directories.logs)/pods",
                containerLogDirectory: "\(directories.logs)/containers",
                cgroupRoot: configuration.kubelet.cgroupRoot),
            images: images, network: network, logger: logger)
        var settings = KubeletConfiguration(
            nodeName: node.name, hostname: node.hostName, addresses: node.addresses.map(\.description),
            stateDirectory: directories.state, runDirectory: directories.run, version: ProductVersion.git,
            runtimeVersion: ProductVersion.swiftlet)
        settings.port = configuration.kubelet.port
        settings.maxPods = configuration.kubelet.maxPods
        settings.clusterDomain = configuration.network.clusterDomain
        settings.reservedMemory = Int64(
            try quantity("kubelet.reservedMemory", configuration.kubelet.reservedMemory).value)
        settings.reservedMilliCPU = Int64(
            try quantity("kubelet.reservedCPU", configuration.kubelet.reservedCPU).milliValue)
        let tls = try HTTPServerTLS(
            .init(
                certificateChain: identity.kubeletServer.certificatePEM, privateKey: identity.kubeletServer.keyPEM,
                clientAuthorities: identity.authorityPEM))
        let client = server.client(
            user: UserInfo(name: "system:node:\(node.name)", groups: ["system:nodes", "system:authenticated"]),
            manager: "kubelet")
        return Kubelet(
            configuration: settings, client: client, runtime: runtime, images: images, eventLoops: eventLoops, tls: tls,
            logger: logger)
    }

    // MARK: Values of the configuration

    private func address(of node: NodeIdentity) -> IPAddress { node.addresses.first ?? .loopbackV4 }

    private func network(_ field: String, _ text: String) throws -> IPNetwork {
        guard let network = IPNetwork(text) else {
            throw ConfigurationError(field: field, reason: "\"\(text)\" is not an address range")
        }
        return network
    }

    private func quantity(_ field: String, _ text: String) throws -> Quantity {
        do {
            return try Quantity(text)
        } catch {
            throw ConfigurationError(field: field, reason: "\"\(text)\" is not a quantity such as 128Mi or 100m")
        }
    }
}
