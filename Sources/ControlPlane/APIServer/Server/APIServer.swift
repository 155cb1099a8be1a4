// SPDX-License-Identifier: Apache-2.0

package import HTTPTransport
package import KubeAPI
import LinuxSystem
package import Logging
package import NIOCore
package import PKI
package import Storage
import Synchronization

/// The Kubernetes API over a store: in process through ``client(user:manager:)``, and over HTTP while it runs.
///
/// Life: `init`, ``bind()``, ``run()``. The store's own `run()` must be going on all the while. The registry answers
/// in-process clients from the beginning; ``waitUntilReady()`` returns when the objects that every cluster has (system
/// namespaces, roles, priority classes, the service `kubernetes`) are there.
package final class APIServer: Sendable {
    package let registry: Registry
    package let tokens: ServiceAccountTokens
    private let configuration: APIServerConfiguration
    private let subresources: Subresources
    private let server: HTTPServer
    private let deadlines: RequestDeadlines
    private let health: HealthChecks
    private let objects: ObjectHandlers
    private let logger: Logger
    private let readiness = Readiness()
    private let advertised: AdvertisedPlace
    private let kubeletTLS: KubeletTLS

    /// - Parameter extensions: Makes what serves further paths, given clients in this process.
    /// - Throws: ``PKIError`` when the key of service-account tokens is unusable.
    package init(
        configuration: APIServerConfiguration, storage: any Storage, group: any EventLoopGroup,
        clock: any WallClock = SystemClock(),
        extensions: (_ client: @escaping (UserInfo, _ manager: String) -> InProcessClient) -> [any PathExtension] = {
            _ in []
        }, logger: Logger
    ) throws(PKIError) {
        self.configuration = configuration
        self.logger = logger
        let advertised = AdvertisedPlace(configuration.advertised)
        self.advertised = advertised
        let registry = Registry(storage: storage, settings: configuration.registry, clock: clock, logger: logger)
        self.registry = registry
        tokens = try ServiceAccountTokens(
            issuer: configuration.issuer, audiences: [], signingKey: configuration.serviceAccountKey,
            olderKeys: configuration.olderServiceAccountKeys
        ) { registry.cachedObject($0, $1, $2) }
        subresources = Subresources(registry: registry, tokens: tokens)
        let authenticator = Authenticator(
            staticTokens: configuration.staticTokens, serviceAccounts: tokens, clock: clock)
        health = HealthChecks {
            do {
                try await storage.readBarrier()
                return true
            } catch {
                return false
            }
        }
        let kubeletTLS = KubeletTLS(configuration.kubeletTLS)
        self.kubeletTLS = kubeletTLS
        objects = ObjectHandlers(
            registry: registry, subresources: subresources,
            reviews: AccessReviews(authorizer: registry.authorizer, authenticator: authenticator, clock: clock),
            proxy: NodeProxy(
                registry: registry, client: HTTPUpgradeClient(group: group), kubeletTLS: kubeletTLS))
        let subresources = subresources
        let extensions = extensions { user, manager in
            InProcessClient(registry, subresources: subresources, user: user, manager: manager)
        }
        let limits = InFlightLimits(
            reading: configuration.maximumReading, mutating: configuration.maximumMutating)
        let metrics = RequestMetrics()
        let paths = PathHandlers(
            registry: registry, health: health,
            discovery: DiscoveryPaths(
                table: registry.catalogue.table, version: configuration.version.gitVersion,
                serverAddress: { advertised.authority }),
            tokens: tokens, metrics: metrics, limits: limits, version: configuration.version,
            externalURL: { "https://\(advertised.authority)" })
        deadlines = RequestDeadlines(configuration.requestTimeout)
        let handler = APIHandler(
            authenticator: authenticator, authorizer: registry.authorizer, limits: limits, objects: objects,
            paths: paths, extensions: extensions, metrics: metrics, deadlines: deadlines, logger: logger)
        // A request never blocks a thread, so it may stay on that of its connection.
        server = HTTPServer(
            handler: handler, limits: configuration.httpLimits, placement: .eventLoop, group: group, logger: logger)
    }

    /// A client in this process with an identity of its own.
    ///
    /// - Parameter manager: the name that owns the fields which this client writes (`kube-controller-manager`).
    package func client(user: UserInfo, manager: String) -> InProcessClient {
        InProcessClient(registry, subresources: subresources, user: user, manager: manager)
    }

    /// Whether a request would be allowed, as a SubjectAccessReview answers it.
    package func isAllowed(_ attributes: AccessAttributes) -> Bool { registry.authorizer.decide(attributes).isAllowed }

    /// Opens the listening sockets; connections wait until ``run()``.
    ///
    /// - Returns: the addresses, in the order of the configuration.
    package func bind() async throws -> [SocketAddress] {
        var addresses: [SocketAddress] = []
        for listener in configuration.listeners {
            addresses.append(
                try await server.bind(host: listener.host, port: listener.port, tls: configuration.tls))
        }
        return addresses
    }

    /// Makes new connections use another serving certificate and other client authorities. Those that are open go on, unless
    /// the authority of their client's certificate is not trusted any more.
    ///
    /// While the cluster's authority is replaced, `clientAuthorities` is the bundle of the old and the new one. Without
    /// TLS this does nothing.
    /// - Throws: ``HTTPTransportError`` when the new identity is unusable; the old one stays in use.
    package func replaceTLS(_ identity: HTTPServerTLS.Identity) throws(HTTPTransportError) {
        try configuration.tls?.replace(identity)
    }

    /// Takes in that others reach this server elsewhere now: the endpoints of the service `kubernetes` follow. Nothing is
    /// written where they say so already.
    ///
    /// - Throws: `StatusError` when they could not be written; to be called again.
    package func advertise(_ place: APIServerConfiguration.Advertisement) async throws {
        advertised.value.withLock { $0 = place }
        try await KubernetesService(client: ownClient, registry: registry, advertised: place).ensure()
    }

    private var ownClient: InProcessClient { client(user: .loopback, manager: "kube-apiserver") }

    /// Makes new connections to kubelets show another certificate and trust other authorities.
    package func replaceKubeletTLS(_ tls: HTTPClientTLS) { kubeletTLS.replace(tls) }

    /// Serves until the task is cancelled.
    package func run() async throws {
        let system = SystemObjects(
            client: ownClient, registry: registry, advertised: advertised.value.withLock { $0 }, logger: logger)
        let aggregation = RoleAggregation(
            client: client(user: .loopback, manager: "clusterrole-aggregation-controller"), registry: registry,
            logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.server.run() }
            group.addTask { try await self.deadlines.run() }
            group.addTask { try await self.registry.authorizer.run() }
            group.addTask {
                try await system.ensure()
                try await aggregation.reconcile()
                self.health.becomeReady()
                self.readiness.set()
                async let following: Void = aggregation.run()
                try await Housekeeping(registry: self.registry, lists: self.objects.lists, logger: self.logger).run()
                try await following
            }
            defer {
                health.beginShutdown()
                group.cancelAll()
            }
            // Each of them runs until it is cancelled or fails.
            try await group.next()
        }
    }

    /// Returns when the objects that every cluster has are there.
    package func waitUntilReady() async throws { try await readiness.wait() }
}

/// Where the server is to be reached, as it is now.
private final class AdvertisedPlace: Sendable {
    let value: Mutex<APIServerConfiguration.Advertisement>

    init(_ value: APIServerConfiguration.Advertisement) { self.value = Mutex(value) }

    /// `host:port`
    var authority: String {
        let endpoint = value.withLock { $0.endpoint }
        return HostPort.text(endpoint.host, endpoint.port)
    }
}

/// A gate that opens once.
private final class Readiness: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [Int: CheckedContinuation<Void, any Error>] = [:]
        var nextID = 0
    }

    private let state = Mutex(State())

    func set() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.resume() }
    }

    func wait() async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let now: Result<Void, any Error>? = state.withLock { state in
                    if state.isOpen { return .success(()) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    state.waiters[id] = continuation
                    return nil
                }
                if let now { continuation.resume(with: now) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(throwing: CancellationError())
        }
    }
}
