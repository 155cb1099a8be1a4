// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
import Synchronization

/// Whether the file system of the node's state is short of room. Pure.
///
/// The bounds are upstream's (kubernetes.io, "Node-pressure Eviction": `nodefs.available`, `nodefs.inodesFree`), but a tenth of
/// a large disk is no pressure. The condition ends only when there is clearly more room, so that it does not come and go.
package struct DiskPressureMachine: Sendable, Hashable {
    /// Pressure begins below a tenth of the file system, or below so many bytes where a tenth is more.
    static let enough: UInt64 = 1 << 30

    package private(set) var isUnderPressure = false

    package init() {}

    /// Takes what a look found; whether there is pressure.
    package mutating func look(_ space: FileSystemSpace) -> Bool {
        // Some file systems have no fixed number of inodes, and report none.
        let scale: UInt64 = isUnderPressure ? 5 : 4
        let bytes = min(space.totalBytes / 10, Self.enough) * scale / 4
        let inodes = space.totalInodes / 20 * scale / 4
        isUnderPressure = space.availableBytes < bytes || space.freeInodes < inodes
        return isUnderPressure
    }
}

/// Looks at the file system that holds a directory.
final class DiskWatch: Sendable {
    private let directory: String
    private let machine = Mutex(DiskPressureMachine())

    init(directory: String) { self.directory = directory }

    var isUnderPressure: Bool {
        // What cannot be looked at tells nothing new.
        guard let space = try? FileDescriptor.open(directory, [.read, .directory]).space(directory) else {
            return machine.withLock { $0.isUnderPressure }
        }
        return machine.withLock { $0.look(space) }
    }
}
