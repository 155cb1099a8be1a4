// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix

/// Asks a server by the gRPC health checking protocol (grpc.health.v1.Health/Check) over HTTP/2 without TLS.
///
/// The one message each way is small enough to be written and read by hand (protobuf wire format).
enum GRPCHealthProber {
    /// `ServingStatus.SERVING`
    private static let serving: UInt8 = 1

    static func check(host: String, port: Int, service: String, on group: any EventLoopGroup) async throws
        -> ProbeResult
    {
        let (channel, connection) = try await ClientBootstrap(group: group).connect(host: host, port: port) { channel in
            channel.eventLoop.makeCompletedFuture {
                let multiplexer = try channel.pipeline.syncOperations.configureAsyncHTTP2Pipeline(mode: .client) {
                    stream in stream.eventLoop.makeSucceededVoidFuture()
                }
                return (channel, multiplexer)
            }
        }
        // Nothing is left to be said when the answer is there.
        defer { channel.close(promise: nil) }
        let stream = try await connection.openStream { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel<HTTP2Frame.FramePayload, HTTP2Frame.FramePayload>(
                    wrappingChannelSynchronously: channel)
            }
        }
        return try await stream.executeThenClose { inbound, outbound in
            let headers: HPACKHeaders = [
                ":method": "POST", ":scheme": "http", ":path": "/grpc.health.v1.Health/Check",
                ":authority": HostPort.text(host, port), "content-type": "application/grpc", "te": "trailers",
                "user-agent": "kube-probe",
            ]
            try await outbound.write(.headers(.init(headers: headers)))
            let body = request(service)
            try await outbound.write(.data(.init(data: .byteBuffer(ByteBuffer(bytes: body)), endStream: true)))
            return try await answer(inbound, service)
        }
    }

    /// Five bytes of prefix (not compressed, the length) and `HealthCheckRequest{service = 1}`.
    static func request(_ service: String) -> [UInt8] {
        var message: [UInt8] = []
        if !service.isEmpty { message = [0x0a, UInt8(truncatingIfNeeded: service.utf8.count)] + Array(service.utf8) }
        let count = UInt32(message.count)
        return [0, UInt8(count >> 24), UInt8(count >> 16 & 0xff), UInt8(count >> 8 & 0xff), UInt8(count & 0xff)]
            + message
    }

    private static func answer(
        _ inbound: NIOAsyncChannelInboundStream<HTTP2Frame.FramePayload>, _ service: String
    ) async throws -> ProbeResult {
        var body: [UInt8] = []
        for try await frame in inbound {
            switch frame {
            case .headers(let part):
                if let code = part.headers.first(name: "grpc-status"), code != "0" {
                    let message = part.headers.first(name: "grpc-message") ?? ""
                    return .failure("error: health rpc probe failed: code = \(code) desc = \(message)")
                }
                if part.endStream { return result(body, service) }
            case .data(let part):
                guard case .byteBuffer(let bytes) = part.data else { continue }
                body += bytes.readableBytesView.prefix(1024 - body.count)
                if part.endStream { return result(body, service) }
            default: continue
            }
        }
        return result(body, service)
    }

    /// `HealthCheckResponse{status = 1}` after the prefix.
    static func result(_ body: [UInt8], _ service: String) -> ProbeResult {
        let status: UInt8 = body.count >= 7 && body[5] == 0x08 ? body[6] : 0
        if status == serving { return .success() }
        let names = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]
        let name = Int(status) < names.count ? names[Int(status)] : "\(status)"
        return .failure("service unhealthy (responded with \"\(name)\")")
    }
}
