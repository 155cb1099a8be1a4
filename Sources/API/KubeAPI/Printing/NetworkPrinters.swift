// SPDX-License-Identifier: Apache-2.0

import JSON

/// Services and networking: core, discovery.k8s.io, networking.k8s.io.
extension TablePrinter {
    static let networkPrinters: [String: TablePrinter] = [
        "/Service": service,
        "/Endpoints": .init("Name|Endpoints|Age") { [$0.name, .string(endpoints($0)), $0.age] },
        "discovery.k8s.io/EndpointSlice": .init("Name|AddressType|Ports|Endpoints|Age") { slice in
            let ports = (slice.json["ports"]?.elements ?? []).map { port in
                port["port"]?.int.map(String.init) ?? port["name"]?.string ?? "*"
            }
            let addresses = (slice.json["endpoints"]?.elements ?? []).flatMap {
                ($0["addresses"]?.elements ?? []).compactMap(\.string)
            }
            return [
                slice.name, slice.string(slice.json["addressType"]), .string(slice.shortened(ports)),
                .string(slice.shortened(addresses)), slice.age,
            ]
        },
        "networking.k8s.io/Ingress": .init("Name|Class|Hosts|Address|Ports|Age") {
            [
                $0.name, $0.string($0.spec?["ingressClassName"], else: "<none>"), .string(hosts($0)),
                .string(loadBalancerAddresses($0).joined(separator: ",")),
                $0.count($0.spec?["tls"]) > 0 ? "80, 443" : "80", $0.age,
            ]
        },
        "networking.k8s.io/IngressClass": .init("Name|Controller|Parameters|Age") { object in
            var parameters = "<none>"
            if let reference = object.spec?["parameters"], reference.object != nil {
                let group = reference["apiGroup"]?.string.map { ".\($0)" } ?? ""
                parameters = "\(reference["kind"]?.string ?? "")\(group)/\(reference["name"]?.string ?? "")"
            }
            return [object.name, object.string(object.spec?["controller"]), .string(parameters), object.age]
        },
        "networking.k8s.io/NetworkPolicy": .init("Name|Pod-Selector|Age") {
            [$0.name, $0.selector($0.spec?["podSelector"] ?? [:]), $0.age]
        },
        "networking.k8s.io/ServiceCIDR": .init("Name|CIDRs|Age") {
            let ranges = ($0.spec?["cidrs"]?.elements ?? []).compactMap(\.string)
            return [$0.name, .string(ranges.joined(separator: ",")), $0.age]
        },
        "networking.k8s.io/IPAddress": .init("Name|ParentRef|Age") { object in
            guard let parent = object.spec?["parentRef"], parent.object != nil else {
                return [object.name, "<none>", object.age]
            }
            let group = parent["group"]?.string ?? ""
            let resource = (parent["resource"]?.string ?? "") + (group.isEmpty ? "" : ".\(group)")
            let names = [parent["namespace"]?.string, parent["name"]?.string].compactMap { $0 }.filter { !$0.isEmpty }
            return [
                object.name, .string(([resource.lowercased()] + names).joined(separator: "/")), object.age,
            ]
        },
    ]

    private static let service = TablePrinter(
        "Name|Type|Cluster-IP|External-IP|Port(s)|Age|Selector*"
    ) { service in
        let ports = (service.spec?["ports"]?.elements ?? []).map { port in
            let node = port["nodePort"]?.int ?? 0
            let number = port["port"]?.int ?? 0
            return "\(number)\(node > 0 ? ":\(node)" : "")/\(port["protocol"]?.string ?? "TCP")"
        }
        let address = service.spec?["clusterIPs"]?[0] ?? service.spec?["clusterIP"]
        return [
            service.name, service.string(service.spec?["type"]), service.string(address, else: "<none>"),
            .string(externalAddress(service)), .string(ports.isEmpty ? "<none>" : ports.joined(separator: ",")),
            service.age, service.labels(service.spec?["selector"]),
        ]
    }

    private static func externalAddress(_ service: PrintedObject) -> String {
        let external = (service.spec?["externalIPs"]?.elements ?? []).compactMap(\.string)
        switch service.spec?["type"]?.string {
        case "ClusterIP", "NodePort": return external.isEmpty ? "<none>" : external.joined(separator: ",")
        case "LoadBalancer":
            let all = loadBalancerAddresses(service) + external
            return all.isEmpty ? "<pending>" : all.joined(separator: ",")
        case "ExternalName": return service.spec?["externalName"]?.string ?? ""
        default: return "<unknown>"
        }
    }

    private static func loadBalancerAddresses(_ object: PrintedObject) -> [String] {
        let ingress = object.status?["loadBalancer"]?["ingress"]?.elements ?? []
        let addresses = ingress.compactMap { entry in
            [entry["ip"]?.string, entry["hostname"]?.string].compactMap { $0 }.first { !$0.isEmpty }
        }
        return Set(addresses).sorted()
    }

    private static func hosts(_ ingress: PrintedObject) -> String {
        let rules = ingress.spec?["rules"]?.elements ?? []
        var hosts: [String] = []
        var isCut = false
        for rule in rules {
            if hosts.count == 3 { isCut = true }
            if !isCut, let host = rule["host"]?.string, !host.isEmpty { hosts.append(host) }
        }
        if hosts.isEmpty { return "*" }
        return hosts.joined(separator: ",") + (isCut ? " + \(rules.count - 3) more..." : "")
    }

    private static func endpoints(_ object: PrintedObject) -> String {
        let subsets = object.json["subsets"]?.elements ?? []
        if subsets.isEmpty { return "<none>" }
        var list: [String] = []
        for subset in subsets {
            let addresses = (subset["addresses"]?.elements ?? []).compactMap { $0["ip"]?.string }
            let ports = subset["ports"]?.elements ?? []
            if ports.isEmpty { list += addresses }
            for port in ports {
                list += addresses.map { address in
                    let host = address.contains(":") ? "[\(address)]" : address
                    return "\(host):\(port["port"]?.int ?? 0)"
                }
            }
        }
        let shown = list.prefix(3).joined(separator: ",")
        return list.count > 3 ? "\(shown) + \(list.count - 3) more..." : shown
    }
}
