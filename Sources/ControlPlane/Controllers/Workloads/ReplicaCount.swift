// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Which pods go first when there are too many, and when a pod counts as available: upstream's
/// `pkg/controller/controller_utils.go`, as pure functions.
enum ReplicaCount {
    /// The order of deletion: the first is the one that is missed least.
    static func deletionOrder(_ pods: [PodView], podsPerNode: [String: Int]) -> [PodView] {
        pods.sorted { left, right in precedes(left, right, podsPerNode) }
    }

    private static func precedes(_ left: PodView, _ right: PodView, _ podsPerNode: [String: Int]) -> Bool {
        if left.nodeName.isEmpty != right.nodeName.isEmpty { return left.nodeName.isEmpty }
        let phases = ["Pending": 0, "Unknown": 1, "Running": 2]
        let (leftPhase, rightPhase) = (phases[left.phase] ?? 0, phases[right.phase] ?? 0)
        if leftPhase != rightPhase { return leftPhase < rightPhase }
        if left.isReady != right.isReady { return !left.isReady }
        let (leftCost, rightCost) = (deletionCost(left), deletionCost(right))
        if leftCost != rightCost { return leftCost < rightCost }
        let (leftRank, rightRank) = (podsPerNode[left.nodeName] ?? 0, podsPerNode[right.nodeName] ?? 0)
        if leftRank != rightRank { return leftRank > rightRank }
        if let leftReady = left.readySince, let rightReady = right.readySince, leftReady != rightReady {
            return leftReady > rightReady
        }
        if left.restarts != right.restarts { return left.restarts > right.restarts }
        let (leftAge, rightAge) = (left.object.creationTimestamp ?? "", right.object.creationTimestamp ?? "")
        if leftAge != rightAge { return leftAge > rightAge }
        return left.object.name < right.object.name
    }

    private static func deletionCost(_ pod: PodView) -> Int {
        pod.object.annotations["controller.kubernetes.io/pod-deletion-cost"].flatMap { Int($0) } ?? 0
    }

    /// Seconds until a ready pod counts as available; 0 if it does, nil if it is not ready.
    static func secondsUntilAvailable(_ pod: PodView, minReadySeconds: Int, now: KubeTime) -> Int? {
        guard pod.isReady else { return nil }
        if minReadySeconds == 0 { return 0 }
        guard let since = pod.readySince.flatMap({ KubeTime($0) }) else { return minReadySeconds }
        return max(0, Int(since.seconds) + minReadySeconds - Int(now.seconds))
    }
}
