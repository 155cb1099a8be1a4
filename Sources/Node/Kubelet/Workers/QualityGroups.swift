// SPDX-License-Identifier: Apache-2.0

import Logging
import PodRuntime
import Synchronization

/// Keeps what the groups of burstable and of best-effort pods weigh beside guaranteed pods, whose own groups lie next to them
/// (upstream: QOSContainerManager). Without it each of the two would weigh as much as a pod that was promised a whole CPU.
final class QualityGroups: Sendable {
    private let runtime: PodRuntime
    private let logger: Logger
    /// The thousandths of a CPU that burstable pods with a sandbox request.
    private let requests = Mutex<[String: Int64]>([:])

    init(runtime: PodRuntime, logger: Logger) {
        self.runtime = runtime
        self.logger = logger
    }

    /// Takes in a pod that has, or is about to have, a sandbox, or whose requests have changed.
    func update(_ pod: Pod) async {
        requests.withLock { $0[pod.uid] = pod.qosClass == .burstable ? pod.request("cpu") : nil }
        await apply()
    }

    /// Takes in that a pod's sandbox is gone.
    func remove(uid: String) async {
        requests.withLock { $0[uid] = nil }
        await apply()
    }

    private func apply() async {
        do {
            try await runtime.setGroupShares { self.requests.withLock { Self.shares(burstableRequests: $0.values) } }
        } catch {
            // As upstream: the pods run all the same, and the next change tries again.
            logger.warning("The groups of pods were not given their weights", metadata: ["error": "\(error)"])
        }
    }

    /// What the groups weigh: the best-effort pods together next to nothing, the burstable ones what they request.
    static func shares(burstableRequests: some Sequence<Int64>) -> [String: UInt64] {
        [
            ResourceSettings.bestEffortParent: ResourceSettings.shares(milliCPU: 0),
            ResourceSettings.burstableParent: ResourceSettings.shares(milliCPU: burstableRequests.reduce(0, +)),
        ]
    }
}
