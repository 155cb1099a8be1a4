// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import Synchronization

/// Bounds how many requests are worked on at one time (upstream: `--max-requests-inflight`).
final class InFlightLimits: Sendable {
    private struct Counts {
        var reading = 0
        var mutating = 0
    }

    private let maximumReading: Int
    private let maximumMutating: Int
    private let counts = Mutex(Counts())

    init(reading: Int, mutating: Int) {
        maximumReading = reading
        maximumMutating = mutating
    }

    /// Runs a request if there is room.
    ///
    /// - Throws: `TooManyRequests` (429), to be tried again after a second.
    func admit<Result: Sendable>(isMutating: Bool, _ body: () async throws -> Result) async throws -> Result {
        let isAdmitted = counts.withLock { counts in
            if isMutating {
                guard counts.mutating < maximumMutating else { return false }
                counts.mutating += 1
            } else {
                guard counts.reading < maximumReading else { return false }
                counts.reading += 1
            }
            return true
        }
        guard isAdmitted else {
            var details = StatusError.Details()
            details.retryAfterSeconds = 1
            throw StatusError(
                code: 429, reason: StatusError.Reason.tooManyRequests,
                message: "Too many requests, please try again later.", details: details)
        }
        defer {
            counts.withLock { counts in
                if isMutating { counts.mutating -= 1 } else { counts.reading -= 1 }
            }
        }
        return try await body()
    }

    /// How many requests are worked on now.
    var current: (reading: Int, mutating: Int) { counts.withLock { ($0.reading, $0.mutating) } }
}
