// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import Synchronization

/// The cluster's identity as it is now: its certificates and authorities are replaced while the agent runs.
final class CurrentIdentity: Sendable {
    private struct State {
        var identity: ClusterIdentity
        var observers: [@Sendable () -> Void] = []
    }

    private let state: Mutex<State>

    init(_ identity: ClusterIdentity) { state = Mutex(State(identity: identity)) }

    var value: ClusterIdentity { state.withLock { $0.identity } }

    /// Calls `observer` whenever other authorities are trusted than before.
    func observeAuthorities(_ observer: @escaping @Sendable () -> Void) {
        state.withLock { $0.observers.append(observer) }
    }

    func replace(_ identity: ClusterIdentity) {
        let observers = state.withLock { state in
            defer { state.identity = identity }
            return state.identity.authorityPEM == identity.authorityPEM ? [] : state.observers
        }
        for observer in observers { observer() }
    }
}
