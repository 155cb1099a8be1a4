// SPDX-License-Identifier: Apache-2.0

package import KubeAPI
package import KubeClient
package import Logging
import Synchronization

/// The informers that the parts of one process share: one list, one watch and one copy per collection.
///
/// All parts ask for their informers while they are set up; then ``run()`` runs every one of them.
package final class InformerSet: Sendable {
    private let client: any ResourceClient
    private let logger: Logger
    private let informers = Mutex<[GroupVersionResource: Informer]>([:])

    package init(client: any ResourceClient, logger: Logger) {
        self.client = client
        self.logger = logger
    }

    /// The informer of a resource over all namespaces.
    package func informer(_ resource: GroupVersionResource) -> Informer {
        informers.withLock { informers in
            if let informer = informers[resource] { return informer }
            let informer = Informer(resource, client: client, logger: logger)
            informers[resource] = informer
            return informer
        }
    }

    /// Runs all informers until the task is cancelled.
    package func run() async throws {
        let all = informers.withLock { Array($0.values) }
        try await withThrowingDiscardingTaskGroup { group in
            for informer in all { group.addTask { try await informer.run() } }
        }
    }

    /// Waits until every informer has its first list.
    package func waitForSync() async {
        for informer in informers.withLock({ Array($0.values) }) { await informer.waitForSync() }
    }
}
