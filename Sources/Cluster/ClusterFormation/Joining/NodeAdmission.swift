// SPDX-License-Identifier: Apache-2.0

import JSON
package import KubeAPI
package import KubeClient
package import LinuxSystem

/// Decides whether a board may become the node that it wants to be, and makes the Node object that says so.
package struct NodeAdmission: Sendable {
    /// Whom a board may not pretend to be.
    package struct Reserved: Sendable {
        /// DNS names of the API servers, in lower case.
        package var names: Set<String>
        /// Addresses of the API servers, also the Service's.
        package var addresses: Set<IPAddress>

        package init(names: Set<String>, addresses: Set<IPAddress>) {
            self.names = names
            self.addresses = addresses
        }
    }

    /// What a board that was let in has.
    struct Admitted: Hashable, Sendable {
        /// With a comma between the families.
        var nodeCIDR: String
        var warnings: [String]
    }

    /// The annotation with the SHA-256 of the key of the board that the Node was made for.
    static let keyAnnotation = "swiftlet.io/join-key"
    /// A lease that was renewed so many seconds ago says that its node is alive (upstream: nodeLeaseDurationSeconds).
    private static let leaseSeconds = 40
    /// How often and after what pause the Node is looked at for its part of the pod network.
    private static let rangeAttempts = 200
    private static let rangePause = Duration.milliseconds(50)

    private let client: any ResourceClient
    private let reserved: @Sendable () -> Reserved
    private let now: @Sendable () -> KubeTime

    package init(
        client: any ResourceClient, reserved: @escaping @Sendable () -> Reserved,
        now: @escaping @Sendable () -> KubeTime
    ) {
        self.client = client
        self.reserved = reserved
        self.now = now
    }

    /// Says whether a text can name a node at all.
    ///
    /// - Throws: `StatusError` that says what to do.
    static func checkName(_ name: String) throws(StatusError) {
        guard NodeName.isValid(name) else {
            throw StatusError.badRequest(
                "\"\(name.prefix(NodeName.limit))\" cannot name a node: it must consist of lower case letters, digits, '-' and '.';"
                    + " choose one with --node-name")
        }
    }

    /// Says whether the board may have its name and addresses; changes nothing.
    ///
    /// - Throws: `StatusError` that says what to do.
    func check(_ request: JoinRequest, key: String) async throws {
        let name = request.nodeName
        let reserved = reserved()
        guard !reserved.names.contains(name) else { throw Self.taken(name, "it is a name of the control plane") }
        guard !NodeName.isOfService(name) else { throw Self.taken(name, "names of this form are Services'") }
        let nodes = try await client.list(.nodes, namespace: nil, options: .init()).items
        if let node = nodes.first(where: { $0.name == name }) { try await checkReturn(request, key, node) }
        let others = nodes.filter { $0.name != name }
        for address in request.addresses {
            guard !address.isLoopback, !address.isUnspecified else {
                throw StatusError.badRequest("\(address) is no address at which the control plane can reach a node")
            }
            guard !reserved.addresses.contains(address) else {
                throw Self.addressTaken(address, "the control plane")
            }
            if let other = others.first(where: { Self.addresses(of: $0).contains("\(address)") }) {
                throw Self.addressTaken(address, "node \"\(other.name)\"")
            }
        }
    }

    /// A node of this name exists: the board must be the one that it was made for.
    private func checkReturn(_ request: JoinRequest, _ key: String, _ node: KubeObject) async throws {
        if node.annotations[Self.keyAnnotation] == key { return }
        let name = request.nodeName
        let machine = node.status["nodeInfo"]?["machineID"]?.string ?? ""
        let place = Self.addresses(of: node).first.map { " at \($0)" } ?? ""
        guard machine == request.machineID else {
            throw Self.taken(
                name,
                "another machine\(place) has it"
                    + (machine.isEmpty ? "" : " (machine-id \(machine), this board's is \(request.machineID))"))
        }
        if try await isAlive(name) {
            throw Self.taken(
                name,
                "a node\(place) with the same machine-id (\(machine)) is alive under it; on a copied SD card run"
                    + " 'rm /etc/machine-id && systemd-machine-id-setup' and set another host name")
        }
    }

    private func isAlive(_ name: String) async throws -> Bool {
        do {
            let lease = try await client.get(.leases, namespace: "kube-node-lease", name: name)
            guard let renewed = lease.spec["renewTime"]?.string.flatMap({ KubeTime($0) }) else { return false }
            return now().timeInterval(since: renewed) < Double(Self.leaseSeconds)
        } catch let error as StatusError where error.isNotFound {
            return false
        }
    }

    /// Makes the Node, or takes the one that is the board's, and waits for its part of the pod network.
    func register(_ request: JoinRequest, key: String) async throws -> Admitted {
        var node: KubeObject
        do {
            var fresh = KubeObject(.init("", "v1", "Node"), name: request.nodeName)
            fresh.json["metadata", "annotations"] = [Self.keyAnnotation: .string(key)]
            fresh.json["metadata", "labels"] = ["kubernetes.io/hostname": .string(request.nodeName)]
            node = try await client.create(.nodes, object: fresh)
        } catch let error as StatusError where error.isAlreadyExists {
            node = try await client.get(.nodes, namespace: nil, name: request.nodeName)
            try await checkReturn(request, key, node)
            var patch: JSON = ["metadata": ["annotations": [Self.keyAnnotation: .string(key)]]]
            // A board that comes back with another key had left; that it was cordoned for it is over.
            if node.annotations[Self.keyAnnotation] != key { patch["spec"] = ["unschedulable": .null] }
            node = try await client.patch(
                .nodes, namespace: nil, name: request.nodeName, subresource: nil, type: .merge, patch: patch,
                options: .init())
        }
        for _ in 0..<Self.rangeAttempts {
            if let range = node.spec["podCIDR"]?.string {
                // The first of them again, and that of the other family.
                let ranges = node.spec["podCIDRs"]?.elements.compactMap(\.string) ?? []
                return Admitted(
                    nodeCIDR: ranges.isEmpty ? range : ranges.joined(separator: ","),
                    warnings: try await warnings(request))
            }
            try await Task.sleep(for: Self.rangePause)
            node = try await client.get(.nodes, namespace: nil, name: request.nodeName)
        }
        throw StatusError(
            code: 503, reason: StatusError.Reason.serviceUnavailable,
            message: "the node got no part of the pod network; the range network.clusterCIDR may have none left,"
                + " see the control plane's log")
    }

    private func warnings(_ request: JoinRequest) async throws -> [String] {
        let nodes = try await client.list(.nodes, namespace: nil, options: .init()).items
        let twins = nodes.filter {
            $0.name != request.nodeName && $0.status["nodeInfo"]?["machineID"]?.string == request.machineID
        }
        return twins.map {
            "node \"\($0.name)\"\(Self.addresses(of: $0).first.map { " at \($0)" } ?? "") has the same machine-id"
                + " (\(request.machineID)); on a copied SD card run"
                + " 'rm /etc/machine-id && systemd-machine-id-setup', or DHCP may give both one address"
        }
    }

    private static func addresses(of node: KubeObject) -> [String] {
        node.status["addresses"]?.elements.compactMap { $0["address"]?.string } ?? []
    }

    private static func taken(_ name: String, _ why: String) -> StatusError {
        StatusError(
            code: 409, reason: StatusError.Reason.alreadyExists,
            message: "the node name \"\(name)\" is taken: \(why); give this board another host name ('hostnamectl"
                + " set-hostname NAME') or node name (--node-name), or, if the node is gone for good, free the name with"
                + " 'swiftlet remove-node \(name)' on the control plane")
    }

    private static func addressTaken(_ address: IPAddress, _ owner: String) -> StatusError {
        StatusError(
            code: 409, reason: StatusError.Reason.conflict,
            message: "the address \(address) is \(owner)'s; two boards with one address cannot be reached:"
                + " give this one another, or, if it is not one by which others reach this board, name those that are in"
                + " its configuration (nodeAddresses); a node that is gone for good is removed with"
                + " 'swiftlet remove-node'")
    }
}
