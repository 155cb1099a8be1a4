// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// A failed attempt at a request, and whether another one may do better.
struct AttemptFailure: Error {
    let error: ImageError
    /// Whether the same request may succeed later.
    let isTemporary: Bool
    /// How long the server asks to wait.
    let retryAfter: Duration?

    init(_ error: ImageError, isTemporary: Bool = false, retryAfter: Duration? = nil) {
        self.error = error
        self.isTemporary = isTemporary
        self.retryAfter = retryAfter
    }
}

/// Decides whether and when a failed request is tried again. Knows no clock and no network.
struct RetryPolicy {
    private let timeouts: RegistryConfiguration.Timeouts
    private var attempts = 0

    init(_ timeouts: RegistryConfiguration.Timeouts) { self.timeouts = timeouts }

    /// The wait before the next attempt; nil to give up.
    ///
    /// - Parameter jitter: from 0 to 1, spreads clients that failed at the same moment.
    mutating func delay(after failure: AttemptFailure, jitter: Double) -> Duration? {
        attempts += 1
        guard failure.isTemporary, attempts < timeouts.attempts else { return nil }
        let doubled = timeouts.firstDelay * (1 << min(attempts - 1, 16))
        let own = min(doubled, timeouts.longestDelay) * (0.75 + jitter / 2)
        guard let asked = failure.retryAfter else { return own }
        // A server that wants a longer pause than we wait gets no second attempt now; the caller comes back later.
        return asked <= timeouts.longestDelay ? max(asked, min(own, asked)) : nil
    }

    /// Says that the transfer made progress, so that the next failure counts as the first again.
    mutating func reset() { attempts = 0 }

    /// `Retry-After` in seconds (RFC 9110, section 10.2.3); a date is not understood, the own back-off serves then.
    static func retryAfter(_ headers: HTTPHeaders) -> Duration? {
        guard let text = headers.first(name: "Retry-After"), let seconds = Int(text), seconds >= 0 else { return nil }
        return .seconds(seconds)
    }
}
