// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Every bound that the server puts on its peers.
///
/// The defaults follow Kubernetes' API server where it has a value (`staging/src/k8s.io/apiserver/pkg/server`).
package struct HTTPServerLimits: Sendable {
    /// The largest request body in bytes; more is answered 413 (upstream: 3 MiB).
    package var bodyBytes = 3 << 20
    /// All request bodies that are on their way or worked on, together, in bytes; more is answered 503. The product of the limits
    /// of connections, streams and bodies would be more than any machine has.
    package var heldBodyBytes = 64 << 20
    /// All header fields of a request together, in bytes; more is answered 431 (Go's default is 1 MiB).
    package var headerBytes = 64 << 10
    /// The number of header fields of a request; more is answered 431.
    package var headerFields = 128
    /// Connections at one time; further ones are closed as soon as they are accepted.
    package var connections = 2_000
    /// Streams at one time on an HTTP/2 connection (upstream: 100).
    package var streamsPerConnection = 100
    /// Requests that wait for the server's tasks to pick them up; more are answered 503.
    package var queuedRequests = 4_096
    /// From the connection until TLS is established.
    package var handshakeTimeout = TimeAmount.seconds(10)
    /// From the establishment of the connection until the first request's header is complete (upstream: 32 s).
    package var headerTimeout = TimeAmount.seconds(32)
    /// From the end of one answer until the next request's header is complete (upstream: 90 s).
    package var idleTimeout = TimeAmount.seconds(90)
    /// From the header until the body is complete; then 408 is answered.
    package var bodyTimeout = TimeAmount.seconds(60)
    /// How long requests in progress may go on after the server was told to stop.
    package var shutdownGrace = TimeAmount.seconds(5)
    /// Bytes that may wait in the server for a peer that does not read before a writer is made to wait.
    package var writeBufferBytes = 64 << 10

    package init() {}
}
