// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem

/// The nftables table of the pod network, as a value: the transaction that makes it is a function of the configuration and
/// of the port mappings.
struct NetworkTable {
    let name: String
    let bridgeName: String
    let subnet: IPNetwork
    let clusterNetwork: IPNetwork
    /// Where sandboxes have IPv6 addresses, too.
    var subnetV6: IPNetwork?
    var clusterNetworkV6: IPNetwork?
    let vxlanPort: UInt16
    /// The mapped ports of each sandbox address.
    var portMappings: [(address: IPAddress, mapping: PortMapping)] = []

    /// The commands that replace the table, whatever it held, in one transaction.
    var replacement: [JSON] {
        // Adding it first makes the deletion valid where there is none.
        [add("table", ["name": .string(name)])] + removal + [add("table", ["name": .string(name)])] + maps + chains
            + rules + elements
    }

    /// The commands that delete the table; an error where there is none.
    var removal: [JSON] { [["delete": ["table": ["family": "inet", "name": .string(name)]]]] }

    // MARK: - Parts

    /// The families that sandboxes have addresses of.
    private var families: [Family] { subnetV6 == nil ? [.v4] : [.v4, .v6] }

    /// For each family two maps for ports of every address and two for ports of one address: the first of each pair gives the
    /// sandbox's address, the second its port.
    private var maps: [JSON] {
        var all: [JSON] = []
        for family in families {
            let address: JSON = .string(family.type)
            let port: JSON = ["inet_proto", "inet_service"]
            let addressAndPort: JSON = [address, "inet_proto", "inet_service"]
            let maps: [(name: String, key: JSON, value: JSON)] = [
                (family.anyAddress + "-address", port, address), (family.anyAddress + "-port", port, "inet_service"),
                (family.oneAddress + "-address", addressAndPort, address),
                (family.oneAddress + "-port", addressAndPort, "inet_service"),
            ]
            for (name, key, value) in maps {
                all.append(add("map", member(name, ["type": key, "map": value])))
            }
            all.append(add("set", member(family.hairpin, ["type": [address, address]])))
        }
        return all
    }

    private var chains: [JSON] {
        func chain(_ name: String, _ type: String, _ hook: String, _ priority: Int) -> JSON {
            add(
                "chain",
                member(
                    name,
                    [
                        "type": .string(type), "hook": .string(hook), "prio": JSON(priority), "policy": "accept",
                    ]))
        }
        return [
            add("chain", member("hostports", [:])), chain("prerouting", "nat", "prerouting", -100),
            chain("output", "nat", "output", -100), chain("postrouting", "nat", "postrouting", 100),
            chain("martians", "filter", "prerouting", -300),
        ]
    }

    private var rules: [JSON] {
        let toMachine = match(["fib": ["result": "type", "flags": ["daddr"]]], "==", "local")
        let fromBridge = match(["meta": ["key": "iifname"]], "==", .string(bridgeName))
        var all = [
            // The bridge routes 127.0.0.0/8 for mapped ports of localhost; sandboxes must not reach the machine's that way.
            rule("martians", fromBridge, match(Family.v4.destination, "==", prefix(Self.loopback)), ["drop": nil]),
            // A sandbox that could talk to the tunnel's end would send packets in the name of others.
            rule(
                "martians", fromBridge, toMachine, match(payload("udp", "dport"), "==", JSON(Int(vxlanPort))),
                ["drop": nil]),
            rule("prerouting", toMachine, ["jump": ["target": "hostports"]]),
            rule("output", toMachine, ["jump": ["target": "hostports"]]),
        ]
        all += rules(.v4, subnet, clusterNetwork)
        // A sandbox that is reached from the machine's loopback must see another source.
        all.append(
            rule(
                "postrouting", match(["meta": ["key": "oifname"]], "==", .string(bridgeName)),
                match(Family.v4.source, "==", prefix(Self.loopback)), ["masquerade": nil]))
        if let subnetV6 { all += rules(.v6, subnetV6, clusterNetworkV6 ?? subnetV6) }
        return all
    }

    private func rules(_ family: Family, _ subnet: IPNetwork, _ clusterNetwork: IPNetwork) -> [JSON] {
        let protocolNumber: JSON = ["meta": ["key": "l4proto"]]
        let port = payload("th", "dport")
        var rules: [JSON] = []
        if family == .v6 {
            // There is no route_localnet for IPv6: packets from ::1 never leave the machine.
            rules.append(
                rule("hostports", match(family.destination, "==", .string("\(IPAddress.loopbackV6)")), ["return": nil]))
        }
        return rules + [
            rule("hostports", translation(family, family.oneAddress, [family.destination, protocolNumber, port])),
            rule("hostports", translation(family, family.anyAddress, [protocolNumber, port])),
            // What leaves the pod network takes the machine's address; multicast never leaves.
            rule(
                "postrouting", match(family.source, "==", prefix(subnet)),
                match(family.destination, "!=", ["set": [prefix(clusterNetwork), prefix(family.multicast)]]),
                ["masquerade": nil]),
            // A sandbox that reaches itself by a mapped port must see another source than itself.
            rule(
                "postrouting",
                match(["concat": [family.source, family.destination]], "==", .string("@\(family.hairpin)")),
                ["masquerade": nil]),
        ]
    }

    private var elements: [JSON] {
        var values: [(String, JSON)] = []
        for (address, mapping) in portMappings {
            let family = address.isV4 ? Family.v4 : .v6
            // Sandboxes may have addresses from a time when there was an IPv6 subnet.
            guard families.contains(family) else { continue }
            let port: [JSON] = [.string(mapping.transport.rawValue), JSON(Int(mapping.hostPort))]
            let key: JSON
            let maps: String
            if let hostAddress = mapping.hostAddress {
                guard hostAddress.isV4 == address.isV4 else { continue }
                key = ["concat": .array([.string("\(hostAddress)")] + port)]
                maps = family.oneAddress
            } else {
                key = ["concat": .array(port)]
                maps = family.anyAddress
            }
            let target: JSON = .string("\(address)")
            values.append((maps + "-address", [key, target]))
            values.append((maps + "-port", [key, JSON(Int(mapping.sandboxPort))]))
            values.append((family.hairpin, ["concat": [target, target]]))
        }
        return values.map { name, value in add("element", member(name, ["elem": [value]])) }
    }

    // MARK: - Building blocks

    private static let loopback = IPNetwork(IPAddress(v4: 127, 0, 0, 0), prefixLength: 8)

    /// What differs between the two: names of our own, and nftables' words (nft(8)).
    private struct Family: Equatable {
        static let v4 = Family(
            header: "ip", type: "ipv4_addr", suffix: "", multicast: IPNetwork("224.0.0.0/4"))
        static let v6 = Family(header: "ip6", type: "ipv6_addr", suffix: "6", multicast: IPNetwork("ff00::/8"))

        let header: String
        let type: String
        let suffix: String
        let multicast: IPNetwork?

        var anyAddress: String { "hostport\(suffix)" }
        var oneAddress: String { "hostip\(suffix)" }
        var hairpin: String { "hairpin\(suffix)" }
        var source: JSON { ["payload": ["protocol": .string(header), "field": "saddr"]] }
        var destination: JSON { ["payload": ["protocol": .string(header), "field": "daddr"]] }
    }

    private func add(_ kind: String, _ object: JSON) -> JSON {
        var object = object
        object["family"] = "inet"
        return ["add": .object([kind: object])]
    }

    /// Something in the table.
    private func member(_ name: String, _ object: JSON) -> JSON {
        var object = object
        object["table"] = .string(self.name)
        object["name"] = .string(name)
        return object
    }

    private func rule(_ chain: String, _ statements: JSON...) -> JSON {
        add("rule", ["table": .string(name), "chain": .string(chain), "expr": .array(statements)])
    }

    private func match(_ left: JSON, _ operation: String, _ right: JSON) -> JSON {
        ["match": ["op": .string(operation), "left": left, "right": right]]
    }

    private func payload(_ header: String, _ field: String) -> JSON {
        ["payload": ["protocol": .string(header), "field": .string(field)]]
    }

    private func prefix(_ network: IPNetwork?) -> JSON {
        guard let network = network?.network else { return nil }
        return ["prefix": ["addr": .string("\(network.address)"), "len": JSON(network.prefixLength)]]
    }

    private func translation(_ family: Family, _ maps: String, _ key: [JSON]) -> JSON {
        func lookup(_ map: String) -> JSON {
            ["map": ["key": ["concat": .array(key)], "data": .string("@\(maps)-\(map)")]]
        }
        return ["dnat": ["family": .string(family.header), "addr": lookup("address"), "port": lookup("port")]]
    }
}
