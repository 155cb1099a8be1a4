// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import KubeAPI
import PKI

/// Sends a log to a reader, piece by piece, to its end.
typealias LogSource = @Sendable (_ send: @Sendable @escaping ([UInt8]) async throws -> Void) async throws -> Void

/// Logs for browsers and other clients that want them over a WebSocket (upstream: k8s.io/apiserver wsstream.Reader, which sits
/// in the API server; here the connection goes through to the kubelet).
extension KubeletHandler {
    /// Frames for the subprotocols of a reader; the empty name is that of a client which asks for none.
    static func logFrame(_ protocolName: String) -> (@Sendable ([UInt8]) -> [UInt8])? {
        switch protocolName {
        case "", "binary.k8s.io": { WebSocketEncoder.frame(.binary, $0) }
        case "base64.binary.k8s.io": { WebSocketEncoder.frame(.text, Array(Base64.encode($0).utf8)) }
        default: nil
        }
    }

    func webSocketLog(_ request: HTTPRequest, _ read: @escaping LogSource) throws -> HTTPResponse {
        let offered = request.subprotocols
        let name = offered.isEmpty ? "" : offered.first { Self.logFrame($0) != nil }
        guard let name, let frame = Self.logFrame(name) else {
            throw StatusError.badRequest("unable to negotiate a subprotocol")
        }
        return try webSocket(request, name) { stream in
            await Self.serveLog(WebSocketConnection(stream), frame, read)
        }
    }

    static func serveLog(
        _ connection: WebSocketConnection, _ frame: @escaping @Sendable ([UInt8]) -> [UInt8],
        _ read: @escaping LogSource
    ) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    // An empty message tells the client that all is well before the first line comes.
                    try await connection.write(frame([]))
                    try await read { bytes in try await connection.write(frame(bytes)) }
                } catch {
                    // The client is gone, or the log is: the closing of the connection tells of both.
                }
            }
            // Pings are answered, and the client's going away is seen; what it says means nothing here.
            group.addTask { while (try? await connection.receive()) != nil {} }
            await group.next()
            group.cancelAll()
        }
        await connection.close()
    }
}
