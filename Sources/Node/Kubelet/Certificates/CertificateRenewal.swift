// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
package import KubeClient
package import LinuxSystem
package import Logging
package import PKI

/// Renews one of a node's certificates through the API, while the kubelet runs and before the certificate ends; or once, when
/// somebody asks for it.
///
/// It makes a new key, asks the signer for a certificate with a CertificateSigningRequest, and hands both to the
/// caller. Failures are retried with growing waits; the old certificate stays in use meanwhile.
package actor CertificateRenewal {
    /// Which of a kubelet's certificates it is.
    package enum Kind: String, CaseIterable, Sendable {
        /// What the node shows to the API server.
        case client = "kubernetes.io/kube-apiserver-client-kubelet"
        /// What the kubelet's own server shows.
        case serving = "kubernetes.io/kubelet-serving"
    }

    /// A certificate and its key, both in PEM.
    package struct Credential: Sendable {
        package var certificate: [UInt8]
        package var key: [UInt8]

        package init(certificate: [UInt8], key: [UInt8]) {
            self.certificate = certificate
            self.key = key
        }
    }

    private static let requests = GroupVersionResource("certificates.k8s.io", "v1", "certificatesigningrequests")

    /// The queue's only key.
    private enum Work: Hashable, Sendable { case look }

    /// Between two looks at a request that somebody waits for.
    private static let impatientPause = Duration.milliseconds(100)
    /// Clocks that differ by so many seconds explain nothing.
    private static let toleratedSkew = 300.0

    private let queue = WorkQueue<Work>()
    private let kind: Kind
    private let nodeName: String
    private let client: any ResourceClient
    private let addresses: @Sendable () -> [IPAddress]
    private let isSufficient: @Sendable (Certificate) -> Bool
    private let now: @Sendable () -> Int64
    private let install: @Sendable (Credential) async throws -> Void
    private let logger: Logger
    private var current: Certificate
    private var machine: RenewalMachine
    private var pendingKey: PrivateKey?
    /// Whether it was said that what comes is of no use, since something was.
    private var hasToldFutility = false

    /// - Parameters:
    ///   - current: The certificate in use, in PEM.
    ///   - addresses: What the node reports now; a serving certificate says its name and these, without loopback.
    ///   - isSufficient: Whether a certificate does for other reasons than its age and names: it is by the right authority.
    ///   - random: 0 to 1: where between 70 and 90 % of a certificate's life it is renewed.
    ///   - now: Seconds since 1970.
    ///   - install: Stores a new credential and puts it to use; called again, with another one, after it has thrown.
    /// - Throws: ``PKIError`` when the current certificate cannot be read.
    package init(
        _ kind: Kind, nodeName: String, current: [UInt8], client: any ResourceClient,
        addresses: @escaping @Sendable () -> [IPAddress],
        isSufficient: @escaping @Sendable (Certificate) -> Bool = { _ in true }, random: Double,
        now: @escaping @Sendable () -> Int64, logger: Logger,
        install: @escaping @Sendable (Credential) async throws -> Void
    ) throws(PKIError) {
        self.kind = kind
        self.nodeName = nodeName
        self.current = try Certificate(pem: current)
        self.client = client
        self.addresses = addresses
        self.isSufficient = isSufficient
        self.now = now
        self.install = install
        self.logger = logger
        machine = RenewalMachine(random: random)
    }

    /// Renews whenever it is time, until the task is cancelled.
    package func run() async throws {
        let controller = Controller("certificate-renewal", workers: 1, queue: queue, logger: logger) { [self] _ in
            try await step()
        }
        queue.add(.look)
        try await controller.run()
    }

    /// Looks at once whether it is time: what decides has changed.
    package nonisolated func look() { queue.add(.look) }

    /// Goes on with a certificate that somebody else has got.
    ///
    /// - Throws: ``PKIError`` when it cannot be read; the one before stays.
    package func adopt(_ pem: [UInt8]) throws(PKIError) {
        let adopted = try Certificate(pem: pem)
        guard adopted != current else { return queue.add(.look) }
        current = adopted
        pendingKey = nil
        machine.settled()
        queue.add(.look)
    }

    /// Renews at once, however old the certificate is; while ``run()`` does not run.
    ///
    /// - Parameter limit: How long the answer is awaited.
    /// - Throws: ``RenewalError``, or what the API answers; the old certificate stays.
    package func renew(within limit: Duration) async throws {
        let name = try await ask()
        let deadline = ContinuousClock.now + limit
        while try await take(name) == nil {
            guard ContinuousClock.now < deadline else {
                throw RenewalError(
                    reason: "nobody has answered the request \(name) within \(limit):"
                        + " see 'kubectl describe csr \(name)'")
            }
            try await Task.sleep(for: Self.impatientPause)
        }
    }

    /// Does what is to be done now.
    ///
    /// - Returns: When to look again.
    private func step() async throws -> Duration {
        switch machine.next(now: now(), validity: current.validity, isFitting: isFitting) {
        case .wait(let seconds): return .seconds(seconds)
        case .request:
            try await attempt {
                let name = try await ask()
                machine.asked(name: name, now: now())
            }
        case .poll(let name):
            try await attempt {
                guard let request = try await take(name) else { return }
                if machine.renewed(now: now(), validity: current.validity, isFitting: isFitting) {
                    hasToldFutility = false
                } else {
                    tellFutility(of: request)
                }
            }
        }
        return .zero
    }

    /// Says once why a new certificate would be renewed again at once.
    private func tellFutility(of request: KubeObject) {
        guard !hasToldFutility else { return }
        hasToldFutility = true
        let validity = current.validity
        var reason = "it is valid from \(WallClock.text(validity.notBefore)) on"
        let own = KubeTime(seconds: Int(now()))
        if let theirs = KubeTime(request.creationTimestamp ?? ""),
            abs(own.timeInterval(since: theirs)) > Self.toleratedSkew
        {
            reason += "; this node's clock says \(own.text) and the control plane's \(theirs.text)"
        }
        logger.warning(
            "A new certificate is due for renewal already; the next is asked for later",
            metadata: [
                "signer": "\(kind.rawValue)", "valid-until": "\(WallClock.text(validity.notAfter))",
                "reason": "\(reason)",
            ])
    }

    /// Whether the certificate is by the right authority and, for serving, says what the node reports.
    private var isFitting: Bool {
        guard isSufficient(current) else { return false }
        guard kind == .serving else { return true }
        let (wanted, said) = (names, current.alternativeNames)
        return Set(wanted.dnsNames).isSubset(of: said.dnsNames)
            && Set(wanted.ipAddresses).isSubset(of: said.ipAddresses)
    }

    private var names: SubjectAlternativeNames {
        .init(dnsNames: [nodeName], ipAddresses: addresses().filter { !$0.isLoopback })
    }

    private func attempt(_ step: () async throws -> Void) async throws {
        do {
            try await step()
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            pendingKey = nil
            machine.failed(now: now())
            logger.warning(
                "Cannot renew a certificate; it is tried again",
                metadata: ["signer": "\(kind.rawValue)", "error": "\(error)"])
        }
    }

    /// Makes a request and returns its name.
    private func ask() async throws -> String {
        let key = try PrivateKey.generate(.p256)
        let request = try CertificateSigningRequest(
            subject: DistinguishedName(
                commonName: "system:node:\(nodeName)", organizations: [UserInfo.WellKnown.nodesGroup]),
            alternativeNames: kind == .serving ? names : .init(), key: key)
        var object = KubeObject(.init("certificates.k8s.io", "v1", "CertificateSigningRequest"), name: "")
        object.metadata = ["generateName": "csr-"]
        object.spec = [
            "request": .string(Base64.encode(request.pem)), "signerName": .string(kind.rawValue),
            "usages": ["digital signature", kind == .serving ? "server auth" : "client auth"],
        ]
        let created = try await client.create(Self.requests, object: object)
        pendingKey = key
        return created.name
    }

    /// Takes the answer to a request into use.
    ///
    /// - Returns: The request, nil while there is no answer.
    private func take(_ name: String) async throws -> KubeObject? {
        let object = try await client.get(Self.requests, namespace: nil, name: name)
        for type in ["Denied", "Failed"] {
            guard let condition = object.condition(type) else { continue }
            throw RenewalError(reason: "the request \(name) has the condition \(type): \(condition.message)")
        }
        guard let text = object.status["certificate"]?.string, !text.isEmpty else { return nil }
        guard let pem = Base64.decode(text), let key = pendingKey else {
            throw RenewalError(reason: "the answer to the request \(name) is not Base64, or its key is gone")
        }
        let certificate = try Certificate(pem: pem)
        guard try certificate.publicKey == key.publicKey() else {
            throw RenewalError(reason: "the certificate of the request \(name) is for another key")
        }
        try await install(Credential(certificate: pem, key: try key.pem()))
        current = certificate
        pendingKey = nil
        logger.info(
            "Renewed a certificate",
            metadata: [
                "signer": "\(kind.rawValue)", "valid-until": "\(WallClock.text(certificate.validity.notAfter))",
            ])
        return object
    }
}

/// Why a certificate could not be renewed.
package struct RenewalError: Error, Sendable, CustomStringConvertible {
    package let reason: String
    package var description: String { reason }
}
