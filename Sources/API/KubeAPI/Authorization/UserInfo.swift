// SPDX-License-Identifier: Apache-2.0

package import JSON

/// Who makes a request, as authentication found out (authentication.k8s.io/v1 UserInfo).
package struct UserInfo: Hashable, Sendable {
    package var name: String
    package var uid: String
    package var groups: [String]
    package var extra: [String: [String]]

    package init(name: String, uid: String = "", groups: [String] = [], extra: [String: [String]] = [:]) {
        self.name = name
        self.uid = uid
        self.groups = groups
        self.extra = extra
    }

    /// Groups and names to which Kubernetes gives a meaning.
    package enum WellKnown {
        package static let mastersGroup = "system:masters"
        package static let authenticatedGroup = "system:authenticated"
        package static let unauthenticatedGroup = "system:unauthenticated"
        package static let nodesGroup = "system:nodes"
        package static let bootstrappersGroup = "system:bootstrappers"
        package static let serviceAccountsGroup = "system:serviceaccounts"
        package static let anonymous = "system:anonymous"
        package static let apiServer = "system:apiserver"
        package static let controllerManager = "system:kube-controller-manager"
        package static let scheduler = "system:kube-scheduler"
    }

    /// The identity of requests without credentials.
    package static let anonymous = UserInfo(
        name: WellKnown.anonymous, groups: [WellKnown.unauthenticatedGroup])

    /// The identity of a service account; `extra` holds what its token tells of the pod and node.
    package static func serviceAccount(
        namespace: String, name: String, uid: String = "", extra: [String: [String]] = [:]
    ) -> UserInfo {
        UserInfo(
            name: "system:serviceaccount:\(namespace):\(name)", uid: uid,
            groups: [
                WellKnown.serviceAccountsGroup, "\(WellKnown.serviceAccountsGroup):\(namespace)",
                WellKnown.authenticatedGroup,
            ], extra: extra)
    }

    /// Whether the user may do everything, whatever RBAC says.
    package var isMaster: Bool { groups.contains(WellKnown.mastersGroup) }

    /// The object that reviews carry.
    package var json: JSON {
        var result: JSON = ["username": .string(name)]
        if !uid.isEmpty { result["uid"] = .string(uid) }
        if !groups.isEmpty { result["groups"] = JSON(groups) }
        if !extra.isEmpty {
            result["extra"] = .object(
                JSONObject(extra.sorted { $0.key < $1.key }.map { (key: $0.key, value: JSON($0.value)) }))
        }
        return result
    }
}

/// What a request wants to do: what authorization decides on.
package struct AccessAttributes: Hashable, Sendable {
    /// On what the request acts.
    package enum Target: Hashable, Sendable {
        /// An API resource. The namespace is empty at the cluster scope, the name where the request names none.
        case resource(group: String, resource: String, subresource: String, namespace: String, name: String)
        /// Another path of the server, `/healthz`.
        case path(String)
    }

    package var user: UserInfo
    /// `get`, `list`, `watch`, `create`, ...; for paths the HTTP method in lower case.
    package var verb: String
    package var target: Target
    /// The values that a list, watch or collection's deletion requires of fields (`spec.nodeName`), where known.
    package var requiredFields: [String: String] = [:]

    package init(
        user: UserInfo, verb: String, group: String, resource: String, subresource: String = "",
        namespace: String = "", name: String = ""
    ) {
        self.user = user
        self.verb = verb
        target = .resource(
            group: group, resource: resource, subresource: subresource, namespace: namespace, name: name)
    }

    package init(user: UserInfo, verb: String, path: String) {
        self.user = user
        self.verb = verb
        target = .path(path)
    }

    /// 403 with the message of upstream's handler chain; `reason` is the authorizer's, mostly empty.
    package func forbidden(reason: String = "") -> StatusError {
        let suffix = reason.isEmpty ? "" : ": \(reason)"
        let user = goQuoted(user.name)
        switch target {
        case .path(let path):
            return StatusError(
                code: 403, reason: StatusError.Reason.forbidden,
                message: "forbidden: User \(user) cannot \(verb) path \(goQuoted(path))\(suffix)", details: .init())
        case .resource(let group, let resource, let subresource, let namespace, let name):
            let full = subresource.isEmpty ? resource : "\(resource)/\(subresource)"
            let scope = namespace.isEmpty ? "at the cluster scope" : "in the namespace \(goQuoted(namespace))"
            return .forbidden(
                .init(group, "", resource), name,
                "User \(user) cannot \(verb) resource \(goQuoted(full)) in API group \(goQuoted(group)) "
                    + "\(scope)\(suffix)")
        }
    }
}
