// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// How much of request bodies a server holds at one time, whoever sent them: the product of its other limits is more than the
/// memory of a machine, and bodies come in before their senders are known.
final class BodyBudget: Sendable {
    private let limit: Int
    private let held = Atomic(0)

    /// - Parameter limit: bytes of all bodies together.
    init(limit: Int) { self.limit = limit }

    /// Takes so many bytes of the budget; false, and nothing taken, if there are not so many left.
    private func take(_ count: Int) -> Bool {
        guard held.add(count, ordering: .relaxed).newValue <= limit else {
            giveBack(count)
            return false
        }
        return true
    }

    private func giveBack(_ count: Int) { held.subtract(count, ordering: .relaxed) }

    /// One request's part of the budget, given back when the last who holds it lets go of it.
    final class Share: Sendable {
        private let budget: BodyBudget
        private let count = Atomic(0)

        init(of budget: BodyBudget) { self.budget = budget }

        deinit { budget.giveBack(count.load(ordering: .relaxed)) }

        /// Adds so many bytes; false, and nothing added, if the budget does not have them.
        func grow(by bytes: Int) -> Bool {
            guard budget.take(bytes) else { return false }
            count.add(bytes, ordering: .relaxed)
            return true
        }
    }
}
