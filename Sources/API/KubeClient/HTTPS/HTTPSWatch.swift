// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import JSON
import KubeAPI
import NIOCore

/// A watch over HTTPS: JSON objects, one a line. Letting go of it closes the request.
///
/// It has a single consumer (see ``WatchStream``), which is what makes the unguarded state safe.
final class HTTPSWatch: WatchSource, @unchecked Sendable {
    private let transport: HTTPSTransport
    private let request: HTTPSTransport.Request
    private var body: HTTPClientResponse.Body.AsyncIterator
    private var framer: LineFramer
    private var events: [WatchEvent] = []
    /// What comes after the events that are there.
    private var failure: (any Error)?

    init(transport: HTTPSTransport, request: HTTPSTransport.Request, response: HTTPClientResponse) {
        self.transport = transport
        self.request = request
        body = response.body.makeAsyncIterator()
        framer = LineFramer(limit: transport.limits.eventBytes)
    }

    func next() async throws -> WatchEvent? {
        while events.isEmpty {
            if let failure { throw failure }
            guard let bytes = try await receive() else { return nil }
            decode(bytes)
        }
        return events.removeFirst()
    }

    private func receive() async throws -> ByteBuffer? {
        do {
            return try await body.next()
        } catch {
            throw try transport.failure(request, error)
        }
    }

    private func decode(_ bytes: ByteBuffer) {
        do {
            for line in try framer.receive(bytes.readableBytesView) { events.append(try Self.event(line)) }
        } catch let error as StatusError {
            failure = error
        } catch {
            failure = ClientError(request: "WATCH \(request.url)", reason: "\(error)")
        }
    }

    /// Reads one event (meta/v1 WatchEvent).
    private static func event(_ line: [UInt8]) throws -> WatchEvent {
        let json = try JSON.parse(line)
        let object = KubeObject(json["object"] ?? .null)
        switch json["type"]?.string {
        case "ADDED": return .added(object)
        case "MODIFIED": return .modified(object)
        case "DELETED": return .deleted(object)
        case "BOOKMARK": return .bookmark(object)
        case "ERROR":
            throw StatusError(object.json) ?? StatusError.internalError("the watch ended with an unknown error")
        default:
            throw StatusError.internalError("unknown watch event \(json["type"]?.string ?? "without a type")")
        }
    }
}
