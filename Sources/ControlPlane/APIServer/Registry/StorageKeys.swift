// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import Storage

/// How objects are named in the store: `/registry/GROUP/RESOURCE/[NAMESPACE/]NAME`, `core` for the core group.
package enum StorageKeys {
    package static let root = "/registry/"
    /// Everything that access decisions depend on.
    package static let accessControl = root + "rbac.authorization.k8s.io/"

    /// Objects that are written often and may be lost in a power cut: a store may keep them in memory.
    package static let volatilePrefixes = [root + "coordination.k8s.io/leases/", root + "core/events/"]

    /// The prefix of all objects of a resource.
    static func prefix(_ group: String, _ resource: String) -> String {
        "\(root)\(group.isEmpty ? "core" : group)/\(resource)/"
    }
}
