// SPDX-License-Identifier: Apache-2.0

import APIServer
import ClusterFormation
import LinuxSystem
import PKI
import Synchronization

/// Where this control plane is to be reached, and what others are told of it, as it is now.
final class ControlPlaneAddresses: Sendable {
    private struct State {
        var node: NodeIdentity
        var reserved: NodeAdmission.Reserved
    }

    private let configuration: Configuration
    /// What stands for the machine's addresses where it has none: local pods reach it there.
    private let gateway: IPAddress
    private let state: Mutex<State>

    init(_ configuration: Configuration, _ node: NodeIdentity, _ identity: ClusterIdentity) throws {
        self.configuration = configuration
        gateway = try configuration.nodeRanges.v4.network.address.advanced(by: 1) ?? .loopbackV4
        state = Mutex(State(node: node, reserved: Self.reserved(identity)))
    }

    func change(_ node: NodeIdentity, _ identity: ClusterIdentity) {
        state.withLock { $0 = State(node: node, reserved: Self.reserved(identity)) }
    }

    private static func reserved(_ identity: ClusterIdentity) -> NodeAdmission.Reserved {
        let names = identity.apiServer.certificate.alternativeNames
        return .init(names: Set(names.dnsNames.map { $0.lowercased() }), addresses: Set(names.ipAddresses))
    }

    /// Names and addresses that no other node may have.
    var reserved: NodeAdmission.Reserved { state.withLock { $0.reserved } }

    /// What boards that join are told.
    var facts: ClusterFacts {
        ClusterFacts(
            servers: servers, clusterCIDR: configuration.network.clusterCIDR,
            serviceCIDR: configuration.network.serviceCIDR, clusterDomain: configuration.network.clusterDomain)
    }

    /// What the API tells of its own place.
    var advertisement: APIServerConfiguration.Advertisement {
        let address = served(state.withLock { $0.node.addresses }).first ?? gateway
        return .init(endpoint: .init(host: "\(address)", port: configuration.api.port), servers: servers)
    }

    /// The API server's URLs: its addresses, then the names that the configuration gives it, then those of the machine.
    private var servers: [String] {
        let node = state.withLock { $0.node }
        let names =
            configuration.api.certificateNames
            + [node.hostName, LocalHostName.name(of: node.hostName)]
            .compactMap { $0 }.filter { LocalHostName.name(of: $0) != nil }
        let hosts =
            served(node.addresses).map { configuration.apiServer(at: $0) }
            + names.map { "https://\($0.lowercased()):\(configuration.api.port)" }
        return ServerList.merge(hosts.isEmpty ? [configuration.apiServer(at: .loopbackV4)] : hosts, former: [])
    }

    /// The addresses at which others reach the API server.
    private func served(_ addresses: [IPAddress]) -> [IPAddress] {
        addresses.filter { !$0.isLoopback && configuration.isServed(at: $0) }
    }
}
