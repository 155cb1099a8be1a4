// SPDX-License-Identifier: Apache-2.0

package import PKI

/// When one certificate is renewed, and what comes next on the way; it does no I/O.
///
/// A certificate is due at 70 to 90 % of its life, as in the kubelet, so that the nodes of a cluster do not ask at one
/// time; or at once when it does not name what it should. Seconds are those since 1970.
package struct RenewalMachine: Sendable {
    /// What is to be done now.
    package enum Action: Hashable, Sendable {
        /// Nothing until so many seconds have passed.
        case wait(seconds: Int64)
        /// A signing request is to be created.
        case request
        /// The answer to this request is to be looked at.
        case poll(name: String)
    }

    private enum State: Hashable, Sendable {
        case settled
        case asked(name: String, since: Int64, pollAt: Int64)
        case failed(until: Int64)
    }

    /// How long an answer is awaited before it is asked for anew (upstream: 15 minutes).
    static let patience: Int64 = 900
    /// The seconds between two looks at a request.
    static let pollInterval: Int64 = 2
    /// The first and the longest wait after a failure, in seconds.
    static let waits: ClosedRange<Int64> = 10...1800
    /// The longest wait between two looks at the clock and the node's names, in seconds.
    static let longestSleep: Int64 = 60

    /// The longest life that signers give, in seconds: a year.
    static let longestLife: Int64 = 365 * 86400
    /// A clock that is put right by so many seconds makes no certificate look as if it lasted too long.
    static let clockTolerance: Int64 = 86400

    /// Where in its life a certificate is due, 0.7 to 0.9.
    private let fraction: Double
    private var state = State.settled
    /// The failures since the last success.
    private var failures = 0

    /// - Parameter random: 0 to 1: where in the due time this node asks.
    package init(random: Double) { fraction = 0.7 + 0.2 * min(max(random, 0), 1) }

    /// When a certificate of this life is due.
    package func due(_ validity: Validity) -> Int64 {
        // Certificates that boards get when they join are valid from 1970 on; what was given to them is a year.
        let start = max(validity.notBefore, validity.notAfter - Self.longestLife)
        return start + Int64((Double(validity.notAfter - start) * fraction).rounded())
    }

    /// What is to be done at a time.
    ///
    /// - Parameter isFitting: Whether the certificate says what it should.
    package mutating func next(now: Int64, validity: Validity, isFitting: Bool) -> Action {
        switch state {
        case .settled:
            let rest = isFitting ? rest(validity, now: now) : 0
            return rest > 0 ? .wait(seconds: min(rest, Self.longestSleep)) : .request
        case .asked(let name, let since, let pollAt):
            if now - since >= Self.patience || now < since {
                failed(now: now)
                return next(now: now, validity: validity, isFitting: isFitting)
            }
            if pollAt > now { return .wait(seconds: pollAt - now) }
            state = .asked(name: name, since: since, pollAt: now + Self.pollInterval)
            return .poll(name: name)
        case .failed(let until):
            // A clock that was set back does not prolong the wait beyond its length.
            let rest = min(until - now, Self.waits.upperBound)
            if rest > 0 { return .wait(seconds: rest) }
            // It may be fine by now: somebody else has renewed it.
            state = .settled
            return next(now: now, validity: validity, isFitting: isFitting)
        }
    }

    /// How long a certificate does by its age, in seconds; 0 or less where it is due.
    private func rest(_ validity: Validity, now: Int64) -> Int64 {
        // A clock that was never set says nothing about a certificate's age.
        guard Validity.isClockSet(now) else { return Self.longestSleep }
        // One that was issued while the signer's clock was not set lasts as long as the authority.
        if validity.notAfter - now > Self.longestLife + Self.clockTolerance { return 0 }
        return due(validity) - now
    }

    /// The request exists under this name.
    package mutating func asked(name: String, now: Int64) {
        state = .asked(name: name, since: now, pollAt: now)
    }

    /// The answer to the request is in use.
    ///
    /// One that is due as soon as it has come (the signer's clock is far from this node's, or its authority about to end) counts
    /// as a failure: the next would be no better.
    ///
    /// - Returns: Whether the new certificate does for a while.
    package mutating func renewed(now: Int64, validity: Validity, isFitting: Bool) -> Bool {
        guard isFitting, rest(validity, now: now) > 0 else {
            failed(now: now)
            return false
        }
        settled()
        return true
    }

    /// Somebody else has seen to the certificate.
    package mutating func settled() {
        failures = 0
        state = .settled
    }

    /// The request could not be made, was refused, or its answer is of no use.
    package mutating func failed(now: Int64) {
        failures += 1
        let wait = min(Self.waits.lowerBound << Int64(min(failures - 1, 16)), Self.waits.upperBound)
        state = .failed(until: now + wait)
    }
}
