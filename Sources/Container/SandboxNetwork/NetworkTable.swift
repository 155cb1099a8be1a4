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

    /// Two maps for ports of every address and two for ports of one address: the first of each pair gives the sandbox's
    /// address, the second its port.
    private var maps: [JSON] {
        let port: JSON = ["inet_proto", "inet_service"]
        let addressAndPort: JSON = ["ipv4_addr", "inet_proto", "inet_service"]
        return [
            ("hostport-address", port, "ipv4_addr"), ("hostport-port", port, "inet_service"),
            ("hostip-address", addressAndPort, "ipv4_addr"), ("hostip-port", addressAndPort, "inet_service"),
        ].map { name, key, value in
            add("map", member(name, ["type": key, "map": .string(value)]))
        } + [add("set", member("hairpin", ["type": ["ipv4_addr", "ipv4_addr"]]))]
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
        let source = payload("ip", "saddr")
        let destination = payload("ip", "daddr")
        let protocolNumber: JSON = ["meta": ["key": "l4proto"]]
        let port = payload("th", "dport")
        return [
            // The bridge routes 127.0.0.0/8 for mapped ports of localhost; sandboxes must not reach the machine's that way.
            rule(
                "martians", match(["meta": ["key": "iifname"]], "==", .string(bridgeName)),
                match(destination, "==", prefix(Self.loopback)), ["drop": nil]),
            // A sandbox that could talk to the tunnel's end would send packets in the name of others.
            rule(
                "martians", match(["meta": ["key": "iifname"]], "==", .string(bridgeName)), toMachine,
                match(payload("udp", "dport"), "==", JSON(Int(vxlanPort))), ["drop": nil]),
            rule("prerouting", toMachine, ["jump": ["target": "hostports"]]),
            rule("output", toMachine, ["jump": ["target": "hostports"]]),
            rule("hostports", translation("hostip", [destination, protocolNumber, port])),
            rule("hostports", translation("hostport", [protocolNumber, port])),
            // What leaves the pod network takes the machine's address; multicast never leaves.
            rule(
                "postrouting", match(source, "==", prefix(subnet)),
                match(destination, "!=", ["set": [prefix(clusterNetwork), prefix(Self.multicast)]]),
                ["masquerade": nil]),
            // A sandbox that reaches itself by a mapped port must see another source than itself.
            rule("postrouting", match(["concat": [source, destination]], "==", "@hairpin"), ["masquerade": nil]),
            // As must one that is reached from the machine's loopback.
            rule(
                "postrouting", match(["meta": ["key": "oifname"]], "==", .string(bridgeName)),
                match(source, "==", prefix(Self.loopback)), ["masquerade": nil]),
        ]
    }

    private var elements: [JSON] {
        var values: [(String, JSON)] = []
        for (address, mapping) in portMappings where address.isV4 {
            let port: [JSON] = [.string(mapping.transport.rawValue), JSON(Int(mapping.hostPort))]
            let key: JSON
            var family = "hostport"
            if let hostAddress = mapping.hostAddress {
                guard hostAddress.isV4 else { continue }
                key = ["concat": .array([.string("\(hostAddress)")] + port)]
                family = "hostip"
            } else {
                key = ["concat": .array(port)]
            }
            let target: JSON = .string("\(address)")
            values.append((family + "-address", [key, target]))
            values.append((family + "-port", [key, JSON(Int(mapping.sandboxPort))]))
            values.append(("hairpin", ["concat": [target, target]]))
        }
        return values.map { name, value in add("element", member(name, ["elem": [value]])) }
    }

    // MARK: - Building blocks

    private static let loopback = IPNetwork(IPAddress(v4: 127, 0, 0, 0), prefixLength: 8)
    private static let multicast = IPNetwork(IPAddress(v4: 224, 0, 0, 0), prefixLength: 4)

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

    private func translation(_ family: String, _ key: [JSON]) -> JSON {
        func lookup(_ map: String) -> JSON {
            ["map": ["key": ["concat": .array(key)], "data": .string("@\(family)-\(map)")]]
        }
        return ["dnat": ["family": "ip", "addr": lookup("address"), "port": lookup("port")]]
    }
}
