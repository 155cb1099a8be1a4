// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Storage

/// The objects that tell a watcher how far it has come.
enum Bookmarks {
    /// An object of the watched kind that has nothing but a revision.
    ///
    /// - Parameter endsInitialEvents: whether it marks the end of the initial events (KEP-3157).
    static func object(_ served: ServedResource, revision: Revision, endsInitialEvents: Bool) -> KubeObject {
        var object = KubeObject([
            "kind": .string(served.kind.kind), "apiVersion": .string(served.kind.groupVersion.description),
            "metadata": ["resourceVersion": .string(String(revision))],
        ])
        if endsInitialEvents {
            object.json["metadata", "annotations"] = ["k8s.io/initial-events-end": "true"]
        }
        return object
    }
}
