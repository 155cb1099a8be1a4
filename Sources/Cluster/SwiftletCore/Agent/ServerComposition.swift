// SPDX-License-Identifier: Apache-2.0

import APIServer
import ClusterFormation
import HTTPTransport
import HostChecks
import KubeAPI
import KubeClient
import Kubelet
import LinuxSystem
import Logging
import MulticastDNS
import NIOCore
import NIOPosix
import PKI
import StorageSQLite
import Systemd

/// Builds the parts of a node that is also the control plane, and runs them.
struct ServerComposition: Sendable {
    let configuration: Configuration
    /// What the examination of the machine found.
    let findings: [Finding]
    /// Tells that certificates on disk are others.
    let notice: CertificateNotice
    /// Told the kubelet, for the end of the machine.
    let farewell: Farewell
    let logger: Logger

    init(
        _ configuration: Configuration, _ findings: [Finding], _ notice: CertificateNotice, _ farewell: Farewell,
        _ logger: Logger
    ) {
        self.configuration = configuration
        self.findings = findings
        self.notice = notice
        self.farewell = farewell
        self.logger = logger
    }

    func run() async throws {
        let node = try NodeIdentity.discover(configuration)
        let storage = try openStorage()
        let identity = CurrentIdentity(
            try configuration.loadIdentity(of: node, logger: logger.component("certificates")))
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

    private func runParts(_ node: NodeIdentity, _ identity: CurrentIdentity, _ storage: SQLiteStorage) async throws {
        let eventLoops = MultiThreadedEventLoopGroup.singleton
        let addresses = try ControlPlaneAddresses(configuration, node, identity.value)
        let server = try makeServer(addresses, identity, storage, eventLoops)
        _ = try await server.bind()
        try configuration.writeKubeconfig(identity.value)
        let kubeletTLS = try HTTPServerTLS(identity.value.kubeletTLS)
        let parts = try await makeNode(node, server, kubeletTLS, eventLoops)
        farewell.set(parts.kubelet)
        let certificates = ServerCertificates(
            configuration, node: node, current: identity, server: server, kubelet: kubeletTLS, addresses: addresses,
            notice: notice, logger: logger.component("certificates")
        ) { try configuration.loadIdentity(of: $0, logger: logger.component("certificates")) }
        let responder = makeResponder(node, identity)
        let controlPlane = ControlPlane(
            configuration: configuration, server: server, identity: identity, nodeName: node.name,
            addresses: addresses, logger: logger)
        try await withThrowingTaskGroup { group in
            group.addTask { try await server.run() }
            try await server.waitUntilReady()
            group.addTask { try await controlPlane.run() }
            group.addTask { try await certificates.run() }
            if Watchdog.isWanted { group.addTask { try await watchdog(node, server, eventLoops).run() } }
            group.addTask {
                try await parts.run(configuration, logger) { node in
                    try await certificates.addressesChanged(node)
                    await responder?.setLinks(try MulticastLink.links(with: node.addresses))
                }
            }
            if let responder { group.addTask { try await responder.run() } }
            announce(node)
            // All of them run until they are cancelled; the first that fails ends the others.
            try await group.next()
            group.cancelAll()
        }
    }

    /// The lease is renewed by the kubelet through the API and the store: its version shows that all of them work.
    private func watchdog(_ node: NodeIdentity, _ server: APIServer, _ eventLoops: any EventLoopGroup) -> Watchdog {
        let client = server.client(
            user: UserInfo(name: "system:node:\(node.name)", groups: ["system:nodes", "system:authenticated"]),
            manager: "watchdog")
        return Watchdog(eventLoops: eventLoops, logger: logger.component("watchdog")) {
            do {
                return try await client.get(.leases, namespace: "kube-node-lease", name: node.name).resourceVersion
            } catch let error as StatusError where error.isNotFound {
                return nil
            }
        }
    }

    private func announce(_ node: NodeIdentity) {
        ServiceNotifier.notify(.ready, .status("Serving the Kubernetes API on port \(configuration.api.port)"))
        logger.notice("The agent is running", metadata: ["api-port": "\(configuration.api.port)"])
    }

    // MARK: Parts

    /// What lets workers find this machine on the link when they have lost it; nil where the configuration or the host name
    /// does not allow it.
    private func makeResponder(_ node: NodeIdentity, _ identity: CurrentIdentity) -> MulticastResponder? {
        let port = configuration.api.port
        @Sendable func advertisement() -> ServiceAdvertisement? {
            ServerDiscovery.advertisement(node, port: port, authorities: identity.value.authorities.fingerprints)
        }
        guard configuration.api.multicastDNS, let first = advertisement() else { return nil }
        let responder = MulticastResponder(first, logger: logger.component("multicast-dns"))
        identity.observeAuthorities {
            if let next = advertisement() { responder.replace(next) }
        }
        return responder
    }

    private func openStorage() throws -> SQLiteStorage {
        var settings = SQLiteStorage.Configuration(
            location: .directory("\(configuration.directories.state)/store"),
            volatilePrefixes: StorageKeys.volatilePrefixes)
        settings.volatileCheckpointInterval = .seconds(configuration.storage.checkpointMinutes * 60)
        return try SQLiteStorage(settings, logger: logger.component("storage"))
    }

    private func makeNode(
        _ node: NodeIdentity, _ server: APIServer, _ tls: HTTPServerTLS, _ eventLoops: any EventLoopGroup
    ) async throws -> KubeletComposition.Parts {
        let composition = KubeletComposition(
            configuration: configuration, node: node, labels: ["node-role.kubernetes.io/control-plane": ""],
            findings: findings, eventLoops: eventLoops, logger: logger)
        let client = server.client(
            user: UserInfo(name: "system:node:\(node.name)", groups: ["system:nodes", "system:authenticated"]),
            manager: "kubelet")
        return try await composition.make(client: client, tls: tls)
    }

    private func makeServer(
        _ addresses: ControlPlaneAddresses, _ current: CurrentIdentity, _ storage: SQLiteStorage,
        _ group: any EventLoopGroup
    ) throws -> APIServer {
        let identity = current.value
        var settings = APIServerConfiguration(
            advertised: addresses.advertisement, serviceAccountKey: identity.serviceAccountKey)
        settings.listeners = [.init(host: configuration.api.bindAddress, port: configuration.api.port)]
        settings.tls = try HTTPServerTLS(identity.apiServerTLS)
        settings.kubeletTLS = identity.kubeletClientTLS
        settings.registry.serviceRange = configuration.network.serviceCIDR
        if let ports = configuration.portRange { settings.registry.nodePorts = ports }
        settings.version = ServerVersion(gitVersion: ProductVersion.git)
        return try APIServer(
            configuration: settings, storage: storage, group: group,
            extensions: { client in
                [
                    JoinService(
                        client: client(.loopback, "swiftlet"), identity: { current.value },
                        reserved: { addresses.reserved }, facts: { addresses.facts }, now: { .now() },
                        logger: logger.component("join"))
                ]
            }, logger: logger.component("api-server"))
    }

}
