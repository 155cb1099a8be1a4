// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import Synchronization

/// Which collections have not been listed yet, and somebody who waits for them.
final class FirstLists: Sendable {
    private struct State {
        var missing: Set<GroupVersionResource>
        var isGivenUp = false
        var waiter: CheckedContinuation<Void, Never>?

        var isOver: Bool { isGivenUp || missing.isEmpty }

        /// The one who waits, when the waiting is over.
        mutating func takeWaiter() -> CheckedContinuation<Void, Never>? {
            guard isOver else { return nil }
            defer { waiter = nil }
            return waiter
        }
    }

    private let state: Mutex<State>

    init(_ resources: [GroupVersionResource]) { state = Mutex(State(missing: Set(resources))) }

    /// The collections that have not been listed.
    var missing: Set<GroupVersionResource> { state.withLock { $0.missing } }

    /// Notes that a collection has been listed.
    func note(_ resource: GroupVersionResource) {
        let waiter = state.withLock { state in
            state.missing.remove(resource)
            return state.takeWaiter()
        }
        waiter?.resume()
    }

    /// Waits until all have been listed, but not longer than `patience`; for one caller.
    func wait(atMost patience: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // A sleep that is cut short means that all is listed, or that nobody wants to wait any more.
                try? await Task.sleep(for: patience)
                self.giveUp()
            }
            await withCheckedContinuation { continuation in
                let waiter = state.withLock { state in
                    state.waiter = continuation
                    return state.takeWaiter()
                }
                waiter?.resume()
            }
            group.cancelAll()
        }
    }

    private func giveUp() {
        let waiter = state.withLock { state in
            state.isGivenUp = true
            return state.takeWaiter()
        }
        waiter?.resume()
    }
}
