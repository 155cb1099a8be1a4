// SPDX-License-Identifier: Apache-2.0

package import ContainerImages
import ControllerRuntime
package import HTTPTransport
import JSON
package import KubeAPI
package import KubeClient
import LinuxSystem
package import Logging
package import NIOCore
package import PodRuntime
import Synchronization

/// The node's agent in a cluster: registers the node, runs the pods that are bound to it and reports on both.
///
/// It sees the cluster through a ``ResourceClient`` only. Stopping it leaves containers as they are; the next run
/// takes them over.
package final class Kubelet: Sendable {
    let configuration: KubeletConfiguration
    private let client: any ResourceClient
    private let images: ImageService
    private let runtime: PodRuntime
    let logger: Logger
    private let nursery = Nursery()
    let recorder: EventRecorder
    private let services: Informer
    private let pods: Informer
    /// Follows this node's own object.
    private let nodes: Informer
    let director: PodDirector
    private let store: DesiredPods
    let reporter: NodeReporter
    let context: KubeletContext
    private let tls: HTTPServerTLS?
    private let hostProblems: HostProblems

    /// - Parameter tls: The server's identity and the authority of its clients; nil for no server.
    package init(
        configuration: KubeletConfiguration, client: any ResourceClient, runtime: PodRuntime, images: ImageService,
        eventLoops: any EventLoopGroup, tls: HTTPServerTLS?, logger: Logger, clock: Clock = .system
    ) {
        self.tls = tls
        self.configuration = configuration
        hostProblems = HostProblems(configuration.hostProblems)
        self.client = client
        self.images = images
        self.runtime = runtime
        self.logger = logger
        let now: @Sendable () -> String = { WallClock.text(clock.now().wallSeconds) }
        recorder = EventRecorder(
            client: client, component: "kubelet", host: configuration.nodeName, logger: logger, now: now)
        services = Informer(.services, client: client, logger: logger)
        var options = ListOptions(fieldSelector: "spec.nodeName=\(configuration.nodeName)")
        options.resourceVersion = "0"
        pods = Informer(.pods, client: client, options: options, logger: logger)
        nodes = Informer(
            .nodes, client: client, options: ListOptions(fieldSelector: "metadata.name=\(configuration.nodeName)"),
            logger: logger)
        let machine = MachineFacts.read()
        let changes = VolumeChanges()
        let kept =
            configuration.keepsObjects
            ? KeptObjects(directory: "\(configuration.stateDirectory)/objects", logger: logger) : nil
        let objects = ObjectCache(client: client, kept: kept, nursery: nursery, logger: logger) { changes.report($0) }
        // Without the directory the node still registers, with no room for pods' files.
        let space = try? FileDescriptor.open(configuration.stateDirectory, [.read, .directory]).space()
        context = KubeletContext(
            configuration: configuration, client: client, runtime: runtime, images: images, objects: objects,
            tokens: TokenSource(client: client, kept: kept, clock: clock), recorder: recorder, services: services,
            machine: machine, ephemeralStorage: Int64(clamping: space?.totalBytes ?? 0), nursery: nursery,
            qualityGroups: QualityGroups(runtime: runtime, logger: logger), shutdown: NodeShutdown(),
            pressure: PressureWatch(directory: configuration.stateDirectory, images: images, clock: clock),
            eventLoops: eventLoops, clock: clock, logger: logger)
        store = DesiredPods(directory: "\(configuration.stateDirectory)/pods", logger: logger)
        let reporter = Self.makeReporter(context, hostProblems)
        self.reporter = reporter
        director = PodDirector(context: context, store: store, reporter: reporter)
        changes.setHandler { [director] in director.refreshVolumes(of: $0) }
        nodes.addHandler { [nursery] event in
            if case .deleted = event { return reporter.deleted() }
            if reporter.observe(event.object) { nursery.start { await reporter.refresh() } }
        }
        pods.addHandler { [director] event in
            switch event {
            case .added(let pod), .updated(_, let pod): director.update(pod)
            case .deleted(let pod): director.removed(pod)
            }
        }
    }

    private static func makeReporter(
        _ context: KubeletContext, _ problems: HostProblems
    ) -> NodeReporter {
        let (configuration, machine, images) = (context.configuration, context.machine, context.images)
        var writer = NodeStatusWriter(
            nodeName: configuration.nodeName, addresses: configuration.addresses, hostname: configuration.hostname,
            port: configuration.port, machine: machine, version: configuration.version,
            runtimeVersion: configuration.runtimeVersion, maxPods: configuration.maxPods,
            ephemeralStorage: context.ephemeralStorage)
        writer.reservedMemory = configuration.reservedMemory
        writer.reservedMilliCPU = configuration.reservedMilliCPU
        let final = writer
        return NodeReporter(
            client: context.client, registers: configuration.registersNode,
            writer: {
                var writer = final
                writer.addresses = configuration.addresses
                return writer
            },
            health: {
                var health = NodeStatusWriter.Health()
                health.hostProblems = problems.current
                let pressure = context.pressure.conditions
                health.hasDiskPressure = pressure.contains(.disk)
                health.hasMemoryPressure = pressure.contains(.memory)
                health.hasPIDPressure = pressure.contains(.processes)
                if context.shutdown.isUnderWay { health.runtimeProblem = ShutdownWords.node }
                return health
            },
            images: { await Self.imageList(images) }, taints: configuration.taints,
            extraLabels: configuration.labels, clock: context.clock, logger: context.logger)
    }

    /// At most 50 images, the largest first (upstream: nodeStatusMaxImages).
    private static func imageList(_ images: ImageService) async -> JSON {
        // A store that cannot be read right now has no images to tell of.
        let all = ((try? await images.list()) ?? []).sorted { $0.size > $1.size }.prefix(50)
        return .array(
            all.map { ["names": JSON($0.digests + $0.names), "sizeBytes": .int(Int64(clamping: $0.size))] })
    }

    /// Reports other addresses of this machine from now on, at once if the API answers.
    package func addressesChanged(to addresses: [String]) async {
        guard configuration.nodeAddresses.replace(with: addresses) else { return }
        logger.notice(
            "The node's addresses have changed", metadata: ["addresses": "\(addresses.joined(separator: " "))"])
        await reporter.refresh()
    }

    /// Tells other problems of the machine from now on: by the condition at once if the API answers, and by an event for each
    /// that has come or gone.
    package func hostProblemsChanged(to problems: [KubeletConfiguration.HostProblem]) async {
        let old = hostProblems.replace(with: problems)
        if let node = reporter.node {
            let (before, after) = (Set(old.map(\.reason)), Set(problems.map(\.reason)))
            for problem in problems where !before.contains(problem.reason) {
                recorder.record(node, .warning, reason: problem.reason, message: problem.message)
            }
            for problem in old where !after.contains(problem.reason) {
                recorder.record(
                    node, .normal, reason: "HostProblemGone", message: "\(problem.reason) is no longer so.")
            }
        }
        await reporter.refresh()
    }

    /// What events about the node are about, also before it is registered.
    var eventNode: KubeObject {
        reporter.node ?? KubeObject(.init("", "v1", "Node"), name: configuration.nodeName)
    }

    /// The Node object as last seen.
    package var node: KubeObject? { reporter.node }

    /// Runs until the task is cancelled. Everything it begins ends before it returns, except containers.
    package func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { await self.nursery.run() }
            group.addTask { try await self.runtime.run() }
            group.addTask { try await self.recorder.run() }
            let found = try await recover()
            director.setFound(found)
            await context.pressure.look()
            group.addTask { try await self.services.run() }
            group.addTask { try await self.nodes.run() }
            group.addTask { try await self.reportNode() }
            group.addTask { try await self.followPods() }
            addHousekeeping(to: &group)
            group.addTask {
                try await KubeletServer(context: self.context, director: self.director, tls: self.tls).run()
            }
        }
    }

    private func addHousekeeping(to group: inout ThrowingDiscardingTaskGroup<any Error>) {
        let node: @Sendable () -> KubeObject = { self.eventNode }
        let collector = ImageCollector(context: context, director: director, node: node)
        let eviction = EvictionManager(
            context: context, director: director, collector: collector, reporter: reporter, node: node)
        group.addTask { try await collector.run() }
        group.addTask { try await eviction.run() }
    }

    private func reportNode() async throws {
        try await reporter.register()
        let node = eventNode
        recorder.record(node, .normal, reason: "Starting", message: "Starting kubelet.")
        for problem in hostProblems.current {
            recorder.record(node, .warning, reason: problem.reason, message: problem.message)
        }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.reporter.runStatus() }
            group.addTask { try await self.reporter.runLease() }
        }
    }

    /// Finds what an earlier run left.
    private func recover() async throws -> [String: FoundPod] {
        try await runtime.recover()
        var found: [String: FoundPod] = [:]
        for uid in runtime.podUIDs() {
            var records: [String: [ContainerRecord]] = [:]
            for record in runtime.records(of: uid) where record.startedAt > 0 || record.exit != nil {
                records[record.name, default: []].append(record)
            }
            found[uid] = FoundPod(sandbox: runtime.sandbox(of: uid), records: records)
        }
        return found
    }

    /// Runs the pods that the API tells of; until it answers, the ones that it told of last.
    private func followPods() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.pods.run() }
            group.addTask {
                await self.startKnownPods()
                await self.pods.waitForSync()
                if Task.isCancelled { return }
                self.director.allPodsAreKnown()
                self.removeForgotten()
                await self.director.removeOrphans()
            }
        }
    }

    /// How long the API has to answer before the node starts what it knows by itself.
    private static let patience = Duration.seconds(5)

    private func startKnownPods() async {
        let known = store.load()
        if known.isEmpty { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.pods.waitForSync() }
            // Cancellation ends the wait.
            group.addTask { try? await Task.sleep(for: Self.patience) }
            await group.next()
            if !pods.isSynced, !Task.isCancelled {
                logger.notice("The API does not answer; starting the pods that were here")
                for pod in known { director.update(pod) }
                director.allPodsAreKnown()
            }
            await group.waitForAll()
        }
    }

    /// Ends pods that were started from disk and that the API turns out not to have any more.
    private func removeForgotten() {
        let present = Set(pods.list().map(\.uid))
        for worker in director.workers where !present.contains(worker.uid) { director.removed(worker.pod.object) }
    }
}

/// Passes changed objects on to the director, which is made after the cache that reports them.
private final class VolumeChanges: Sendable {
    private let handler = Mutex<(@Sendable (Set<String>) -> Void)?>(nil)

    func setHandler(_ handler: @escaping @Sendable (Set<String>) -> Void) { self.handler.withLock { $0 = handler } }
    func report(_ uids: Set<String>) { handler.withLock { $0 }?(uids) }
}
