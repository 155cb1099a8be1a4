// SPDX-License-Identifier: Apache-2.0

package import PKI

/// The authorities of a cluster: one, but for the time in which it is replaced by another.
package struct AuthoritySet: Sendable {
    /// How far the replacement of an authority is.
    package enum Phase: String, Hashable, Sendable, CaseIterable {
        /// There is one authority.
        case settled
        /// Another one is made and trusted beside the one that signs.
        case spreading
        /// The new one signs, and the old one is still trusted.
        case replaced

        /// The phase that follows from what there is.
        package init(hasNext: Bool, hasPrevious: Bool) {
            self = hasNext ? .spreading : hasPrevious ? .replaced : .settled
        }
    }

    /// Signs all certificates that are issued.
    package let signing: CertificateAuthority
    /// Trusted already, and signs nothing yet.
    package let next: Certificate?
    /// Signs no more, and is still trusted.
    package let previous: Certificate?
    /// The certificate of ``signing`` by ``previous``: servers show it, so that clients which know only the old authority
    /// recognise them.
    package let bridge: Certificate?

    package var phase: Phase { Phase(hasNext: next != nil, hasPrevious: previous != nil) }

    /// Who is trusted; the one that signs comes first.
    package var trusted: [Certificate] { [signing.certificate] + [next, previous].compactMap { $0 } }

    /// The SHA-256 of those who are trusted, in hexadecimal.
    package var fingerprints: [String] { trusted.map { hexadecimal($0.fingerprint) } }

    /// ``trusted`` in PEM.
    func bundle() throws(PKIError) -> [UInt8] {
        var bundle: [UInt8] = []
        for certificate in trusted { bundle += try certificate.pem() }
        return bundle
    }
}

/// One of the changes on disk by which an authority is replaced.
enum AuthorityFileStep: Hashable, Sendable {
    /// Writes a file, whole and durably, in place of what had the name.
    case write(name: String, bytes: [UInt8], permissions: UInt32)
    /// Removes a file; one that is not there is no error.
    case remove(name: String)

    static func key(_ name: String, _ bytes: [UInt8]) -> AuthorityFileStep {
        .write(name: name + ".key", bytes: bytes, permissions: 0o600)
    }

    static func certificate(_ name: String, _ bytes: [UInt8]) -> AuthorityFileStep {
        .write(name: name + ".crt", bytes: bytes, permissions: 0o644)
    }
}

/// The names of the authorities' files in the key directory, without `.crt` and `.key`.
package enum AuthorityFile {
    package static let signing = "ca"
    package static let next = "ca-next"
    package static let previous = "ca-previous"
    static let bridge = "ca-bridge"
}

/// How the files of an authority's replacement change.
///
/// Each plan is a list of steps of which a crash may leave any beginning. Certificates of the names in ``AuthorityFile`` say
/// which phase it is: a next one means *spreading*, a previous one *replaced*. Both at once are the trace of an exchange that
/// was begun and is to be finished; that is what makes the exchange of two files, key and certificate, one step.
enum AuthorityFilePlan {
    /// *Settled* to *spreading*: the key first, since the certificate is what counts.
    static func prepare(_ next: CertificateAuthority) throws(PKIError) -> [AuthorityFileStep] {
        [.key(AuthorityFile.next, try next.key.pem()), .certificate(AuthorityFile.next, try next.certificate.pem())]
    }

    /// *Spreading* to *replaced*. From the second step on there is no way back.
    static func activate(
        _ next: CertificateAuthority, inPlaceOf signing: CertificateAuthority
    ) throws(PKIError) -> [AuthorityFileStep] {
        [
            .certificate(AuthorityFile.bridge, try signing.certify(next.certificate).pem()),
            .certificate(AuthorityFile.previous, try signing.certificate.pem()),
        ] + finish(key: try next.key.pem(), certificate: try next.certificate.pem())
    }

    /// The rest of ``activate(_:inPlaceOf:)``, which may be done again and again.
    static func finish(key: [UInt8], certificate: [UInt8]) -> [AuthorityFileStep] {
        [
            .key(AuthorityFile.signing, key), .certificate(AuthorityFile.signing, certificate),
            .remove(name: AuthorityFile.next + ".crt"), .remove(name: AuthorityFile.next + ".key"),
        ]
    }

    /// *Spreading* to *settled*, back to the old authority.
    static let discard: [AuthorityFileStep] = [
        .remove(name: AuthorityFile.next + ".crt"), .remove(name: AuthorityFile.next + ".key"),
    ]

    /// *Replaced* to *settled*, with the new authority.
    static let drop: [AuthorityFileStep] = [
        .remove(name: AuthorityFile.previous + ".crt"), .remove(name: AuthorityFile.bridge + ".crt"),
    ]
}
