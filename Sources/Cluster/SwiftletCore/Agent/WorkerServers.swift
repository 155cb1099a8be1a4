// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import ControllerRuntime
import KubeAPI
import KubeClient
import Logging

/// Keeps the API servers that a worker knows what the cluster publishes, in memory and on disk, where it is written only when
/// the list has changed.
struct WorkerServers: Sendable {
    private enum Work: Hashable, Sendable { case list }

    private let membership: CurrentMembership
    private let client: HTTPSClient
    private let slices: Informer
    private let queue = WorkQueue<Work>(shortestDelay: .seconds(1), longestDelay: .seconds(300))
    private let logger: Logger

    init(_ membership: CurrentMembership, client: HTTPSClient, logger: Logger) {
        self.membership = membership
        self.client = client
        self.logger = logger
        slices = Informer(
            .endpointSlices, client: client, namespace: "default",
            options: .init(fieldSelector: "metadata.name=kubernetes"), logger: logger)
    }

    /// Runs until it is cancelled.
    func run() async throws {
        slices.addHandler { [queue] _ in queue.add(.list) }
        let controller = Controller("api-servers", workers: 1, queue: queue, logger: logger) { _ in
            try takeOver()
            return nil
        }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await slices.run() }
            group.addTask { try await controller.run() }
        }
    }

    private func takeOver() throws {
        guard let slice = slices.get(namespace: "default", name: "kubernetes") else { return }
        let published = ServerList.published(in: slice)
        let known = membership.value.cluster.servers
        // What was published once stays known, so a server that comes back to an old address is found.
        let servers = ServerList.merge(published, former: known)
        guard !published.isEmpty, servers != known else { return }
        try membership.change { $0.cluster.servers = servers }
        client.replaceServers(servers)
        logger.notice(
            "The cluster's API servers have other addresses",
            metadata: ["servers": "\(published.joined(separator: " "))"])
    }
}
