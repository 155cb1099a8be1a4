// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import NIOCore
import NIOSSL
import PKI
import Synchronization

/// The server's certificate and the authorities of its clients; they can be replaced while connections go on.
///
/// A new connection takes what is current when it is accepted, so renewal needs no restart. A client certificate that
/// does not verify does not end the handshake, as in Kubernetes' servers: the handler sees why in
/// ``HTTPPeer/certificateError`` and answers 401, unless the client has a token.
package final class HTTPServerTLS: Sendable {
    private let current: Mutex<Material>
    private let certified = CertifiedConnections()

    /// What a server shows and trusts, all in PEM.
    package struct Identity: Sendable {
        /// The server's certificate, followed by intermediates.
        package var certificateChain: [UInt8]
        package var privateKey: [UInt8]
        /// The authorities that sign client certificates; nil asks for none.
        package var clientAuthorities: [UInt8]?

        package init(certificateChain: [UInt8], privateKey: [UInt8], clientAuthorities: [UInt8]? = nil) {
            self.certificateChain = certificateChain
            self.privateKey = privateKey
            self.clientAuthorities = clientAuthorities
        }
    }

    /// An identity made ready for use.
    struct Material: Sendable {
        let context: NIOSSLContext
        /// Verifies client certificates; nil when none are asked for.
        let clients: CertificateVerifier?
    }

    /// - Throws: ``HTTPTransportError`` when a certificate or the key cannot be read, or they do not match.
    package init(_ identity: Identity) throws(HTTPTransportError) {
        current = Mutex(try Self.prepare(identity))
    }

    /// Makes new connections use this identity; the old one stays when the new one is unusable.
    ///
    /// Open connections go on, but for those of clients with a certificate by an authority that is not among those of the new
    /// identity.
    package func replace(_ identity: Identity) throws(HTTPTransportError) {
        let material = try Self.prepare(identity)
        let old = current.withLock { current in
            defer { current = material }
            return current
        }
        let trusted = material.clients?.trusted ?? []
        guard old.clients?.trusted.contains(where: { !trusted.contains($0) }) == true else { return }
        certified.close { chain in Self.verdict(chain, material.clients).certificate != nil }
    }

    var material: Material { current.withLock { $0 } }

    /// Judges the certificate of a connection by the authorities that are trusted now, and again when they are not any more.
    ///
    /// - Parameter chain: In DER, the client's own certificate first; empty where the client showed none.
    /// - Returns: The verified certificate in DER or the reason why there is none; both nil when the client showed none.
    func verdict(on channel: any Channel, chain: [[UInt8]]) -> (certificate: [UInt8]?, reason: String?) {
        guard !chain.isEmpty, material.clients != nil else { return (nil, nil) }
        // Before it is judged: authorities that are replaced in between do not miss it.
        certified.add(channel, chain: chain)
        return Self.verdict(chain, material.clients)
    }

    private static func verdict(
        _ chain: [[UInt8]], _ clients: CertificateVerifier?
    ) -> (certificate: [UInt8]?, reason: String?) {
        guard let leaf = chain.first, let clients else { return (nil, nil) }
        do {
            let certificate = try Certificate(der: leaf)
            let others = try chain.dropFirst().map { try Certificate(der: $0) }
            try clients.verify(
                certificate, intermediates: others, purpose: .client,
                at: certificate.validity.judged(at: FileTime.now().seconds))
            return (leaf, nil)
        } catch {
            return (nil, "\(error)")
        }
    }

    private static func prepare(_ identity: Identity) throws(HTTPTransportError) -> Material {
        do {
            let chain = try NIOSSLCertificate.fromPEMBytes(identity.certificateChain)
            guard !chain.isEmpty else {
                throw HTTPTransportError("set up TLS", reason: "the server certificate's PEM holds no certificate")
            }
            let key = try NIOSSLPrivateKey(bytes: identity.privateKey, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["h2", "http/1.1"]
            var clients: CertificateVerifier?
            if let authorities = identity.clientAuthorities {
                configuration.certificateVerification = .optionalVerification
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(authorities))
                configuration.sendCANameList = true
                clients = try CertificateVerifier(trusting: Certificate.bundle(pem: authorities))
            }
            return Material(context: try NIOSSLContext(configuration: configuration), clients: clients)
        } catch let error as HTTPTransportError {
            throw error
        } catch {
            throw HTTPTransportError("set up TLS", reason: "the certificate or key is unusable: \(error)")
        }
    }
}

/// One connection's client certificate: gathered in the handshake, judged after it.
///
/// It lives on the connection's event loop.
final class ClientCertificateCheck {
    private let tls: HTTPServerTLS
    private var presented: [NIOSSLCertificate] = []

    init(_ tls: HTTPServerTLS) { self.tls = tls }

    /// Remembers the chain that the client sent; the leaf comes first.
    func remember(_ chain: [NIOSSLCertificate]) { presented = Array(chain.prefix(10)) }

    /// The verified certificate in DER or the reason why there is none; both nil when the client showed none.
    ///
    /// - Parameter leaf: the certificate of the finished handshake; a resumed session has it without a chain.
    func verdict(on channel: any Channel, leaf: NIOSSLCertificate?) -> (certificate: [UInt8]?, reason: String?) {
        guard let leaf else { return (nil, nil) }
        do {
            let chain = try ([leaf] + presented.dropFirst()).map { try $0.toDERBytes() }
            return tls.verdict(on: channel, chain: chain)
        } catch {
            return (nil, "\(error)")
        }
    }
}
