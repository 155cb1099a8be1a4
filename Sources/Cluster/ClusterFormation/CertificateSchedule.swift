// SPDX-License-Identifier: Apache-2.0

package import PKI

/// How long the certificates of a cluster last and when they are replaced; it does no I/O. Times are seconds since 1970.
package struct CertificateSchedule: Hashable, Sendable {
    /// A year, as upstream's tools and signers do it (`--cluster-signing-duration`).
    package static let standard = CertificateSchedule(lifetimeSeconds: 365 * 86400)
    /// A clock that is put right by so much makes no certificate look as if it lasted too long.
    private static let clockTolerance: Int64 = 86400

    /// For how long certificates are issued.
    package var lifetimeSeconds: Int64

    package init(lifetimeSeconds: Int64) { self.lifetimeSeconds = lifetimeSeconds }

    /// A certificate with less left is due: 90 days of a year.
    package var renewalSeconds: Int64 { lifetimeSeconds * 90 / 365 }

    /// From when to when a certificate of a node with the control plane is valid that is issued now.
    ///
    /// While the clock is not set nobody can tell when a year is over: the certificate lasts as long as the authority, and
    /// is due when the time is known.
    func validity(now: Int64, authority: Validity) -> Validity {
        Validity.isClockSet(now)
            ? .clockless(now: now, lifetimeSeconds: lifetimeSeconds)
            : Validity(notBefore: 0, notAfter: authority.notAfter)
    }

    /// Why a certificate is due by its age; nil where it is not, and while the clock is not set.
    package func objection(to validity: Validity, authority: Validity, now: Int64) -> String? {
        guard Validity.isClockSet(now) else { return nil }
        let rest = validity.notAfter - now
        if rest > lifetimeSeconds + Self.clockTolerance { return "it lasts longer than certificates are to last" }
        // Near the authority's own end nothing longer can be issued.
        if validity.notAfter < authority.notAfter, rest < renewalSeconds { return "it expires soon" }
        return nil
    }

    /// When the first of some certificates is due; nil where none will be before the authority's end.
    package func due(_ validities: [Validity], authority: Validity) -> Int64? {
        validities.filter { $0.notAfter < authority.notAfter }.map { $0.notAfter - renewalSeconds }.min()
    }
}
