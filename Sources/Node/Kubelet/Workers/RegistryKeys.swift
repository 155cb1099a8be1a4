// SPDX-License-Identifier: Apache-2.0

import ContainerImages
import JSON
import KubeAPI
import PKI

/// Credentials for pulling images, from secrets of type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg
/// (upstream: pkg/credentialprovider).
struct RegistryKeys {
    private var entries: [(pattern: String, credentials: RegistryCredentials)] = []

    init(secrets: [KubeObject]) {
        for secret in secrets {
            let data = secret.json["data"]
            var registries: JSON?
            if let text = data?[".dockerconfigjson"]?.string {
                // A malformed secret is no key; the pull will fail for lack of one and say so.
                registries = Base64.decode(text).flatMap { try? JSON.parse($0) }?["auths"]
            } else if let text = data?[".dockercfg"]?.string {
                // As above.
                registries = Base64.decode(text).flatMap { try? JSON.parse($0) }
            }
            for (registry, entry) in registries?.members ?? [:] {
                entries.append((Self.normalized(registry), Self.credentials(entry)))
            }
        }
        // The most particular pattern first.
        entries.sort { $0.pattern > $1.pattern }
    }

    /// All credentials that may serve for an image's repository, `docker.io/library/busybox`, the best first.
    func credentials(for repository: String) -> [RegistryCredentials] {
        entries.filter { Self.matches($0.pattern, repository) }.map(\.credentials)
    }

    private static func credentials(_ entry: JSON) -> RegistryCredentials {
        var username = entry["username"]?.string ?? ""
        var password = entry["password"]?.string ?? ""
        if let auth = entry["auth"]?.string, let bytes = Base64.decode(auth) {
            let text = String(decoding: bytes, as: UTF8.self)
            if let colon = text.firstIndex(of: ":") {
                username = String(text[..<colon])
                password = String(text[text.index(after: colon)...])
            }
        }
        return RegistryCredentials(
            username: username, password: password, identityToken: entry["identitytoken"]?.string ?? "",
            registryToken: entry["registrytoken"]?.string ?? "")
    }

    /// Host and path without scheme and API version; Docker Hub's old names are one.
    private static func normalized(_ registry: String) -> String {
        var text = registry[...]
        for scheme in ["https://", "http://"] where text.hasPrefix(scheme) { text = text.dropFirst(scheme.count) }
        for suffix in ["/", "/v1", "/v2"] where text.hasSuffix(suffix) { text = text.dropLast(suffix.count) }
        if ["index.docker.io", "registry-1.docker.io", "docker.io"].contains(String(text)) { return "docker.io" }
        return String(text)
    }

    private static func matches(_ pattern: String, _ repository: String) -> Bool {
        let wanted = pattern.split(separator: "/", maxSplits: 1)
        let given = repository.split(separator: "/", maxSplits: 1)
        guard let wantedHost = wanted.first, let host = given.first, hostMatches(wantedHost, host) else { return false }
        guard wanted.count == 2 else { return true }
        return given.count == 2 && (given[1] == wanted[1] || given[1].hasPrefix("\(wanted[1])/"))
    }

    /// `*.example.com` stands for one label each.
    private static func hostMatches(_ pattern: Substring, _ host: Substring) -> Bool {
        let wanted = pattern.split(separator: ".")
        let given = host.split(separator: ".")
        return wanted.count == given.count && zip(wanted, given).allSatisfy { $0 == "*" || $0 == $1 }
    }
}
