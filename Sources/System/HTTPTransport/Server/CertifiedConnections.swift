// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization

/// The open connections of a server whose clients have shown a certificate, so that they can be judged anew when an authority is
/// not trusted any more: a connection can last for ever. The server's limit of connections bounds it.
final class CertifiedConnections: Sendable {
    private struct Connection {
        let channel: any Channel
        /// In DER, the client's own first.
        let chain: [[UInt8]]
    }

    private let connections = Mutex<[ObjectIdentifier: Connection]>([:])

    /// Adds a connection until it closes.
    func add(_ channel: any Channel, chain: [[UInt8]]) {
        let id = ObjectIdentifier(channel)
        connections.withLock { $0[id] = Connection(channel: channel, chain: chain) }
        channel.closeFuture.whenComplete { [self] _ in connections.withLock { $0[id] = nil } }
    }

    /// Closes those whose certificates do not hold any more, with whatever goes on over them.
    func close(unless holds: ([[UInt8]]) -> Bool) {
        for connection in connections.withLock({ Array($0.values) }) where !holds(connection.chain) {
            connection.channel.close(promise: nil)
        }
    }
}
