// SPDX-License-Identifier: Apache-2.0

/// The time in which a certificate is valid, in seconds since 1970-01-01T00:00:00Z, both ends included.
package struct Validity: Hashable, Sendable {
    package var notBefore: Int64
    package var notAfter: Int64

    package init(notBefore: Int64, notAfter: Int64) {
        self.notBefore = notBefore
        self.notAfter = notAfter
    }

    /// Backdating that covers the clock skew between well-kept machines, as upstream's signer does.
    package static let defaultBackdateSeconds: Int64 = 300

    /// A time that has certainly passed when this program runs (2026-01-01): a clock that is behind it is wrong.
    package static let plausibleNow: Int64 = 1_767_225_600

    /// The usual certificate: valid from a little before now.
    package static func backdated(
        now: Int64, lifetimeSeconds: Int64, by backdateSeconds: Int64 = defaultBackdateSeconds
    ) -> Validity {
        Validity(notBefore: max(0, now - backdateSeconds), notAfter: now + lifetimeSeconds)
    }

    /// A certificate for boards without a real-time clock, which may boot in 1970 or at their last shutdown.
    ///
    /// It is valid from 1970 on, so that a node whose clock is behind still trusts its cluster; and the lifetime counts
    /// from ``plausibleNow`` at least, so that one made while the clock was behind has not expired when the right time comes.
    package static func clockless(now: Int64, lifetimeSeconds: Int64) -> Validity {
        Validity(notBefore: 0, notAfter: max(now, plausibleNow) + lifetimeSeconds)
    }

    package func contains(_ time: Int64) -> Bool { notBefore <= time && time <= notAfter }

    /// Whether a clock that says `now` has been set since the machine was switched on, as far as anybody can tell.
    package static func isClockSet(_ now: Int64) -> Bool { now >= plausibleNow }

    /// The time at which a certificate with this validity is judged while the clock says `now`.
    ///
    /// A clock that was never set says nothing about a certificate's age, so that one is judged at a time when it holds;
    /// everything else about it is verified as always.
    package func judged(at now: Int64) -> Int64 {
        Self.isClockSet(now) ? now : min(max(now, notBefore), notAfter)
    }
}
