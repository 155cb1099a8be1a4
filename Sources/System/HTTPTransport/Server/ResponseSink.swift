// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// Where the answer to one request goes: an HTTP/1.1 connection or an HTTP/2 stream.
///
/// It lives on its channel's event loop, and each method does nothing once the answer is over.
protocol ResponseSink: AnyObject {
    /// Sends a whole answer.
    func respond(_ status: HTTPResponseStatus, _ headers: HTTPHeaders, body: ByteBuffer)
    /// Begins a streamed answer.
    func begin(_ status: HTTPResponseStatus, _ headers: HTTPHeaders)
    /// Sends a piece of a streamed answer; false when the peer does not keep up and the writer should wait.
    func write(_ bytes: ByteBuffer) -> Bool
    /// Ends a streamed answer.
    func finish()
    /// Tears the answer off, so that the peer sees that it is incomplete.
    func abort()
    /// Turns the connection into a byte stream after sending the head; nil where that cannot be.
    func upgrade(_ status: HTTPResponseStatus, _ headers: HTTPHeaders) -> ChannelByteStream?
}

extension ResponseSink {
    /// Says to the peer why its request is not worked on.
    func respond(refusing status: HTTPResponseStatus, _ reason: String) {
        var headers: HTTPHeaders = ["Content-Type": "text/plain; charset=utf-8"]
        if status == .serviceUnavailable { headers.add(name: "Retry-After", value: "1") }
        respond(
            status, headers, body: ByteBuffer(string: "\(status.code) \(status.reasonPhrase): \(reason)\n"))
    }
}
