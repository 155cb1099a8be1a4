// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Synchronization

/// When every node gave its last sign of life: a renewed lease, or a status with a new heartbeat.
///
/// Times are those at which the sign was seen here, by a clock that nobody sets (upstream: probeTimestamp): nodes' clocks may
/// be years off. After a restart every node has the whole grace period again.
final class NodeHeartbeats: Sendable {
    private struct Sign {
        var lease = ""
        var status = ""
        var seen: ContinuousClock.Instant
    }

    private let signs = Mutex<[String: Sign]>([:])

    /// Takes in a lease of the namespace `kube-node-lease`.
    func note(lease: KubeObject, at now: ContinuousClock.Instant) {
        note(lease.name, at: now, \.lease, lease.spec["renewTime"]?.string ?? "")
    }

    /// Takes in a Node object.
    func note(node: KubeObject, at now: ContinuousClock.Instant) {
        let ready = node.json["status"]?["conditions"]?.elements.first { $0["type"]?.string == "Ready" }
        note(node.name, at: now, \.status, ready?["lastHeartbeatTime"]?.string ?? "")
    }

    private func note(
        _ name: String, at now: ContinuousClock.Instant, _ field: any WritableKeyPath<Sign, String> & Sendable,
        _ value: String
    ) {
        signs.withLock { signs in
            var sign = signs[name] ?? Sign(seen: now)
            if !value.isEmpty, sign[keyPath: field] != value {
                sign[keyPath: field] = value
                sign.seen = now
            }
            signs[name] = sign
        }
    }

    /// How long a node has been silent; zero for one that was never heard of.
    func silence(of name: String, at now: ContinuousClock.Instant) -> Duration {
        signs.withLock { signs in
            guard let sign = signs[name] else {
                signs[name] = Sign(seen: now)
                return .zero
            }
            return now - sign.seen
        }
    }

    func forget(_ name: String) { signs.withLock { $0[name] = nil } }
}
