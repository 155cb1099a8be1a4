// SPDX-License-Identifier: Apache-2.0

package import HTTPTransport
package import KubeAPI
package import PKI

/// What an API server is told. Addresses, keys and limits come from the caller; nothing is read from files here.
package struct APIServerConfiguration: Sendable {
    /// Where the server listens.
    package struct Listener: Sendable, Hashable {
        package var host: String
        /// 0 takes a free port.
        package var port: Int

        package init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }

    package var listeners: [Listener] = []
    /// The server's certificate and the authorities of its clients; nil serves plain HTTP, for tests only.
    package var tls: HTTPServerTLS?
    /// Where others reach this server.
    package var advertised: Advertisement
    /// Signs service-account tokens; its public half verifies them.
    package var serviceAccountKey: PrivateKey
    /// Keys that signed tokens which may still be about.
    package var olderServiceAccountKeys: [PublicKey] = []
    /// The `iss` of service-account tokens and their standard audience.
    package var issuer = "https://kubernetes.default.svc.cluster.local"
    /// Bearer tokens that are known beforehand (an administrator's), with whose they are.
    package var staticTokens: [String: UserInfo] = [:]
    package var registry = RegistrySettings()
    package var httpLimits = HTTPServerLimits()
    /// Requests that may be worked on at one time (upstream: 400 and 200).
    package var maximumReading = 400
    package var maximumMutating = 200
    package var requestTimeout = Duration.seconds(60)
    package var version = ServerVersion()
    /// How kubelets are reached for logs, exec and the like: the authorities that they are verified against and the
    /// certificate that they are shown.
    package var kubeletTLS: HTTPClientTLS?

    package init(advertised: Advertisement, serviceAccountKey: PrivateKey) {
        self.advertised = advertised
        self.serviceAccountKey = serviceAccountKey
    }

    /// Where an API server is to be reached.
    package struct Advertisement: Sendable, Hashable {
        /// The annotation of the EndpointSlice `kubernetes` that has ``servers``, separated by spaces.
        package static let serversAnnotation = "swiftlet.io/api-servers"

        /// The endpoint of the service `kubernetes`.
        package var endpoint: Listener
        /// URLs of every address and name of the server, the best first, for clients outside of pods.
        package var servers: [String]

        package init(endpoint: Listener, servers: [String] = []) {
            self.endpoint = endpoint
            self.servers = servers
        }
    }
}
