// SPDX-License-Identifier: Apache-2.0

/// How to reach registries: mirrors, certificates and plain HTTP, in the spirit of containerd's `hosts.toml`.
package struct RegistryConfiguration: Sendable, Hashable {
    /// One server that serves a registry's images.
    package struct Endpoint: Sendable, Hashable {
        /// The base address without `/v2`, `https://mirror.example:5000` or `http://10.0.0.5:5000/prefix`.
        package var url: String
        /// A PEM file of certificate authorities to trust instead of the system's.
        package var caFile: String?
        /// Whether the server's certificate is not verified at all.
        package var skipVerify: Bool

        package init(url: String, caFile: String? = nil, skipVerify: Bool = false) {
            self.url = url
            self.caFile = caFile
            self.skipVerify = skipVerify
        }
    }

    /// For a registry as image names spell it (`docker.io`, `registry.local:5000`, or `*` for all others): the servers
    /// to try, in this order. The registry itself is tried last, unless it is among them.
    package var endpoints: [String: [Endpoint]] = [:]
    package var timeouts = Timeouts()

    package init() {}

    /// How long to wait and how often to try.
    package struct Timeouts: Sendable, Hashable {
        /// For a connection, TLS included.
        package var connect: Duration = .seconds(10)
        /// For the head of a response.
        package var response: Duration = .seconds(30)
        /// Between two pieces of a body: a registry that hangs is given up after this.
        package var idle: Duration = .seconds(30)
        /// Attempts at one request, the first included.
        package var attempts = 3
        /// The wait before the second attempt; it doubles for each further one.
        package var firstDelay: Duration = .seconds(1)
        /// The longest wait, also where the registry asks for more by `Retry-After`.
        package var longestDelay: Duration = .seconds(30)

        package init() {}
    }

    /// The servers to try for a registry, the best first.
    func servers(for domain: String) -> [Endpoint] {
        var servers = endpoints[domain] ?? endpoints["*"] ?? []
        let own = Self.ownServer(of: domain)
        // One that is listed with another scheme or with options is the registry itself all the same.
        if !servers.contains(where: { WebAddress($0.url)?.authority == WebAddress(own.url)?.authority }) {
            servers.append(own)
        }
        return servers
    }

    /// The registry's own address. One on this machine is taken to speak plain HTTP, as containerd does.
    static func ownServer(of domain: String) -> Endpoint {
        if domain == ImageReference.defaultDomain { return Endpoint(url: "https://registry-1.docker.io") }
        let isPlain = isLoopback(domain) && !domain.hasSuffix(":443")
        return Endpoint(url: "\(isPlain ? "http" : "https")://\(domain)")
    }

    static func isLoopback(_ domain: String) -> Bool {
        if domain.hasPrefix("[::1]") { return true }
        let host = domain.prefix { $0 != ":" }
        return host == "localhost" || host.hasPrefix("127.")
    }
}

/// What proves to a registry who is asking.
package struct RegistryCredentials: Sendable, Hashable {
    package var username: String
    package var password: String
    /// An OAuth2 refresh token, exchanged for access tokens.
    package var identityToken: String
    /// A bearer token to send as it is.
    package var registryToken: String

    package init(
        username: String = "", password: String = "", identityToken: String = "", registryToken: String = ""
    ) {
        self.username = username
        self.password = password
        self.identityToken = identityToken
        self.registryToken = registryToken
    }

    var isEmpty: Bool { username.isEmpty && password.isEmpty && identityToken.isEmpty && registryToken.isEmpty }
}
