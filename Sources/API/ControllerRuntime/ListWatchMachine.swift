// SPDX-License-Identifier: Apache-2.0

import KubeAPI

/// The list-watch protocol as a state machine: what happened goes in, what to do next comes out; it does no I/O.
///
/// A full copy of a collection is kept by listing once and watching from the list's revision on. A watch that ends is
/// reopened where it stopped; only a revision that the server no longer has costs a new list (Kubernetes API concepts,
/// "Efficient detection of changes").
package struct ListWatchMachine: Sendable {
    /// What the caller does next.
    package enum Action: Hashable, Sendable {
        /// List the collection, after waiting.
        case list(after: Duration)
        /// Watch from a revision, after waiting.
        case watch(from: String, after: Duration)
    }

    private enum State: Hashable, Sendable {
        /// Nothing is known, or what is known is too old to go on from.
        case unlisted
        /// Everything up to a revision is known.
        case listed(String)
    }

    private var state = State.unlisted
    /// Failures since the last success; grows the wait.
    private var failures = 0

    /// The longest wait between two attempts: a node must hear soon of what has changed while the API was away.
    package static let longestWait = Duration.seconds(10)
    /// The wait after the first failure, doubled by each further one.
    package static let shortestWait = Duration.milliseconds(250)

    package init() {}

    /// What to do now.
    package var action: Action {
        let wait = failures == 0 ? .zero : Self.wait(after: failures)
        return switch state {
        case .unlisted: .list(after: wait)
        case .listed(let revision): .watch(from: revision, after: wait)
        }
    }

    /// A list came back.
    package mutating func listed(resourceVersion: String) {
        state = .listed(resourceVersion)
        failures = 0
    }

    /// An event came; its object's revision is where a later watch begins.
    package mutating func received(resourceVersion: String) {
        if !resourceVersion.isEmpty { state = .listed(resourceVersion) }
        failures = 0
    }

    /// The watch ended in good order.
    ///
    /// - Parameter isEmpty: Whether it brought nothing; then it counts as a failure, so that a server that closes
    ///   watches at once is not asked in a tight loop.
    package mutating func watchEnded(isEmpty: Bool) {
        failures = isEmpty ? failures + 1 : 0
    }

    /// A list or watch failed.
    package mutating func failed(_ error: any Error) {
        failures += 1
        if let status = error as? StatusError, status.isExpired {
            state = .unlisted
            // The revision is merely old: nothing is wrong with the server.
            failures = 0
        }
    }

    private static func wait(after failures: Int) -> Duration {
        min(longestWait, shortestWait * (1 << min(failures - 1, 10)))
    }
}
