// SPDX-License-Identifier: Apache-2.0

package import ContainerImages
import LinuxSystem
package import Logging
import NIOPosix
package import SandboxNetwork
import Synchronization

/// Runs pods: sandboxes and containers, by images, network, launcher and monitors. It knows nothing of the API.
///
/// What it must remember is on disk in the run directory, so that an agent that starts finds every container again;
/// the file system is in memory and a reboot forgets it together with the processes.
package final class PodRuntime: Sendable {
    package typealias ExitHandler = @Sendable (ContainerRecord) -> Void

    package let configuration: RuntimeConfiguration
    package let cgroups: CgroupTree
    let images: ImageService
    let network: SandboxNetwork
    let logger: Logger
    let state = Mutex(State())
    /// The shares that groups of pods were given last; held while they are given others.
    let groupShares = Mutex<[String: UInt64]>([:])
    /// Held while a container's record is written or removed, so that the newest one stays on disk.
    let recordFiles = Mutex(())
    /// Held while a pod's first process is looked for and started, so that there is one of it.
    let holderStart = Mutex(())
    /// Whether this process may lower OOM scores.
    let hasResourceCapability: Bool

    struct State {
        var records: [String: ContainerRecord] = [:]
        var sandboxes: [String: Sandbox] = [:]
        /// Who wants to know of a container's end.
        var watchers: [String: ExitHandler] = [:]
        /// Who waits for a container's end.
        var waiters: [String: [CheckedContinuation<Void, Never>]] = [:]
        /// The monitors that this run of the agent started, to be waited for: their processes' descriptors.
        var monitors: [String: CInt] = [:]
        /// Containers whose records on disk are older than these, because the disk took nothing.
        var unwritten: Set<String> = []
    }

    /// Reads what an earlier run left; ``recover()`` then brings it up to date.
    package init(
        configuration: RuntimeConfiguration, images: ImageService, network: SandboxNetwork, logger: Logger
    ) throws {
        self.configuration = configuration
        self.images = images
        self.network = network
        self.logger = logger
        cgroups = try CgroupTree()
        let (effective, _, _) = try Credentials.capabilities()
        hasResourceCapability = CapabilitySet(name: "CAP_SYS_RESOURCE").map { effective.contains($0) } ?? false
        for directory in ["containers", "sandboxes", "launcher"] {
            try Files.makeDirectories("\(configuration.runDirectory)/\(directory)", permissions: 0o711)
        }
        try Files.makeDirectories(configuration.podLogDirectory)
        try Files.makeDirectories(configuration.containerLogDirectory)
    }

    /// A logger whose lines say which container they are about.
    func logger(of record: ContainerRecord) -> Logger {
        var logger: Logger = self.logger
        logger[metadataKey: "namespace"] = .string(record.pod.namespace)
        logger[metadataKey: "pod"] = .string(record.pod.name)
        logger[metadataKey: "container"] = .string(record.name)
        logger[metadataKey: "container-id"] = .string(record.id)
        return logger
    }

    /// Runs what blocks on disk and children on NIO's thread pool.
    func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await NIOThreadPool.singleton.runIfActive(body)
    }

    /// Runs what must be done even where the task is cancelled, in which nothing that blocks is begun any more.
    func unconditionally(_ body: @escaping @Sendable () async -> Void) async { await Task { await body() }.value }

    // MARK: Reading

    /// A container that the runtime knows.
    package func record(_ id: String) -> ContainerRecord? { state.withLock { $0.records[id] } }

    /// All containers of a pod, the oldest first.
    package func records(of podUID: String) -> [ContainerRecord] {
        everyRecord(of: podUID).filter { $0.name != Self.holderName }
    }

    /// All containers of a pod and the holders of its processes, the oldest first.
    func everyRecord(of podUID: String) -> [ContainerRecord] {
        state.withLock { $0.records.values.filter { $0.pod.uid == podUID } }.sorted { $0.attempt < $1.attempt }
    }

    /// Every container.
    package func allRecords() -> [ContainerRecord] { state.withLock { Array($0.records.values) } }

    package func sandbox(of podUID: String) -> Sandbox? { state.withLock { $0.sandboxes[podUID] } }

    /// The pods that have anything here.
    package func podUIDs() -> Set<String> {
        state.withLock { Set($0.records.values.map(\.pod.uid)).union($0.sandboxes.keys) }
    }
}
