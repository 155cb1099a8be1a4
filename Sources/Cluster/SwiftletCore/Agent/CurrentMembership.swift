// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import Synchronization

/// A worker's membership, in memory and on disk.
final class CurrentMembership: Sendable {
    private let stateDirectory: String
    private let state: Mutex<Membership>

    init(_ membership: Membership, stateDirectory: String) {
        self.stateDirectory = stateDirectory
        state = Mutex(membership)
    }

    var value: Membership { state.withLock { $0 } }

    /// Changes it, on disk first. What a command has written there meanwhile stays.
    ///
    /// - Returns: what it is now.
    @discardableResult
    func change(_ body: (inout Membership) -> Void) throws -> Membership {
        try state.withLock { state in
            state = try Membership.change(stateDirectory: stateDirectory, body)
            return state
        }
    }
}
