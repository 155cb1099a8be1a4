// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
import Netlink

/// A link of this machine on which multicast DNS is spoken.
package struct MulticastLink: Hashable, Sendable {
    /// RFC 6762, 3.
    static let group = IPAddress(v4: 224, 0, 0, 251)
    static let port: UInt16 = 5353

    package let index: Int32
    package let name: String
    /// This machine's IPv4 addresses on the link with their networks.
    package let networks: [IPNetwork]

    package init(index: Int32, name: String, networks: [IPNetwork]) {
        self.index = index
        self.name = name
        self.networks = networks
    }

    /// The links that have one of these addresses.
    ///
    /// - Throws: what the kernel says.
    package static func links(with addresses: [IPAddress]) throws -> [MulticastLink] {
        let session = try RouteSession()
        let all = try session.addresses().filter { $0.network.address.isV4 }
        let chosen = Set(all.filter { addresses.contains($0.network.address) }.map(\.link))
        return try session.links().filter { $0.isUp && !$0.isLoopback && chosen.contains($0.index) }.map { link in
            MulticastLink(
                index: link.index, name: link.name, networks: all.filter { $0.link == link.index }.map(\.network))
        }
    }

    var addresses: [IPAddress] { networks.map(\.address) }

    /// Whether an address is one of this link's networks.
    func isNeighbour(_ address: IPAddress) -> Bool { networks.contains { $0.contains(address) } }
}
