// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import LinuxSystem
import Logging
import MulticastDNS

/// How workers find a control plane on the link that they have lost: multicast DNS for `_swiftlet._tcp.local`.
///
/// What comes back proves nothing: the client takes a server for one only when it has a certificate by the cluster's authority
/// for the address and with the name of the API servers, which no node gets, and sends it nothing before.
struct ServerDiscovery: Sendable {
    private static let service = "_swiftlet._tcp.local"

    let configuration: Configuration
    /// The SHA-256 of the cluster's authorities as they are now: there may be other clusters on the link.
    let authorities: @Sendable () throws -> [String]
    let logger: Logger

    /// What a control plane tells of itself; nil where its host name is no name for others.
    ///
    /// - Parameter authorities: All that the cluster trusts: while one is replaced, some workers may know only the old one.
    static func advertisement(_ node: NodeIdentity, port: Int, authorities: [String]) -> ServiceAdvertisement? {
        guard let service = DNSName(service),
            let host = LocalHostName.name(of: node.hostName).flatMap({ DNSName($0) })
        else { return nil }
        return ServiceAdvertisement(
            service: service, instance: String(node.name.prefix(DNSName.labelLimit)), host: host,
            port: UInt16(clamping: port), attributes: authorities.map(attribute))
    }

    private static func attribute(_ authority: String) -> String { "ca=\(authority)" }

    /// The URLs at which somebody on this machine's links says to serve the cluster; takes about two seconds when nobody does.
    func servers() async -> [String] {
        guard let service = DNSName(Self.service) else { return [] }
        do {
            let wanted = Set(try authorities().map { Self.attribute($0) })
            let links = try MulticastLink.links(with: try NodeIdentity.discover(configuration).addresses)
            let sightings = try await MulticastBrowser(links: links).find(service) { sighting in
                sighting.attributes.contains { wanted.contains($0) }
            }
            return sightings.map { "https://\(HostPort.text("\($0.address)", Int($0.port)))" }
        } catch {
            if !Task.isCancelled {
                logger.warning("The control plane could not be looked for on the link", metadata: ["error": "\(error)"])
            }
            return []
        }
    }
}
