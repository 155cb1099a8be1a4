// SPDX-License-Identifier: Apache-2.0

package import NIOSSL

/// How a client connects with TLS: whom it trusts and what it shows. All in PEM.
package struct HTTPClientTLS: Sendable {
    package enum Verification: Sendable {
        /// The chain and the name or address, against these authorities.
        case authorities([UInt8])
        /// Against the operating system's authorities.
        case system
        /// Not at all, as Kubernetes' API server does with kubelets when it was given no authority for them.
        case none
    }

    package var verification: Verification
    /// A client certificate, followed by intermediates, and its key.
    package var identity: (certificateChain: [UInt8], privateKey: [UInt8])?

    package init(
        verification: Verification, identity: (certificateChain: [UInt8], privateKey: [UInt8])? = nil
    ) {
        self.verification = verification
        self.identity = identity
    }

    /// The form that NIOSSL takes.
    ///
    /// - Throws: ``HTTPTransportError`` when a certificate or the key cannot be read.
    package func configuration() throws(HTTPTransportError) -> TLSConfiguration {
        do {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.minimumTLSVersion = .tlsv12
            switch verification {
            case .authorities(let authorities):
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(authorities))
            case .system: break
            case .none: configuration.certificateVerification = .none
            }
            if let identity {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(identity.certificateChain)
                    .map { .certificate($0) }
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: identity.privateKey, format: .pem))
            }
            return configuration
        } catch {
            throw HTTPTransportError("set up TLS", reason: "a certificate or key is unusable: \(error)")
        }
    }
}
