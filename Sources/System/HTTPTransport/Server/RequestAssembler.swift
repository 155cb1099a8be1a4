// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// Gathers the parts of a request and refuses what is malformed or too large; it does no I/O.
struct RequestAssembler {
    /// What to do next.
    enum Action {
        /// Wait for the next part.
        case wait
        /// Tell the client to send the body (RFC 9110, section 10.1.1), then wait.
        case sendContinue
        case dispatch(HTTPRequest, HTTPRequestHead)
        /// Answer with this status; the rest of the request is not read.
        case refuse(HTTPResponseStatus, String)
    }

    private enum State {
        case idle
        case receiving(HTTPRequestHead, ByteBuffer, BodyBudget.Share?)
        case refused
    }

    private let peer: HTTPPeer
    private let maximumBodyBytes: Int
    private let budget: BodyBudget
    private var state = State.idle

    init(peer: HTTPPeer, core: ServerCore) {
        self.peer = peer
        maximumBodyBytes = core.limits.bodyBytes
        budget = core.bodies
    }

    /// Whether a request has begun and is not complete.
    var isReceiving: Bool {
        if case .receiving = state { true } else { false }
    }

    mutating func receive(_ part: HTTPServerRequestPart) -> Action {
        switch part {
        case .head(let head): return receive(head)
        case .body(let bytes): return receive(bytes)
        case .end:
            guard case .receiving(let head, let body, let share) = state else { return .wait }
            state = .idle
            var request = HTTPRequest(
                method: head.method, uri: head.uri, headers: head.headers, body: body, peer: peer)
            request.bodyShare = share
            return .dispatch(request, head)
        }
    }

    private mutating func receive(_ head: HTTPRequestHead) -> Action {
        guard case .idle = state else { return refuse(.badRequest, "a request began inside another") }
        if head.version == .http1_1, head.headers["host"].count != 1 {
            return refuse(.badRequest, "a request has exactly one Host header")
        }
        guard head.uri.utf8.first == UInt8(ascii: "/") || head.uri == "*" || head.uri.hasPrefix("http") else {
            return refuse(.badRequest, "malformed request target")
        }
        if let length = head.headers.first(name: "content-length").flatMap(Int.init), length > maximumBodyBytes {
            return refuse(.payloadTooLarge, "the body is larger than \(maximumBodyBytes) bytes")
        }
        state = .receiving(head, ByteBuffer(), nil)
        if head.version == .http1_1, let expectation = head.headers.first(name: "expect") {
            guard expectation.lowercased() == "100-continue" else {
                return refuse(.expectationFailed, "unknown expectation")
            }
            return .sendContinue
        }
        return .wait
    }

    private mutating func receive(_ bytes: ByteBuffer) -> Action {
        guard case .receiving(let head, var body, let share) = state else { return .wait }
        guard body.readableBytes + bytes.readableBytes <= maximumBodyBytes else {
            return refuse(.payloadTooLarge, "the body is larger than \(maximumBodyBytes) bytes")
        }
        let grown = share ?? BodyBudget.Share(of: budget)
        guard grown.grow(by: bytes.readableBytes) else {
            return refuse(.serviceUnavailable, "too many bodies are on their way; try again")
        }
        state = .idle  // gives up the second reference, so that appending does not copy
        if body.readableBytes == 0 {
            body = bytes
        } else {
            body.writeImmutableBuffer(bytes)
        }
        state = .receiving(head, body, grown)
        return .wait
    }

    private mutating func refuse(_ status: HTTPResponseStatus, _ reason: String) -> Action {
        state = .refused
        return .refuse(status, reason)
    }
}
