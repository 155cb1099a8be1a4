// SPDX-License-Identifier: Apache-2.0

package import HTTPTransport
package import NIOCore

/// How an ``HTTPSClient`` finds the API and who it is.
package struct HTTPSClientConfiguration: Sendable {
    /// Who the client is, besides the certificate in ``tls``.
    package enum Token: Sendable {
        case none
        case value(String)
        /// A file that is read again from time to time, because the kubelet replaces projected tokens.
        case file(String)
    }

    /// The API's addresses, `https://10.0.0.1:16443`; another is looked for among them when one does not answer.
    package var servers: [String]
    /// Finds further addresses, asked when none of ``servers`` answers. What it says is only believed of a server that
    /// ``tls`` verifies; so nothing is sent to others.
    package var discover: (@Sendable () async -> [String])?
    /// A name that every server's certificate must have beside its host; nil where the host is enough. With a name that only
    /// API servers get nobody else passes for one.
    package var serverName: String?
    package var tls: HTTPClientTLS
    package var token: Token
    package var userAgent: String
    package var limits = Limits()

    /// The client's bounds.
    package struct Limits: Sendable {
        package var connectTimeout = TimeAmount.seconds(5)
        /// A connection is given up when what was sent over it is not acknowledged for so long (TCP_USER_TIMEOUT, tcp(7)):
        /// a server that has moved to another address says nothing.
        package var acknowledgementTimeout = TimeAmount.seconds(6)
        /// How long a server that is looked for has to answer.
        package var probeTimeout = TimeAmount.seconds(4)
        /// Servers that ``HTTPSClientConfiguration/discover`` names are tried up to so many at a time.
        package var discoveredServers = 16
        /// From the request to the end of the answer's head.
        package var requestTimeout = TimeAmount.seconds(35)
        /// An answer or watch that is silent for so long is given up; bookmarks come every minute.
        package var silenceTimeout = TimeAmount.seconds(180)
        /// The largest answer but for watches.
        package var responseBytes = 256 << 20
        /// The largest event of a watch: an object and its frame.
        package var eventBytes = 8 << 20
        /// How often a request that the server put off (429, 503 with Retry-After) is tried in all.
        package var attempts = 5
        /// The longest pause before such a retry.
        package var retryPause = Duration.seconds(10)
        /// How long a token file's content is used before it is read again.
        package var tokenLifetime = Duration.seconds(60)

        package init() {}
    }

    package init(servers: [String], tls: HTTPClientTLS, token: Token = .none, userAgent: String = "swiftlet") {
        self.servers = servers
        self.tls = tls
        self.token = token
        self.userAgent = userAgent
    }
}
