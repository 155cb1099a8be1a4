// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Storage
import Synchronization

/// Remembers, per revision of a namespace, whether new objects may be created in it.
final class NamespaceStates: Sendable {
    private static let capacity = 4096
    private let states = Mutex<[String: (revision: Revision, isTerminating: Bool)]>([:])

    /// Refuses a creation in a namespace that is missing or being deleted (upstream: NamespaceLifecycle).
    func admitCreation(
        of resource: GroupVersionResource, named name: String, in value: StoredValue?, _ namespace: String
    )
        throws(StatusError)
    {
        guard let value else { throw .notFound(.init("", "v1", "namespaces"), namespace) }
        guard try isTerminating(namespace, value) else { return }
        var error = StatusError.forbidden(
            resource, name,
            "unable to create new content in namespace \(namespace) because it is being terminated")
        error.details?.causes = [
            .init(
                reason: "NamespaceTerminating", message: "namespace \(namespace) is being terminated",
                field: "metadata.namespace")
        ]
        throw error
    }

    private func isTerminating(_ namespace: String, _ value: StoredValue) throws(StatusError) -> Bool {
        if let known = states.withLock({ $0[namespace] }), known.revision == value.revision {
            return known.isTerminating
        }
        let object = try StoredObjectDecoder.decode(value)
        let isTerminating = object.isBeingDeleted || object.status["phase"]?.string == "Terminating"
        states.withLock { states in
            if states.count >= Self.capacity { states.removeAll() }
            states[namespace] = (value.revision, isTerminating)
        }
        return isTerminating
    }
}
