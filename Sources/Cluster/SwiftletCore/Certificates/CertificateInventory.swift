// SPDX-License-Identifier: Apache-2.0

package import ClusterFormation
package import JSON
import Kubelet
import LinuxSystem
package import PKI

/// The certificates of this machine's part in its cluster, and how each of them stands.
package struct CertificateInventory: Sendable {
    package enum Kind: String, Hashable, Sendable {
        case authority, serving, client
    }

    /// How a certificate stands.
    package enum State: String, Hashable, Sendable {
        case valid
        /// Valid, and old enough to be renewed.
        case due
        case expired
        case notYetValid = "not yet valid"
        /// No trusted authority issued it.
        case untrusted
        case missing
        case unreadable
        /// Nothing is known of its age before the machine's clock is set.
        case clockNotSet = "clock not set"

        /// Whether connections fail that need it.
        package var isBad: Bool {
            switch self {
            case .valid, .due, .clockNotSet: false
            case .expired, .notYetValid, .untrusted, .missing, .unreadable: true
            }
        }
    }

    /// A certificate.
    package struct Entry: Sendable {
        package var name: String
        package var kind: Kind
        package var file: String
        /// Nil where it is missing or cannot be read.
        package var certificate: Certificate?
        package var state: State
        /// Why it is bad; otherwise empty.
        package var reason = ""
        /// When renewal begins, in seconds since 1970; nil where the agent does not renew it.
        package var renewal: Int64?
        /// Who renews it.
        package var renewedBy: String
        /// Whether the running agent uses this very certificate; nil where none runs, or it does not use it by itself.
        package var isInUse: Bool?

        /// The names and addresses that it vouches for.
        package var names: [String] {
            guard let names = certificate?.alternativeNames else { return [] }
            return names.dnsNames + names.ipAddresses.map(\.description) + names.uris
        }
    }

    /// `control-plane` or `worker`.
    package var role: String
    /// How far the replacement of the authority is; nil on a worker.
    package var phase: AuthoritySet.Phase?
    /// Authorities first.
    package var entries: [Entry]
    /// The machine's time, in seconds since 1970.
    package var now: Int64

    /// Whether every certificate does what it is for.
    package var isHealthy: Bool { !entries.contains { $0.state.isBad } }

    /// Reads the certificates of this machine.
    ///
    /// - Parameter now: seconds since 1970.
    /// - Throws: ``JoinError`` where there are none, `SystemError` where they may not be read.
    package static func read(
        _ configuration: Configuration, now: Int64 = FileTime.now().seconds
    ) throws -> CertificateInventory {
        do {
            return try InventoryReader(configuration, now: now).read()
        } catch let error as SystemError where error.errno == Errno.EACCES {
            throw JoinError(operation, reason: "\(error)", remedy: "run it with sudo")
        }
    }

    fileprivate static let operation = "show certificates"

    /// How a certificate stands by its age.
    ///
    /// - Parameter renewal: from when on it is due.
    package static func state(_ validity: Validity, renewal: Int64?, now: Int64) -> State {
        if !Validity.isClockSet(now) { return .clockNotSet }
        if now > validity.notAfter { return .expired }
        if now < validity.notBefore { return .notYetValid }
        if let renewal, now >= renewal { return .due }
        return .valid
    }

    package var json: JSON {
        var result: JSON = [
            "role": .string(role), "time": .string(FileTime(seconds: now).rfc3339),
            "clockSet": .bool(Validity.isClockSet(now)), "healthy": .bool(isHealthy),
            "certificates": .array(entries.map(json)),
        ]
        if let phase { result["authorityRotation"] = .string(phase.rawValue) }
        return result
    }

    /// ``json`` in YAML.
    package func yaml() throws -> String { try YAMLDocument.text(json) }

    private func json(_ entry: Entry) -> JSON {
        var result: JSON = [
            "name": .string(entry.name), "kind": .string(entry.kind.rawValue), "state": .string(entry.state.rawValue),
            "file": .string(entry.file), "renewedBy": .string(entry.renewedBy),
        ]
        if !entry.reason.isEmpty { result["reason"] = .string(entry.reason) }
        if let isInUse = entry.isInUse { result["inUse"] = .bool(isInUse) }
        if let renewal = entry.renewal { result["renewedFrom"] = .string(FileTime(seconds: renewal).rfc3339) }
        guard let certificate = entry.certificate else { return result }
        result["subject"] = .string(certificate.subject.description)
        result["issuer"] = .string(certificate.issuer.description)
        result["names"] = JSON(entry.names)
        result["notBefore"] = .string(FileTime(seconds: certificate.validity.notBefore).rfc3339)
        result["notAfter"] = .string(FileTime(seconds: certificate.validity.notAfter).rfc3339)
        // Without a clock nobody knows.
        result["remainingSeconds"] = Validity.isClockSet(now) ? JSON(Int(certificate.validity.notAfter - now)) : .null
        result["sha256"] = .string(hexadecimal(certificate.fingerprint))
        return result
    }
}

/// Reads what ``CertificateInventory`` tells.
private struct InventoryReader {
    private static let rotation = "swiftlet certificates rotate-ca"

    private let configuration: Configuration
    private let now: Int64
    private let inUse: CertificatesInUse?

    init(_ configuration: Configuration, now: Int64) {
        self.configuration = configuration
        self.now = now
        // Without an agent, or for who may not look, nothing is in use.
        inUse = try? CertificatesInUse.read(runDirectory: configuration.directories.run)
    }

    func read() throws -> CertificateInventory {
        if try Files.status("\(configuration.directories.state)/membership") != nil { return try worker() }
        guard try Files.status(configuration.keyDirectory) != nil else {
            throw JoinError(
                CertificateInventory.operation, reason: "this machine has none yet",
                remedy: "start the agent ('systemctl start swiftlet'), which makes them")
        }
        return try controlPlane()
    }

    // MARK: A control plane

    private func controlPlane() throws -> CertificateInventory {
        let directory = configuration.keyDirectory
        let names = Set(try Files.names(in: directory))
        var trusted: [Certificate] = []
        var entries: [CertificateInventory.Entry] = []
        for name in [AuthorityFile.signing, AuthorityFile.next, AuthorityFile.previous]
        where name == AuthorityFile.signing || names.contains("\(name).crt") {
            let entry = authority(name, "\(directory)/\(name).crt", renewedBy: Self.rotation) {
                try Certificate(pem: Files.read($0))
            }
            trusted += [entry.certificate].compactMap { $0 }
            entries.append(entry)
        }
        let schedule = configuration.certificateSchedule
        for name in ClusterIdentity.certificateNames {
            let kind: CertificateInventory.Kind = ["apiserver", "kubelet"].contains(name) ? .serving : .client
            var entry = leaf(name, kind, "\(directory)/\(name).crt", trusted) { try Certificate(pem: Files.read($0)) }
            entry.judge(now, renewal: entry.certificate.map { $0.validity.notAfter - schedule.renewalSeconds })
            entry.isInUse = isInUse(entry)
            entries.append(entry)
        }
        entries.append(kubeconfig(trusted, schedule))
        let phase = AuthoritySet.Phase(
            hasNext: names.contains("\(AuthorityFile.next).crt"),
            hasPrevious: names.contains("\(AuthorityFile.previous).crt"))
        return CertificateInventory(role: "control-plane", phase: phase, entries: entries, now: now)
    }

    /// The certificate in the administrator's kubeconfig, which the agent writes.
    private func kubeconfig(
        _ trusted: [Certificate], _ schedule: CertificateSchedule
    ) -> CertificateInventory.Entry {
        var entry = leaf("admin.kubeconfig", .client, configuration.kubeconfigPath, trusted) { path in
            let document = try YAMLDocument.parse(try Files.readText(path))
            let data = document["users"]?[0]?["user"]?["client-certificate-data"]?.string ?? ""
            guard let pem = Base64.decode(data) else {
                throw ConfigurationError(file: path, reason: "client-certificate-data is not Base64")
            }
            return try Certificate(pem: pem)
        }
        entry.judge(now, renewal: entry.certificate.map { $0.validity.notAfter - schedule.renewalSeconds })
        return entry
    }

    // MARK: A worker

    private func worker() throws -> CertificateInventory {
        let directory = "\(configuration.directories.state)/membership"
        _ = try Files.names(in: directory)
        let path = "\(directory)/ca.crt"
        var trusted: [Certificate] = []
        var entries: [CertificateInventory.Entry] = []
        do {
            trusted = try AuthorityBundle(pem: try Files.read(path)).certificates
            for (index, certificate) in trusted.enumerated() {
                entries.append(
                    authority(index == 0 ? "ca" : "ca-\(index + 1)", path, renewedBy: "the control plane") { _ in
                        certificate
                    })
            }
        } catch {
            entries.append(authority("ca", path, renewedBy: "the control plane") { _ in throw error })
        }
        for kind in CertificateRenewal.Kind.allCases {
            var entry = leaf(
                kind.fileName, kind == .client ? .client : .serving, "\(directory)/\(kind.fileName).pem", trusted
            ) { try Certificate(pem: Files.read($0)) }
            // The first moment at which a node may renew.
            entry.judge(now, renewal: entry.certificate.map { RenewalMachine(random: 0).due($0.validity) })
            entry.isInUse = isInUse(entry)
            entries.append(entry)
        }
        return CertificateInventory(role: "worker", entries: entries, now: now)
    }

    // MARK: Entries

    private func isInUse(_ entry: CertificateInventory.Entry) -> Bool? {
        guard let inUse, let certificate = entry.certificate else { return nil }
        return inUse.certificates[entry.name] == hexadecimal(certificate.fingerprint)
    }

    private func authority(
        _ name: String, _ file: String, renewedBy: String, _ read: (String) throws -> Certificate
    ) -> CertificateInventory.Entry {
        var entry = entry(name, .authority, file, renewedBy, read)
        entry.judge(now, renewal: nil)
        if let inUse, let certificate = entry.certificate {
            entry.isInUse = inUse.authorities.contains(hexadecimal(certificate.fingerprint))
        }
        return entry
    }

    private func leaf(
        _ name: String, _ kind: CertificateInventory.Kind, _ file: String, _ trusted: [Certificate],
        _ read: (String) throws -> Certificate
    ) -> CertificateInventory.Entry {
        var entry = entry(name, kind, file, "agent", read)
        guard let certificate = entry.certificate else { return entry }
        do {
            // Its age is judged apart. At its very end OpenSSL takes it for expired.
            let validity = certificate.validity
            try CertificateVerifier(trusting: trusted).verify(
                certificate, purpose: kind == .serving ? .server : .client,
                at: min(max(now, validity.notBefore), validity.notAfter - 1))
        } catch {
            (entry.state, entry.reason) = (.untrusted, error.reason)
        }
        return entry
    }

    private func entry(
        _ name: String, _ kind: CertificateInventory.Kind, _ file: String, _ renewedBy: String,
        _ read: (String) throws -> Certificate
    ) -> CertificateInventory.Entry {
        var entry = CertificateInventory.Entry(
            name: name, kind: kind, file: file, state: .valid, renewedBy: renewedBy)
        do {
            entry.certificate = try read(file)
        } catch let error as SystemError where error.errno == Errno.ENOENT {
            (entry.state, entry.reason) = (.missing, "there is no such file")
        } catch {
            (entry.state, entry.reason) = (.unreadable, "\(error)")
        }
        return entry
    }
}

extension CertificateInventory.Entry {
    /// Adds the verdict on the age of a certificate that is in order otherwise.
    fileprivate mutating func judge(_ now: Int64, renewal: Int64?) {
        self.renewal = renewal
        guard let certificate, state == .valid else { return }
        state = CertificateInventory.state(certificate.validity, renewal: renewal, now: now)
    }
}
