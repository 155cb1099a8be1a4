// SPDX-License-Identifier: Apache-2.0

package import JSON
package import LinuxSystem

/// The paths of the join protocol on the API server's port.
package enum JoinPath {
    package static let prefix = "/swiftlet.io/v1/"
    /// GET: the cluster's authorities in PEM, which the board checks against the hash of its join line.
    package static let authorities = prefix + "authorities"
    /// POST with a token: ``JoinRequest`` to ``JoinAnswer``.
    package static let join = prefix + "join"
    /// POST with a node's certificate: the node leaves the cluster.
    package static let leave = prefix + "leave"
    /// How long a node that leaves may give its pods at most, in seconds.
    package static let longestLeave = 3600
}

/// What a board asks for when it joins.
package struct JoinRequest: Hashable, Sendable {
    /// The version of the protocol that this program speaks.
    package static let currentProtocol = 1

    package var protocolVersion = JoinRequest.currentProtocol
    package var nodeName: String
    /// machine-id(5): tells a board that comes back from another one of the same name.
    package var machineID: String
    /// Addresses at which the API server reaches the board's kubelet.
    package var addresses: [IPAddress]
    /// The Kubernetes version of the board, `v1.36.0`.
    package var version: String
    /// The certificate requests of the kubelet, in PEM: as a client of the API and as a server.
    package var clientRequest: String
    package var servingRequest: String

    package init(
        nodeName: String, machineID: String, addresses: [IPAddress], version: String, clientRequest: String,
        servingRequest: String
    ) {
        self.nodeName = nodeName
        self.machineID = machineID
        self.addresses = addresses
        self.version = version
        self.clientRequest = clientRequest
        self.servingRequest = servingRequest
    }

    /// Reads a request.
    ///
    /// - Throws: ``MissingField`` that names the field.
    package init(_ json: JSON) throws(MissingField) {
        guard let number = json["protocol"]?.int else { throw MissingField("protocol") }
        protocolVersion = number
        nodeName = try json.text("nodeName")
        machineID = try json.text("machineID")
        version = try json.text("version")
        clientRequest = try json.text("clientRequest")
        servingRequest = try json.text("servingRequest")
        addresses = []
        for element in json["addresses"]?.elements.prefix(32) ?? [] {
            guard let address = element.string.flatMap({ IPAddress($0) }) else { throw MissingField("addresses") }
            addresses.append(address)
        }
        guard !addresses.isEmpty else { throw MissingField("addresses") }
    }

    package var json: JSON {
        [
            "protocol": JSON(protocolVersion), "nodeName": .string(nodeName), "machineID": .string(machineID),
            "addresses": JSON(addresses.map(\.description)), "version": .string(version),
            "clientRequest": .string(clientRequest), "servingRequest": .string(servingRequest),
        ]
    }
}

/// What a board that joins is given.
package struct JoinAnswer: Hashable, Sendable {
    /// The kubelet's certificates in PEM.
    package var clientCertificate: String
    package var servingCertificate: String
    /// All authorities that the cluster trusts, in PEM; empty from a server that does not tell.
    package var authorities: String
    /// The part of the pod network that is the node's; in dual stack clusters two ranges with a comma between them.
    package var nodeCIDR: String
    package var cluster: ClusterFacts
    /// What the board's owner should know.
    package var warnings: [String]

    package init(
        clientCertificate: String, servingCertificate: String, authorities: String = "", nodeCIDR: String,
        cluster: ClusterFacts, warnings: [String] = []
    ) {
        self.clientCertificate = clientCertificate
        self.servingCertificate = servingCertificate
        self.authorities = authorities
        self.nodeCIDR = nodeCIDR
        self.cluster = cluster
        self.warnings = warnings
    }

    /// - Throws: ``MissingField`` that names the field.
    package init(_ json: JSON) throws(MissingField) {
        clientCertificate = try json.text("clientCertificate")
        servingCertificate = try json.text("servingCertificate")
        authorities = json["authorities"]?.string ?? ""
        nodeCIDR = try json.text("nodeCIDR")
        cluster = try ClusterFacts(json["cluster"] ?? .null)
        warnings = json["warnings"]?.elements.compactMap(\.string) ?? []
    }

    package var json: JSON {
        [
            "clientCertificate": .string(clientCertificate), "servingCertificate": .string(servingCertificate),
            "authorities": .string(authorities), "nodeCIDR": .string(nodeCIDR), "cluster": cluster.json,
            "warnings": JSON(warnings),
        ]
    }
}

/// What every node of a cluster must agree upon.
package struct ClusterFacts: Hashable, Sendable {
    /// The API servers, `https://192.168.1.20:16443`.
    package var servers: [String]
    /// In dual stack clusters two ranges with a comma between them.
    package var clusterCIDR: String
    package var serviceCIDR: String
    package var clusterDomain: String

    package init(servers: [String], clusterCIDR: String, serviceCIDR: String, clusterDomain: String) {
        self.servers = servers
        self.clusterCIDR = clusterCIDR
        self.serviceCIDR = serviceCIDR
        self.clusterDomain = clusterDomain
    }

    /// - Throws: ``MissingField`` that names the field.
    package init(_ json: JSON) throws(MissingField) {
        servers = json["servers"]?.elements.compactMap(\.string) ?? []
        guard !servers.isEmpty else { throw MissingField("servers") }
        clusterCIDR = try json.text("clusterCIDR")
        serviceCIDR = try json.text("serviceCIDR")
        clusterDomain = try json.text("clusterDomain")
    }

    package var json: JSON {
        [
            "servers": JSON(servers), "clusterCIDR": .string(clusterCIDR), "serviceCIDR": .string(serviceCIDR),
            "clusterDomain": .string(clusterDomain),
        ]
    }
}

/// A field of a message that is missing or has no usable value.
package struct MissingField: Error, Hashable, Sendable, CustomStringConvertible {
    package let field: String

    init(_ field: String) { self.field = field }

    package var description: String { "the field \(field) is missing or malformed" }
}

extension JSON {
    /// The text of a field that must be there.
    fileprivate func text(_ field: String) throws(MissingField) -> String {
        guard let text = self[field]?.string, !text.isEmpty else { throw MissingField(field) }
        return text
    }
}
