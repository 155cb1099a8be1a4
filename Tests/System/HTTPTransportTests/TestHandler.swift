// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import NIOCore
import NIOHTTP1
import Synchronization

/// A handler with one path for each thing that the transport can do.
final class TestHandler: HTTPHandler {
    /// What has happened to requests that wait for ever.
    let cancelled = Mutex(0)
    let started = Mutex(0)

    func handleImmediately(_ request: HTTPRequest) -> HTTPResponse? {
        switch request.uri {
        case "/hello": text("hello")
        case "/big": .init(status: .ok, body: .bytes(ByteBuffer(repeating: 0x61, count: 200_000)))
        case "/split": .init(status: .ok, headers: ["X-Bad": "a\r\nX-Injected: 1"], body: .bytes(ByteBuffer()))
        case "/whoami": text(request.peer.certificate == nil ? request.peer.certificateError ?? "nobody" : "known")
        default: nil
        }
    }

    func handle(_ request: HTTPRequest) async -> HTTPResponse {
        switch request.uri {
        case "/echo": return .init(status: .ok, body: .bytes(request.body))
        case "/stream": return stream(count: 5)
        case "/flood": return flood()
        case "/torn":
            return .init(
                status: .ok,
                body: .stream { writer in
                    try await writer.write(ByteBuffer(string: "half"))
                    throw CancellationError()
                })
        case "/forever": return await forever()
        case "/upgrade": return .init(status: .switchingProtocols, headers: ["Upgrade": "echo"], body: .upgrade(echo))
        default: return .init(status: .notFound, body: .bytes(ByteBuffer(string: "no such path\n")))
        }
    }

    private func text(_ text: String) -> HTTPResponse {
        .init(status: .ok, headers: ["Content-Type": "text/plain"], body: .bytes(ByteBuffer(string: text)))
    }

    private func stream(count: Int) -> HTTPResponse {
        .init(
            status: .ok,
            body: .stream { writer in
                for number in 0..<count {
                    try await writer.write(ByteBuffer(string: "piece \(number)\n"))
                    await writer.rest()
                }
            })
    }

    private func flood() -> HTTPResponse {
        .init(
            status: .ok,
            body: .stream { writer in
                while true { try await writer.write(ByteBuffer(repeating: 0x61, count: 8 << 10)) }
            })
    }

    private func forever() async -> HTTPResponse {
        started.withLock { $0 += 1 }
        do {
            try await Task.sleep(for: .seconds(3600))
        } catch {
            cancelled.withLock { $0 += 1 }
        }
        return text("done waiting")
    }

    private func echo(_ stream: any DuplexByteStream) async throws {
        while let bytes = try await stream.read() { try await stream.write(bytes) }
    }
}
