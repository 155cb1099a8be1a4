// SPDX-License-Identifier: Apache-2.0

import PKI

/// The WebSocket subprotocols of exec, attach and port-forward: each message begins with a channel's number
/// (k8s.io/apimachinery: remotecommand constants; k8s.io/streaming wsstream).
package struct ChannelProtocol: Hashable, Sendable {
    /// Channels of exec and attach.
    package enum Channel {
        package static let stdin: UInt8 = 0
        package static let stdout: UInt8 = 1
        package static let stderr: UInt8 = 2
        package static let error: UInt8 = 3
        package static let resize: UInt8 = 4
        /// v5: the number that announces that the channel named by the next byte is closed.
        package static let close: UInt8 = 255
    }

    package let name: String
    /// Whether payloads are base64 text and the channel an ASCII digit.
    package let isBase64: Bool
    /// Whether the end is told as a `Status` on the error channel (v4 and later).
    package let reportsStatus: Bool
    /// Whether the client can close one channel (v5).
    package let closesChannels: Bool

    /// What the kubelet offers for exec and attach, the best first. The empty name is the one of a client that asks for
    /// none.
    package static let remoteCommand: [ChannelProtocol] = [
        .init(name: "v5.channel.k8s.io", isBase64: false, reportsStatus: true, closesChannels: true),
        .init(name: "v4.channel.k8s.io", isBase64: false, reportsStatus: true, closesChannels: false),
        .init(name: "v4.base64.channel.k8s.io", isBase64: true, reportsStatus: true, closesChannels: false),
        .init(name: "channel.k8s.io", isBase64: false, reportsStatus: false, closesChannels: false),
        .init(name: "base64.channel.k8s.io", isBase64: true, reportsStatus: false, closesChannels: false),
        .init(name: "", isBase64: false, reportsStatus: false, closesChannels: false),
    ]

    /// What the kubelet offers for port-forward over plain channels.
    package static let portForward: [ChannelProtocol] = [
        .init(name: "v4.channel.k8s.io", isBase64: false, reportsStatus: false, closesChannels: false),
        .init(name: "v4.base64.channel.k8s.io", isBase64: true, reportsStatus: false, closesChannels: false),
        .init(name: "", isBase64: false, reportsStatus: false, closesChannels: false),
    ]

    /// The protocol for a client's offers; nil if none is spoken here.
    package static func negotiate(_ offered: [String], from supported: [ChannelProtocol]) -> ChannelProtocol? {
        if offered.isEmpty { return supported.last }
        for name in offered { if let found = supported.first(where: { $0.name == name }) { return found } }
        return nil
    }

    /// What a client's message says.
    package enum Incoming: Hashable, Sendable {
        case data(channel: UInt8, [UInt8])
        case closed(channel: UInt8)
    }

    /// Reads a message; nil for one that is empty.
    package func decode(_ message: [UInt8]) throws(WebSocketError) -> Incoming? {
        guard let first = message.first else { return nil }
        if isBase64 {
            guard (48...57).contains(first), let payload = Base64.decode(String(decoding: message[1...], as: UTF8.self))
            else { throw .protocolError("malformed base64 message") }
            return .data(channel: first - 48, payload)
        }
        if closesChannels, first == Channel.close {
            guard message.count == 2 else { throw .protocolError("malformed close signal") }
            return .closed(channel: message[1])
        }
        return .data(channel: first, Array(message[1...]))
    }

    /// The frame that carries a payload on a channel.
    package func frame(channel: UInt8, _ payload: some Collection<UInt8>) -> [UInt8] {
        if isBase64 {
            return WebSocketEncoder.frame(.text, [48 + channel] + Array(Base64.encode(Array(payload)).utf8))
        }
        return WebSocketEncoder.frame(.binary, [channel] + Array(payload))
    }
}
