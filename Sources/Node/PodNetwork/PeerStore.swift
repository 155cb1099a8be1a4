// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import SandboxNetwork

/// The peers that were known last, in a file, so that pods reach one another after a reboot although the API is away.
struct PeerStore: Sendable {
    /// Enough for more peers than a cluster may have.
    private static let fileLimit = 1 << 20
    private static let name = "peers.json"

    /// A directory of the node's state; made where it is missing.
    let directory: String

    /// The peers that were saved; empty where there are none, or the file is damaged.
    func load() throws(SystemError) -> [NetworkPeer] {
        let bytes: [UInt8]?
        do {
            bytes = try DirectoryHandle(path: directory).readFile(Self.name, limit: Self.fileLimit)
        } catch  where error.isMissing {
            return []
        }
        // What is damaged is written anew as soon as the API answers.
        guard let bytes, let json = try? JSON.parse(bytes) else { return [] }
        return (json["peers"]?.elements ?? []).compactMap(NetworkPeer.init)
    }

    /// Saves the peers.
    func save(_ peers: [NetworkPeer]) throws(SystemError) {
        let json: JSON = ["peers": .array(peers.map(\.json))]
        // Not waited for: what a power cut takes away the API still has.
        try DirectoryHandle.create(path: directory, permissions: 0o700)
            .replaceFile(Self.name, with: json.serialized(), permissions: 0o600, durability: .atomic)
    }
}

extension NetworkPeer {
    fileprivate init?(_ json: JSON) {
        guard let subnet = json["subnet"]?.string.flatMap({ IPNetwork($0) }) else { return nil }
        let addresses = (json["addresses"]?.elements ?? []).compactMap { $0.string.flatMap { IPAddress($0) } }
        let subnetV6 = json["subnetV6"]?.string.flatMap { IPNetwork($0) }
        self.init(subnet: subnet, subnetV6: subnetV6, addresses: addresses)
    }

    fileprivate var json: JSON {
        var json: JSON = ["subnet": .string("\(subnet)"), "addresses": .array(addresses.map { .string("\($0)") })]
        if let subnetV6 { json["subnetV6"] = .string("\(subnetV6)") }
        return json
    }
}
