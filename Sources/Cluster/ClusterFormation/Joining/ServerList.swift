// SPDX-License-Identifier: Apache-2.0

import APIServer
package import KubeAPI
import LinuxSystem

/// The API servers that a worker knows, as URLs; no I/O.
package enum ServerList {
    /// So many are remembered.
    package static let limit = 12

    /// What the cluster publishes in the EndpointSlice `kubernetes`; empty where there is nothing usable.
    package static func published(in slice: KubeObject) -> [String] {
        let text = slice.annotations[APIServerConfiguration.Advertisement.serversAnnotation] ?? ""
        return text.split(separator: " ").prefix(limit).map(String.init).filter(isServer)
    }

    /// The servers that are known now, followed by those of earlier times, which may come back: as many as are remembered.
    package static func merge(_ current: [String], former: [String]) -> [String] {
        var seen: Set<String> = []
        return Array((current + former).filter { seen.insert($0).inserted }.prefix(limit))
    }

    /// Whether a text is `https://HOST:PORT` and nothing else.
    static func isServer(_ text: String) -> Bool {
        guard text.utf8.count <= 300, text.hasPrefix("https://") else { return false }
        let rest = text.dropFirst("https://".count)
        guard let colon = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: colon)...]), port > 0 else {
            return false
        }
        let host = rest[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { return IPAddress(host.dropFirst().dropLast())?.isV6 == true }
        return !host.isEmpty
            && host.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || [0x2D, 0x2E].contains(byte)
            }
    }
}
