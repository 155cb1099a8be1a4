// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import KubeAPI
import Synchronization

/// Remembers, per key, the newest revision that a reconciler wrote to another collection.
///
/// Until the informer of that collection has seen it, the reconciler would count without its own writes and, say,
/// create too many pods. It waits by returning early: the event that brings the revision queues the key again.
final class WrittenRevisions: Sendable {
    private let revisions = Mutex<[ObjectKey: Int64]>([:])

    /// Notes a write for `key` by what the API answered.
    func note(_ key: ObjectKey, _ written: KubeObject) {
        guard let revision = Int64(written.resourceVersion) else { return }
        revisions.withLock { $0[key] = max($0[key] ?? 0, revision) }
    }

    /// Whether the informer has seen everything written for `key`.
    func areSeen(_ key: ObjectKey, by informer: Informer) -> Bool {
        let observed = informer.observedRevision
        return revisions.withLock { revisions in
            guard let written = revisions[key] else { return true }
            if written > observed { return false }
            revisions[key] = nil
            return true
        }
    }

    func forget(_ key: ObjectKey) { revisions.withLock { $0[key] = nil } }
}
