// SPDX-License-Identifier: Apache-2.0

import JSON

/// Rules for Services, their endpoints, Ingress and NetworkPolicy.
extension Validator {
    private static let notAnAddress = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"

    mutating func service(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        let path = FieldPath("spec")
        let type = spec.text("type")
        let isHeadless = spec.text("clusterIP") == "None"
        let ports = spec.list("ports")
        if ports.isEmpty, !isHeadless, type != "ExternalName" { add(.required(path.child("ports"))) }
        if isHeadless, type == "LoadBalancer" || type == "NodePort" {
            let reason = "may not be set to 'None' for \(type) services"
            add(.invalid(path.child("clusterIPs").index(0), "None", reason))
        }
        if type == "ExternalName" { externalName(spec, path) }
        servicePorts(ports, path.child("ports"), type: type, isHeadless: isHeadless)
        labels(spec["selector"], path.child("selector"))
        choice(spec, "sessionAffinity", path, ["ClientIP", "None"])
        if let seconds = spec["sessionAffinityConfig"]?["clientIP"]?["timeoutSeconds"]?.int,
            !(1...86_400).contains(seconds)
        {
            let place = path.child("sessionAffinityConfig", "clientIP", "timeoutSeconds")
            add(.invalid(place, JSON(seconds), "must be greater than 0 and less than 86400"))
        }
        choice(spec, "type", path, ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"])
        serviceAddresses(spec, path, type: type)
        servicePolicies(spec, path, type: type)
    }

    private mutating func externalName(_ spec: JSON, _ path: FieldPath) {
        if !spec.list("clusterIPs").isEmpty {
            add(.forbidden(path.child("clusterIPs"), "may not be set for ExternalName services"))
        }
        var name = spec.text("externalName")
        if name.hasSuffix(".") { name.removeLast() }
        if name.isEmpty {
            add(.required(path.child("externalName")))
        } else {
            add(NameSyntax.dns1123Subdomain(name), path.child("externalName"), .string(name))
        }
    }

    private mutating func servicePorts(_ ports: [JSON], _ path: FieldPath, type: String, isHeadless: Bool) {
        var names: Set<String> = []
        var numbers: Set<String> = []
        var nodePorts: Set<String> = []
        for (index, port) in ports.enumerated() {
            let path = path.index(index)
            let name = port.text("name")
            if name.isEmpty {
                if ports.count > 1 { add(.required(path.child("name"))) }
            } else {
                add(NameSyntax.dns1123Label(name), path.child("name"), .string(name))
                if !names.insert(name).inserted { add(.duplicate(path.child("name"), .string(name))) }
            }
            let number = port["port"]?.int ?? 0
            add(NameSyntax.port(number), path.child("port"), JSON(number))
            choice(port, "protocol", path, ["SCTP", "TCP", "UDP"])
            portNumberOrName(port["targetPort"], path.child("targetPort"))
            let transport = port.text("protocol")
            if !numbers.insert("\(transport)/\(number)").inserted {
                add(.duplicate(path, ["port": JSON(number), "protocol": .string(transport)]))
            }
            guard let nodePort = port["nodePort"]?.int, nodePort != 0 else { continue }
            if type == "ClusterIP" {
                add(.forbidden(path.child("nodePort"), "may not be used when `type` is 'ClusterIP'"))
            }
            if !nodePorts.insert("\(transport)/\(nodePort)").inserted {
                add(.duplicate(path.child("nodePort"), JSON(nodePort)))
            }
        }
    }

    private mutating func serviceAddresses(_ spec: JSON, _ path: FieldPath, type: String) {
        for (index, address) in spec.list("externalIPs").enumerated()
        where !AddressSyntax.isAddress(address.string ?? "") {
            add(.invalid(path.child("externalIPs").index(index), address, Self.notAnAddress))
        }
        let addresses = spec.list("clusterIPs")
        for (index, address) in addresses.enumerated() where type != "ExternalName" {
            if address == "None" {
                if addresses.count > 1 {
                    let reason = "'None' must be the first and only value"
                    add(.invalid(path.child("clusterIPs"), .array(addresses), reason))
                }
            } else if !AddressSyntax.isAddress(address.string ?? "") {
                add(.invalid(path.child("clusterIPs").index(index), address, Self.notAnAddress))
            }
        }
        let first = spec.text("clusterIP")
        if let second = addresses.first, type != "ExternalName", second != .string(first) {
            add(.invalid(path.child("clusterIPs"), .array(addresses), "first value must match `clusterIP`"))
        } else if addresses.isEmpty, !first.isEmpty, first != "None", !AddressSyntax.isAddress(first) {
            add(.invalid(path.child("clusterIPs").index(0), .string(first), Self.notAnAddress))
        }
        for (index, range) in spec.list("loadBalancerSourceRanges").enumerated() {
            let place = path.child("loadBalancerSourceRanges").index(index)
            if !AddressSyntax.isRange(range.string ?? "") {
                let reason = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
                add(.invalid(place, range, reason))
            }
        }
    }

    private mutating func servicePolicies(_ spec: JSON, _ path: FieldPath, type: String) {
        if spec.value("allocateLoadBalancerNodePorts") != nil, type != "LoadBalancer" {
            let reason = "may only be used when `type` is 'LoadBalancer'"
            add(.forbidden(path.child("allocateLoadBalancerNodePorts"), reason))
        }
        if !spec.list("loadBalancerSourceRanges").isEmpty, type != "LoadBalancer" {
            let reason = "may only be used when `type` is 'LoadBalancer'"
            add(.forbidden(path.child("LoadBalancerSourceRanges"), reason))
        }
        choice(spec, "internalTrafficPolicy", path, ["Cluster", "Local"], optional: true)
        choice(spec, "externalTrafficPolicy", path, ["Cluster", "Local"], optional: true)
        let isExternal =
            type == "LoadBalancer" || type == "NodePort" || type == "ClusterIP" && !spec.list("externalIPs").isEmpty
        if !spec.text("externalTrafficPolicy").isEmpty, !isExternal {
            let value = JSON.string(spec.text("externalTrafficPolicy"))
            add(
                .invalid(
                    path.child("externalTrafficPolicy"), value, "may only be set for externally-accessible services"))
        }
        let policies = ["SingleStack", "PreferDualStack", "RequireDualStack"]
        choice(spec, "ipFamilyPolicy", path, policies, optional: true)
        for (index, family) in spec.list("ipFamilies").enumerated() where family != "IPv4" && family != "IPv6" {
            add(.unsupported(path.child("ipFamilies").index(index), family, ["IPv4", "IPv6"]))
        }
    }

    /// The cluster's address of a service stays, unless its type changes.
    mutating func serviceUpdate(_ new: JSON, _ old: JSON) {
        let new = new["spec"] ?? [:]
        let old = old["spec"] ?? [:]
        let isStable = new.text("type") != "ExternalName" && old.text("type") != "ExternalName"
        guard isStable, !old.text("clusterIP").isEmpty else { return }
        if new.text("clusterIP") != old.text("clusterIP") {
            let place = FieldPath("spec").child("clusterIPs").index(0)
            let value = new.list("clusterIPs").first ?? .string(new.text("clusterIP"))
            add(.invalid(place, value, "may not change once set"))
        }
    }

    // MARK: Endpoints

    mutating func endpoints(_ object: JSON) {
        for (index, subset) in object.list("subsets").enumerated() {
            let path = FieldPath("subsets").index(index)
            if subset.list("addresses").isEmpty, subset.list("notReadyAddresses").isEmpty {
                add(.required(path, "must specify `addresses` or `notReadyAddresses`"))
            }
            for key in ["addresses", "notReadyAddresses"] {
                for (index, address) in subset.list(key).enumerated()
                where !AddressSyntax.isAddress(address.text("ip")) {
                    let place = path.child(key).index(index).child("ip")
                    add(.invalid(place, .string(address.text("ip")), Self.notAnAddress))
                }
            }
            let ports = subset.list("ports")
            for (index, port) in ports.enumerated() {
                let path = path.child("ports").index(index)
                if ports.count > 1 { text(port, "name", path, NameSyntax.dns1123Label) }
                let number = port["port"]?.int ?? 0
                add(NameSyntax.port(number), path.child("port"), JSON(number))
                choice(port, "protocol", path, ["SCTP", "TCP", "UDP"])
            }
        }
    }

    mutating func endpointSlice(_ object: JSON) {
        choice(object, "addressType", FieldPath(), ["FQDN", "IPv4", "IPv6"])
        let endpoints = object.list("endpoints")
        if endpoints.count > 1000 { add(.tooMany(FieldPath("endpoints"), endpoints.count, maximum: 1000)) }
        for (index, endpoint) in endpoints.enumerated() {
            let path = FieldPath("endpoints").index(index).child("addresses")
            let addresses = endpoint.list("addresses")
            if addresses.isEmpty { add(.required(path, "must contain at least 1 address")) }
            if addresses.count > 100 { add(.tooMany(path, addresses.count, maximum: 100)) }
            for (index, address) in addresses.enumerated() {
                let text = address.string ?? ""
                switch object.text("addressType") {
                case "IPv4":
                    if !AddressSyntax.isIPv4(text) {
                        add(.invalid(path.index(index), address, "must be a valid IPv4 address"))
                    }
                case "IPv6":
                    if !AddressSyntax.isIPv6(text) {
                        add(.invalid(path.index(index), address, "must be a valid IPv6 address"))
                    }
                default: add(NameSyntax.dns1123Subdomain(text), path.index(index), address)
                }
            }
        }
        var names: Set<String> = []
        for (index, port) in object.list("ports").enumerated() {
            let path = FieldPath("ports").index(index)
            let name = port.text("name")
            if !name.isEmpty { add(NameSyntax.dns1123Label(name), path.child("name"), .string(name)) }
            if !names.insert(name).inserted { add(.duplicate(path.child("name"), .string(name))) }
            choice(port, "protocol", path, ["SCTP", "TCP", "UDP"])
        }
    }

    // MARK: Ingress and NetworkPolicy

    mutating func ingress(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        let path = FieldPath("spec")
        if spec.list("rules").isEmpty, spec.value("defaultBackend") == nil {
            let reason = "either `defaultBackend` or `rules` must be specified"
            add(.invalid(path, .array(spec.list("rules")), reason))
        }
        optionalText(spec, "ingressClassName", path, NameSyntax.dns1123Subdomain)
        if let backend = spec.value("defaultBackend") { ingressBackend(backend, path.child("defaultBackend")) }
        for (index, rule) in spec.list("rules").enumerated() {
            let path = path.child("rules").index(index)
            let host = rule.text("host")
            if AddressSyntax.isAddress(host) {
                add(.invalid(path.child("host"), .string(host), "must be a DNS name, not an IP address"))
            } else if host.contains("*") {
                add(NameSyntax.wildcardSubdomain(host), path.child("host"), .string(host))
            } else if !host.isEmpty {
                add(NameSyntax.dns1123Subdomain(host), path.child("host"), .string(host))
            }
            guard let http = rule.value("http") else { continue }
            if http.list("paths").isEmpty { add(.required(path.child("http", "paths"))) }
            for (index, route) in http.list("paths").enumerated() {
                ingressPath(route, path.child("http", "paths").index(index))
            }
        }
    }

    private mutating func ingressPath(_ route: JSON, _ path: FieldPath) {
        let types = ["Exact", "ImplementationSpecific", "Prefix"]
        if route.text("pathType").isEmpty {
            add(.required(path.child("pathType"), "pathType must be specified"))
        } else {
            choice(route, "pathType", path, types)
        }
        let text = route.text("path")
        if route.text("pathType") != "ImplementationSpecific" || !text.isEmpty, !text.hasPrefix("/") {
            add(.invalid(path.child("path"), .string(text), "must be an absolute path"))
        }
        ingressBackend(route["backend"] ?? [:], path.child("backend"))
    }

    private mutating func ingressBackend(_ backend: JSON, _ path: FieldPath) {
        let service = backend.value("service")
        if service != nil, backend.value("resource") != nil {
            add(.invalid(path, "", "cannot set both resource and service backends"))
        } else if backend.value("resource") == nil {
            guard let service else {
                add(.required(path, "either `service` or `resource` is required"))
                return
            }
            text(service, "name", path.child("service"), NameSyntax.dns1035Label)
            let port = service["port"] ?? [:]
            let number = port["number"]?.int ?? 0
            if port.text("name").isEmpty, number == 0 {
                add(.required(path.child("service", "port"), "port name or number is required"))
            } else if port.text("name").isEmpty {
                add(NameSyntax.port(number), path.child("service", "port", "number"), JSON(number))
            }
        }
    }

    mutating func networkPolicy(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        let path = FieldPath("spec")
        labelSelector(spec["podSelector"], path.child("podSelector"))
        for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
            for (index, rule) in spec.list(direction).enumerated() {
                let path = path.child(direction).index(index)
                for (index, port) in rule.list("ports").enumerated() {
                    let path = path.child("ports").index(index)
                    choice(port, "protocol", path, ["SCTP", "TCP", "UDP"], optional: true)
                    if port.value("port") != nil { portNumberOrName(port["port"], path.child("port")) }
                }
                for (index, peer) in rule.list(peers).enumerated() {
                    networkPeer(peer, path.child(peers).index(index))
                }
            }
        }
        let types = spec.list("policyTypes")
        for (index, type) in types.enumerated() where type != "Ingress" && type != "Egress" {
            add(.unsupported(path.child("policyTypes").index(index), type, ["Egress", "Ingress"]))
        }
    }

    private mutating func networkPeer(_ peer: JSON, _ path: FieldPath) {
        labelSelector(peer["podSelector"], path.child("podSelector"))
        labelSelector(peer["namespaceSelector"], path.child("namespaceSelector"))
        let hasSelector = peer.value("podSelector") != nil || peer.value("namespaceSelector") != nil
        guard let block = peer.value("ipBlock") else {
            if !hasSelector { add(.required(path, "must specify a peer")) }
            return
        }
        if hasSelector { add(.forbidden(path, "may not specify both ipBlock and another peer")) }
        let range = block.text("cidr")
        if range.isEmpty {
            add(.required(path.child("ipBlock", "cidr")))
        } else if !AddressSyntax.isRange(range) {
            let reason = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            add(.invalid(path.child("ipBlock", "cidr"), .string(range), reason))
        }
    }
}
