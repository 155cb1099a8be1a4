// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import NIOCore
import Storage
import Synchronization

/// Remembers the last list that was assembled: many clients ask for the same one while nothing changes.
final class ListCache: Sendable {
    private struct Entry {
        var prefix: String
        var revision: Revision
        var kind: GroupVersionKind
        var body: ByteBuffer
    }

    /// Longer lists are assembled anew each time.
    private static let maximumBytes = 2 << 20
    /// Shorter ones are as quickly assembled as found.
    private static let minimumBytes = 16 << 10
    private let entry = Mutex<Entry?>(nil)

    func body(_ prefix: String, _ revision: Revision, _ kind: GroupVersionKind) -> ByteBuffer? {
        entry.withLock { entry in
            guard let entry, entry.revision == revision, entry.kind == kind, entry.prefix == prefix else { return nil }
            return entry.body
        }
    }

    func remember(_ body: ByteBuffer, _ prefix: String, _ revision: Revision, _ kind: GroupVersionKind) {
        guard (Self.minimumBytes...Self.maximumBytes).contains(body.readableBytes) else { return }
        entry.withLock { $0 = Entry(prefix: prefix, revision: revision, kind: kind, body: body) }
    }

    /// Lets go of the memory.
    func clear() { entry.withLock { $0 = nil } }
}
