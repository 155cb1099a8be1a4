// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import KubeAPI
package import KubeClient
import LinuxSystem
package import Logging
import NIOPosix
package import SandboxNetwork
import Synchronization

/// Follows the cluster's Nodes and keeps this node's paths to the pods of the others.
///
/// Level-based: whatever happens, the paths are made what the Nodes say now. Changes that come together are worked on
/// together; what fails is tried again with growing waits. While the API does not answer, the peers of the last time count.
package final class PodNetwork: Sendable {
    /// Makes the peers' pods reachable, ``SandboxNetwork/setPeers(_:)``; it may block for milliseconds.
    package typealias Applier = @Sendable ([NetworkPeer]) throws -> PeerOutcome

    /// Nodes of a cluster tend to change together.
    private static let settlingTime = Duration.milliseconds(100)
    private static let longestRetry = Duration.seconds(30)

    private enum Work: Hashable, Sendable { case paths }

    private struct State {
        /// The peers that were applied last, and saved.
        var peers: [NetworkPeer] = []
        var rejected: [RejectedPeer] = []
    }

    private let nodeName: String
    private let nodes: Informer
    private let store: PeerStore
    private let apply: Applier
    private let logger: Logger
    private let queue = WorkQueue<Work>(shortestDelay: .milliseconds(100), longestDelay: longestRetry)
    private let state = Mutex(State())

    /// - Parameters:
    ///   - nodeName: This node, which is no peer of itself.
    ///   - stateDirectory: Where the last known peers are kept over reboots; made where it is missing.
    ///   - apply: Usually `network.setPeers`.
    package init(
        nodeName: String, client: any ResourceClient, stateDirectory: String, logger: Logger,
        apply: @escaping Applier
    ) {
        self.nodeName = nodeName
        self.apply = apply
        self.logger = logger
        store = PeerStore(directory: stateDirectory)
        nodes = Informer(.nodes, client: client, logger: logger, transform: PeerDirectory.essence)
        nodes.addHandler { [queue] event in
            // Heartbeats are nobody's business here.
            if case .updated(let old, let new) = event, PeerDirectory.peer(old) == PeerDirectory.peer(new) { return }
            queue.add(.paths, after: Self.settlingTime)
        }
    }

    /// Looks at the paths again: this machine's links or addresses have changed.
    package func addressesChanged() { queue.add(.paths, after: Self.settlingTime) }

    /// Runs until the task is cancelled; the paths stay.
    package func run() async throws {
        do {
            let known = try store.load()
            state.withLock { $0.peers = known }
        } catch {
            logger.warning("The last known peers could not be read", metadata: ["error": "\(error)"])
        }
        queue.add(.paths)
        let controller = Controller("pod-network", workers: 1, queue: queue, logger: logger) { [self] _ in
            try await reconcile()
            return nil
        }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.nodes.run() }
            group.addTask { try await controller.run() }
            group.addTask {
                // A cluster of one node has no event to begin with, and perhaps peers of the past.
                await self.nodes.waitForSync()
                self.queue.add(.paths)
            }
        }
    }

    private func reconcile() async throws {
        let known = state.withLock { $0.peers }
        // A revision, unlike isSynced, says that a list really came, also while the informer is ending.
        let hasList = nodes.observedRevision > 0
        let peers = hasList ? PeerDirectory.peers(of: nodeName, among: nodes.list()) : known
        if peers != known { keep(peers) }
        let outcome = try await NIOThreadPool.singleton.runIfActive { [apply] in try apply(peers) }
        report(outcome)
    }

    private func keep(_ peers: [NetworkPeer]) {
        state.withLock { $0.peers = peers }
        do {
            try store.save(peers)
        } catch {
            // A full disk must not cut pods off.
            logger.warning("The peers could not be kept for the next start", metadata: ["error": "\(error)"])
        }
    }

    /// Says what is new.
    private func report(_ outcome: PeerOutcome) {
        let before = state.withLock { state in
            defer { state.rejected = outcome.rejected }
            return state.rejected
        }
        for rejected in outcome.rejected where !before.contains(rejected) {
            logger.warning(
                "The pods of a node cannot be reached",
                metadata: [
                    "subnet": "\(rejected.peer.subnet)", "reason": "\(rejected.reason)",
                    "addresses": "\(rejected.peer.addresses.map(\.description).joined(separator: " "))",
                ])
        }
        if outcome.isChanged {
            let tunnelled = outcome.paths.count { $0.carrier == .vxlan }
            logger.info(
                "The paths to other nodes' pods have changed",
                metadata: ["direct": "\(outcome.paths.count - tunnelled)", "vxlan": "\(tunnelled)"])
        }
    }
}
