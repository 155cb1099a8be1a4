// SPDX-License-Identifier: Apache-2.0

package import NIOCore
package import NIOHTTP1

/// A request as a handler sees it; HTTP/1.1 and HTTP/2 look the same.
package struct HTTPRequest: Sendable {
    package var method: HTTPMethod
    /// The path and query as sent, still percent-encoded.
    package var uri: String
    package var headers: HTTPHeaders
    /// The whole body, read before the handler is called (up to ``HTTPServerLimits/bodyBytes``); empty for upgrades.
    package var body: ByteBuffer
    /// Who is at the other end of the connection.
    package var peer: HTTPPeer
    /// Keeps the body in the server's account while anybody has the request.
    var bodyShare: BodyBudget.Share?

    package init(method: HTTPMethod, uri: String, headers: HTTPHeaders, body: ByteBuffer, peer: HTTPPeer) {
        self.method = method
        self.uri = uri
        self.headers = headers
        self.body = body
        self.peer = peer
    }
}

/// The other end of a connection; one object for all its requests, so that work per connection is done once.
package final class HTTPPeer: Sendable {
    package let address: SocketAddress?
    /// The client certificate in DER, verified against the configured authorities; nil without one.
    package let certificate: [UInt8]?
    /// Why the certificate that the client did show was not accepted; it may still authenticate by other means.
    package let certificateError: String?

    package init(address: SocketAddress?, certificate: [UInt8]?, certificateError: String? = nil) {
        self.address = address
        self.certificate = certificate
        self.certificateError = certificateError
    }
}

/// A handler's answer.
package struct HTTPResponse: Sendable {
    package var status: HTTPResponseStatus
    package var headers: HTTPHeaders
    package var body: Body

    package enum Body: Sendable {
        /// A whole body; the transport adds Content-Length.
        case bytes(ByteBuffer)
        /// A body written piece by piece; it ends when the closure returns and is torn off when it throws.
        case stream(@Sendable (any HTTPBodyWriter) async throws -> Void)
        /// `101 Switching Protocols` (HTTP/1.1 only): the connection becomes a byte stream.
        case upgrade(@Sendable (any DuplexByteStream) async throws -> Void)
    }

    package init(status: HTTPResponseStatus, headers: HTTPHeaders = [:], body: Body) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// Writes a streamed body.
package protocol HTTPBodyWriter: Sendable {
    /// Writes and flushes; waits while the peer does not read. Throws when the connection is gone.
    func write(_ bytes: ByteBuffer) async throws
    /// Waits a few milliseconds, so that what comes meanwhile can be written at once.
    ///
    /// For bodies of many small pieces: each write costs a TLS record, a system call and a packet.
    func rest() async
}

/// A connection that has left HTTP behind (exec, attach, port-forward).
package protocol DuplexByteStream: Sendable {
    /// The next bytes that the peer sent, nil at its end of the stream; one reader at a time.
    func read() async throws -> ByteBuffer?
    /// Writes and flushes; waits while the peer does not read.
    func write(_ bytes: ByteBuffer) async throws
    /// Ends our direction (or the whole connection where TLS cannot close half).
    func close() async
}

/// Answers requests.
package protocol HTTPHandler: Sendable {
    /// Answers a request that needs no waiting, on the connection's event loop; nil sends it to ``handle(_:)``.
    func handleImmediately(_ request: HTTPRequest) -> HTTPResponse?

    /// Answers a request. It is cancelled when the peer goes away.
    func handle(_ request: HTTPRequest) async -> HTTPResponse
}
