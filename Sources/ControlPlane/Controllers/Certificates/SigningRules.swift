// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
package import LinuxSystem
import PKI

/// A CertificateSigningRequest object as its controllers read it.
struct SigningRequest: Sendable {
    /// The signers of this cluster; requests for others wait for theirs.
    enum Signer: String, Sendable {
        case client = "kubernetes.io/kube-apiserver-client"
        case kubeletClient = "kubernetes.io/kube-apiserver-client-kubelet"
        case kubeletServing = "kubernetes.io/kubelet-serving"
    }

    let signer: Signer
    let request: CertificateSigningRequest
    let usages: Set<String>
    /// How long the certificate is to be valid, nil when the requester does not say.
    let expirationSeconds: Int?
    /// The user who asked.
    let user: UserInfo

    /// Nil for another signer's request and for one that cannot be read, which the API refuses at creation.
    init?(_ object: KubeObject) {
        guard let signer = Signer(rawValue: object.spec["signerName"]?.string ?? ""),
            let pem = Base64.decode(object.spec["request"]?.string ?? ""),
            let request = try? CertificateSigningRequest(pem: pem)
        else { return nil }
        self.signer = signer
        self.request = request
        usages = Set(object.spec["usages"]?.elements.compactMap(\.string) ?? [])
        expirationSeconds = object.spec["expirationSeconds"]?.int
        user = UserInfo(
            name: object.spec["username"]?.string ?? "", uid: object.spec["uid"]?.string ?? "",
            groups: object.spec["groups"]?.elements.compactMap(\.string) ?? [],
            extra: (object.spec["extra"]?.members ?? [:]).reduce(into: [:]) { extra, member in
                extra[member.key] = member.value.elements.compactMap(\.string)
            })
    }

    /// Why this signer must refuse the request, nil when it may sign (upstream: `pkg/apis/certificates/helpers.go` and
    /// `pkg/controller/certificates/signer`).
    var refusal: String? {
        switch signer {
        case .client: usageRefusal(required: "client auth")
        case .kubeletClient: nodeRefusal ?? kubeletClientNamesRefusal ?? usageRefusal(required: "client auth")
        case .kubeletServing: nodeRefusal ?? servingNamesRefusal ?? usageRefusal(required: "server auth")
        }
    }

    private static let nodePrefix = "system:node:"

    /// The node that a kubelet's certificate is for.
    var nodeName: String { String(request.subject.commonName.dropFirst(Self.nodePrefix.count)) }

    /// What a kubelet's certificate says of the node.
    private var nodeRefusal: String? {
        if request.subject.organizations != [UserInfo.WellKnown.nodesGroup] {
            return "subject organization is not system:nodes"
        }
        guard request.subject.commonName.hasPrefix(Self.nodePrefix), !nodeName.isEmpty
        else { return "subject common name does not begin with system:node:" }
        return nil
    }

    private var kubeletClientNamesRefusal: String? {
        let names = request.alternativeNames
        if !names.dnsNames.isEmpty { return "DNS subjectAltNames are not allowed" }
        if !names.ipAddresses.isEmpty { return "IP subjectAltNames are not allowed" }
        return names.uris.isEmpty ? nil : "URI subjectAltNames are not allowed"
    }

    private var servingNamesRefusal: String? {
        let names = request.alternativeNames
        if names.dnsNames.isEmpty && names.ipAddresses.isEmpty { return "DNS or IP subjectAltName is required" }
        return names.uris.isEmpty ? nil : "URI subjectAltNames are not allowed"
    }

    private func usageRefusal(required: String) -> String? {
        // The plain client need not name its handshake signature; kubelets must.
        let demanded: Set<String> = signer == .client ? [required] : [required, "digital signature"]
        let allowed = demanded.union(["digital signature", "key encipherment"])
        guard demanded.isSubset(of: usages), usages.isSubset(of: allowed) else {
            let wanted = demanded.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
            return "usages did not match: they must be \(wanted), and may be \"digital signature\" and "
                + "\"key encipherment\""
        }
        return nil
    }

    /// The certificate that the request is answered with.
    ///
    /// - Parameters:
    ///   - longest: Seconds; a request may ask for less (`spec.expirationSeconds`).
    func profile(now: Int64, longest: Int64) -> CertificateProfile {
        CertificateProfile(
            subject: request.subject, alternativeNames: request.alternativeNames,
            purposes: signer == .kubeletServing ? [.server] : [.client],
            validity: Self.validity(
                now: now, lifetime: min(expirationSeconds.map { max(Int64($0), 600) } ?? longest, longest)))
    }

    /// From when to when a certificate is valid.
    ///
    /// Its beginning lies before now, so that a board whose clock is somewhat behind after a power cut does not take it for one
    /// of the future. Upstream goes five minutes back; this goes an hour for long lives, and less for short ones, since renewal
    /// goes by the age. While the clock is not set nobody can tell when a year is over: such a certificate lasts as long as
    /// the authority, and its owner renews it when the time is known.
    static func validity(now: Int64, lifetime: Int64) -> Validity {
        guard Validity.isClockSet(now) else { return Validity(notBefore: 0, notAfter: .max) }
        return .backdated(now: now, lifetimeSeconds: lifetime, by: min(3600, lifetime / 24))
    }

    /// Why a kubelet's serving certificate cannot be approved without an administrator, nil when it can.
    ///
    /// Upstream leaves serving certificates to administrators. Here they are approved when a node asks for itself and
    /// names nothing but the addresses and names that its Node object reports. A node writes them there itself: so they count
    /// only where they are not somebody else's.
    ///
    /// - Parameter nodes: All Nodes.
    func servingRefusal(nodes: [KubeObject], reserved: ReservedHosts) -> String? {
        guard user.name == request.subject.commonName, user.groups.contains(UserInfo.WellKnown.nodesGroup) else {
            return "the requester is not the node that the certificate names"
        }
        guard let node = nodes.first(where: { $0.name == nodeName }) else {
            return "there is no such node"
        }
        let own = ReportedHosts(node)
        let wanted = request.alternativeNames
        if let foreign = wanted.ipAddresses.first(where: { !own.addresses.contains($0) }) {
            return "the address \(foreign) is not one that the node reports"
        }
        if let foreign = wanted.dnsNames.first(where: { !own.names.contains($0.lowercased()) }) {
            return "the name \(foreign) is not one that the node reports"
        }
        if let taken = wanted.ipAddresses.first(where: reserved.addresses.contains) {
            return "the address \(taken) is the control plane's"
        }
        if let taken = wanted.dnsNames.first(where: { reserved.names.contains($0.lowercased()) }) {
            return "the name \(taken) is the control plane's"
        }
        if let taken = wanted.dnsNames.first(where: NodeName.isOfService) {
            return "the name \(taken) is a Service's"
        }
        for other in nodes where other.name != node.name {
            let theirs = ReportedHosts(other)
            // An address by which a board was last reached that is off may be another's by now (DHCP).
            let isThere = other.condition("Ready")?.isTrue == true
            let address = isThere ? wanted.ipAddresses.first(where: theirs.addresses.contains) : nil
            let taken = address?.description ?? wanted.dnsNames.first { theirs.names.contains($0.lowercased()) }
            if let taken { return "the node \(other.name) has \(taken), too" }
        }
        return nil
    }
}

/// The names and addresses of the API servers: no node gets a certificate for them, whatever it reports.
package struct ReservedHosts: Sendable {
    /// In lower case.
    package var names: Set<String>
    package var addresses: Set<IPAddress>

    package init(names: Set<String>, addresses: Set<IPAddress>) {
        self.names = names
        self.addresses = addresses
    }
}

/// Where a Node says that it is to be found.
private struct ReportedHosts {
    let addresses: Set<IPAddress>
    /// In lower case, and the Node's own.
    let names: Set<String>

    init(_ node: KubeObject) {
        let reported = (node.status["addresses"]?.elements ?? []).compactMap { $0["address"]?.string }
        addresses = Set(reported.compactMap { IPAddress($0) })
        names = Set(reported.map { $0.lowercased() } + [node.name])
    }
}

extension KubeObject {
    /// Whether a signing request was approved and not denied.
    var isApprovedRequest: Bool { condition("Approved") != nil && condition("Denied") == nil }
    /// Whether somebody has decided on a signing request.
    var isDecidedRequest: Bool { condition("Approved") != nil || condition("Denied") != nil }
}
