// SPDX-License-Identifier: Apache-2.0

/// One event of a watch.
package enum WatchEvent: Sendable, Hashable {
    case added(KubeObject)
    case modified(KubeObject)
    /// The last state of an object that is gone, or has ceased to match the selectors.
    case deleted(KubeObject)
    /// Nothing older than the object's `resourceVersion` is still to come.
    case bookmark(KubeObject)

    package var object: KubeObject {
        switch self {
        case .added(let object), .modified(let object), .deleted(let object), .bookmark(let object): object
        }
    }
}
