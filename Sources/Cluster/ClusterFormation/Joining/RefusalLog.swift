// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Bounds how often the log tells of boards that were not let in: anybody on the network can ask.
final class RefusalLog: Sendable {
    private struct State {
        var start: ContinuousClock.Instant?
        var told = 0
        var leftOut = 0
    }

    /// How many are told in one ``interval``.
    static let limit = 5
    static let interval = Duration.seconds(60)

    private let state = Mutex(State())

    /// Takes in a refusal.
    ///
    /// - Returns: how many were not told since the last one that was; nil where this one is not told either.
    func tell(at now: ContinuousClock.Instant = .now) -> Int? {
        state.withLock { state in
            if state.start.map({ now - $0 >= Self.interval }) ?? true {
                state.start = now
                state.told = 0
            }
            guard state.told < Self.limit else {
                state.leftOut += 1
                return nil
            }
            state.told += 1
            defer { state.leftOut = 0 }
            return state.leftOut
        }
    }
}
