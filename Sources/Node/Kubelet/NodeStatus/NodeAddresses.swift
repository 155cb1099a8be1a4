// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The node's addresses as they are now; boards get others from DHCP, or when a cable takes the place of Wi-Fi.
package final class NodeAddresses: Sendable {
    private let state: Mutex<[String]>

    package init(_ addresses: [String]) { state = Mutex(addresses) }

    /// The addresses, the first one being the one that the API server uses.
    package var current: [String] { state.withLock { $0 } }

    /// What pods are told of them: the first, and the first of the other family (upstream: GetNodeHostIPs).
    package var hostAddresses: [String] {
        let current = current
        guard let first = current.first else { return [] }
        return [first] + current.dropFirst().filter { $0.contains(":") != first.contains(":") }.prefix(1)
    }

    /// Takes over other addresses; false if they are the same.
    func replace(with addresses: [String]) -> Bool {
        state.withLock { current in
            defer { current = addresses }
            return current != addresses
        }
    }
}
