// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import KubeAPI
import NIOHTTP1

/// Lets users act as others who may `impersonate` them (upstream: `endpoints/filters/impersonation.go`).
struct Impersonation: Sendable {
    let authorizer: Authorizer

    private static let prefix = "Impersonate-"
    private static let extraPrefix = "impersonate-extra-"

    /// The user that a request acts as: the one who makes it, unless its headers name another one.
    func user(_ request: HTTPRequest, actual: UserInfo) throws(StatusError) -> UserInfo {
        guard let name = request.headers.first(name: Self.prefix + "User") else {
            let hasOthers = request.headers.contains {
                $0.name.lowercased().hasPrefix(Self.prefix.lowercased())
            }
            guard !hasOthers else {
                throw .internalError("invalid impersonation: requested impersonating attributes without a user")
            }
            return actual
        }
        let groups = request.headers[Self.prefix + "Group"]
        var target = try userOrAccount(name, groups, actual)
        for group in groups { try check(actual, "groups", name: group) }
        if let uid = request.headers.first(name: Self.prefix + "Uid") {
            try check(actual, "uids", group: "authentication.k8s.io", name: uid)
            target.uid = uid
        }
        for header in request.headers where header.name.lowercased().hasPrefix(Self.extraPrefix) {
            let key = PercentEncoding.decode(header.name.lowercased().dropFirst(Self.extraPrefix.count))
            try check(actual, "userextras", subresource: key, group: "authentication.k8s.io", name: header.value)
            target.extra[key, default: []].append(header.value)
        }
        let group =
            name == UserInfo.WellKnown.anonymous
            ? UserInfo.WellKnown.unauthenticatedGroup : UserInfo.WellKnown.authenticatedGroup
        if !target.groups.contains(group) { target.groups.append(group) }
        return target
    }

    private func userOrAccount(
        _ name: String, _ groups: [String], _ actual: UserInfo
    ) throws(StatusError) -> UserInfo {
        let parts = name.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4, parts[0] == "system", parts[1] == "serviceaccount" else {
            try check(actual, "users", name: name)
            return UserInfo(name: name, groups: groups)
        }
        try check(actual, "serviceaccounts", namespace: parts[2], name: parts[3])
        var user = UserInfo.serviceAccount(namespace: parts[2], name: parts[3])
        if !groups.isEmpty { user.groups = groups }
        return user
    }

    private func check(
        _ actual: UserInfo, _ resource: String, subresource: String = "", group: String = "", namespace: String = "",
        name: String
    ) throws(StatusError) {
        try authorizer.authorize(
            AccessAttributes(
                user: actual, verb: "impersonate", group: group, resource: resource, subresource: subresource,
                namespace: namespace, name: name))
    }
}
