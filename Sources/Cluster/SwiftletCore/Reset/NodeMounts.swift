// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// The mounts below a node's directories: those that the node made, and those that are somebody else's.
///
/// A disk that holds the state directory, or a part of it, is its owner's: what is on it may go, the mount stays.
struct NodeMounts {
    /// Made by the node, the deepest first.
    let own: [String]
    /// Below the state directory, but not where the node mounts anything.
    let foreign: [MountInfo]

    /// - Parameters:
    ///   - state: the state directory, without symbolic links, as the kernel names mount points.
    ///   - run: the run directory, likewise.
    init(_ mounts: [MountInfo], state: String, run: String) {
        // Volumes and shared memory, containers' file systems, and pinned namespaces.
        let places = ["\(state)/pods/", "\(state)/images/containers/", "\(run)/"]
        func isOwn(_ mount: MountInfo) -> Bool { places.contains { mount.mountPoint.hasPrefix($0) } }
        own = mounts.filter(isOwn).map(\.mountPoint).sorted(by: >)
        foreign = mounts.filter { $0.mountPoint.hasPrefix("\(state)/") && !isOwn($0) }
    }
}
