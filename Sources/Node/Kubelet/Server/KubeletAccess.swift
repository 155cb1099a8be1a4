// SPDX-License-Identifier: Apache-2.0

package import HTTPTransport
import PKI

/// Who may use the kubelet's API: the API server, and administrators, by their client certificates.
package struct KubeletAccess: Sendable {
    /// A client as its certificate names it.
    package struct User: Hashable, Sendable {
        package var name: String
        package var groups: [String]
    }

    /// Users that may do everything.
    package var users: Set<String> = ["kube-apiserver-kubelet-client", "system:kube-apiserver"]
    /// Groups whose members may do everything.
    package var groups: Set<String> = ["system:masters"]

    package init() {}

    /// The user at the other end; nil without a certificate of the cluster's authority.
    package func user(of peer: HTTPPeer) -> User? {
        // A certificate that cannot be read names nobody.
        guard peer.certificateError == nil, let der = peer.certificate,
            let certificate = try? Certificate(der: der)
        else { return nil }
        return User(name: certificate.subject.commonName, groups: certificate.subject.organizations)
    }

    package func allows(_ user: User) -> Bool {
        users.contains(user.name) || user.groups.contains { groups.contains($0) }
    }
}
