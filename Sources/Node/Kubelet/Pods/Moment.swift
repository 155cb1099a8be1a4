// SPDX-License-Identifier: Apache-2.0

/// A point in time for the pod's state machine: by the wall clock for what users see, by the uptime for waiting.
///
/// A board without a battery-backed clock may see the wall clock jump by years; no timer depends on it.
package struct Moment: Hashable, Sendable {
    /// Seconds since 1970.
    package var wallSeconds: Int64
    /// Milliseconds since some fixed point, not set back by clock adjustments.
    package var uptimeMilliseconds: Int64

    package init(wallSeconds: Int64, uptimeMilliseconds: Int64) {
        self.wallSeconds = wallSeconds
        self.uptimeMilliseconds = uptimeMilliseconds
    }

    /// The moment so many milliseconds later.
    package func advanced(milliseconds: Int64) -> Moment {
        Moment(
            wallSeconds: wallSeconds + milliseconds / 1000,
            uptimeMilliseconds: uptimeMilliseconds + milliseconds)
    }
}

/// Exponential back-off as upstream's flowcontrol.Backoff does it: each failure doubles the wait up to a maximum, and
/// a quiet time of twice the maximum starts it over.
package struct Backoff: Hashable, Sendable {
    /// The first wait, in milliseconds.
    package let initial: Int64
    /// The longest wait, in milliseconds.
    package let maximum: Int64
    /// The wait now in force; nil before the first failure.
    package private(set) var current: Int64?
    private var lastUpdate: Int64 = 0

    package init(initial: Int64 = 10_000, maximum: Int64 = 300_000) {
        self.initial = initial
        self.maximum = maximum
    }

    /// Milliseconds to wait for after a failure at `failedAt` (uptime); 0 when the next try may begin.
    package func remaining(failedAt: Int64, now: Int64) -> Int64 {
        guard let current, failedAt - lastUpdate <= 2 * maximum else { return 0 }
        return max(0, failedAt + current - now)
    }

    /// Notes a new try after a failure at `failedAt` (uptime).
    package mutating func advance(failedAt: Int64, now: Int64) {
        if let current, failedAt - lastUpdate <= 2 * maximum {
            self.current = min(current * 2, maximum)
        } else {
            current = initial
        }
        lastUpdate = now
    }

    package mutating func reset() { current = nil }

    /// The wait as Go prints a Duration: `10s`, `1m20s`, `5m0s`.
    package var text: String {
        let seconds = (current ?? initial) / 1000
        return seconds < 60 ? "\(seconds)s" : "\(seconds / 60)m\(seconds % 60)s"
    }
}
