// SPDX-License-Identifier: Apache-2.0

package import KubeAPI

extension UserInfo {
    /// The agent's own loopback identity, which may do everything.
    package static let loopback = UserInfo(
        name: WellKnown.apiServer, groups: [WellKnown.mastersGroup, WellKnown.authenticatedGroup])

    /// The keys of ``extra`` that authentication fills (upstream: `apiserver/pkg/authentication/serviceaccount`).
    enum ExtraKey {
        static let credentialID = "authentication.kubernetes.io/credential-id"
        static let podName = "authentication.kubernetes.io/pod-name"
        static let podUID = "authentication.kubernetes.io/pod-uid"
        static let nodeName = "authentication.kubernetes.io/node-name"
        static let nodeUID = "authentication.kubernetes.io/node-uid"
    }

    /// The node that these are the credentials of, nil for everyone else.
    package var nodeName: String? {
        guard name.hasPrefix("system:node:"), groups.contains(WellKnown.nodesGroup) else { return nil }
        return String(name.dropFirst("system:node:".count))
    }
}
