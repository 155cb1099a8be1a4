// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem

/// Services: gives them addresses and node ports (upstream: `registry/core/service/storage/alloc.go`).
struct ServiceBehaviour: ResourceBehaviour {
    let addresses: AddressAllocator
    let ports: PortAllocator
    var traits: ResourceTraits { BehaviourTable.traits("services") }

    init(settings: RegistrySettings) {
        addresses = AddressAllocator(range: settings.serviceRange)
        ports = PortAllocator(range: settings.nodePorts)
    }

    func prepare(_ change: Change, _ object: inout KubeObject) async throws {
        guard change.subresource.isEmpty else { return }
        addresses.load(from: change.registry)
        ports.load(from: change.registry)
        if let old = change.old { Self.inherit(&object, old) }
        settleFamilies(&object)
        try allocateAddress(&object, change)
        try allocatePorts(&object, change)
    }

    /// What an update leaves out stays, unless the type says otherwise.
    private static func inherit(_ object: inout KubeObject, _ old: KubeObject) {
        guard hasAddress(object), hasAddress(old) else { return }
        for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] where object.spec[key] == nil {
            object.json["spec", key] = old.spec[key]
        }
        guard usesNodePorts(object), usesNodePorts(old), var wanted = object.spec["ports"]?.array else { return }
        for index in wanted.indices where wanted[index]["nodePort"]?.int ?? 0 == 0 {
            let match = old.spec["ports"]?.elements.first {
                $0["port"] == wanted[index]["port"] && $0["protocol"] == wanted[index]["protocol"]
            }
            if let port = match?["nodePort"] { wanted[index]["nodePort"] = port }
        }
        object.json["spec", "ports"] = .array(wanted)
    }

    static func type(_ object: KubeObject) -> String { object.spec["type"]?.string ?? "ClusterIP" }
    static func hasAddress(_ object: KubeObject) -> Bool { type(object) != "ExternalName" }
    static func usesNodePorts(_ object: KubeObject) -> Bool {
        switch type(object) {
        case "NodePort": true
        case "LoadBalancer": object.spec["allocateLoadBalancerNodePorts"]?.bool ?? true
        default: false
        }
    }

    private func settleFamilies(_ object: inout KubeObject) {
        guard Self.hasAddress(object) else {
            for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] { object.json["spec", key] = nil }
            return
        }
        if object.spec["ipFamilyPolicy"] == nil { object.json["spec", "ipFamilyPolicy"] = "SingleStack" }
        if object.spec["ipFamilies"]?.elements.isEmpty ?? true {
            object.json["spec", "ipFamilies"] = [addresses.isIPv6 ? "IPv6" : "IPv4"]
        }
        if object.spec["internalTrafficPolicy"] == nil { object.json["spec", "internalTrafficPolicy"] = "Cluster" }
    }

    // MARK: Addresses

    private func allocateAddress(_ object: inout KubeObject, _ change: Change) throws(StatusError) {
        guard Self.hasAddress(object) else { return }
        let wanted = object.spec["clusterIP"]?.string ?? object.spec["clusterIPs"]?[0]?.string ?? ""
        if wanted == "None" {
            object.json["spec", "clusterIPs"] = ["None"]
            object.json["spec", "clusterIP"] = "None"
            return
        }
        let address: String
        let records = ServiceAddressRecords(change.registry)
        if !wanted.isEmpty {
            if wanted != change.old?.spec["clusterIP"]?.string {
                try addresses.take(wanted, for: object, attempt: change.attempt, records)
            }
            address = wanted
        } else {
            address = try addresses.takeAny(for: object, attempt: change.attempt, records)
        }
        object.json["spec", "clusterIP"] = .string(address)
        object.json["spec", "clusterIPs"] = [.string(address)]
    }

    // MARK: Ports

    private func allocatePorts(_ object: inout KubeObject, _ change: Change) throws(StatusError) {
        guard var list = object.spec["ports"]?.array else { return }
        let uses = Self.usesNodePorts(object)
        let before = Set((change.old?.spec["ports"]?.elements ?? []).compactMap { $0["nodePort"]?.int })
        // One node port may serve a TCP and a UDP port of the same service.
        var shared: [Int: Int] = [:]
        for index in list.indices {
            let wanted = list[index]["nodePort"]?.int ?? 0
            guard uses || wanted != 0 else { continue }
            guard uses else {
                list[index]["nodePort"] = nil
                continue
            }
            let port = list[index]["port"]?.int ?? 0
            if wanted != 0 {
                if !before.contains(wanted), !shared.values.contains(wanted) {
                    try ports.take(wanted, for: object, attempt: change.attempt, index: index)
                }
                shared[port] = wanted
            } else {
                var chosen = shared[port] ?? 0
                if chosen == 0 { chosen = try ports.takeAny(for: object, attempt: change.attempt) }
                list[index]["nodePort"] = JSON(chosen)
                shared[port] = chosen
            }
        }
        object.json["spec", "ports"] = .array(list)
    }

    // MARK: Afterwards

    func problems(_ change: Change, _ object: KubeObject) -> [StatusError.Cause] {
        guard let old = change.old, Self.hasAddress(old), Self.hasAddress(object),
            let before = old.spec["clusterIP"]?.string, before != object.spec["clusterIP"]?.string
        else { return [] }
        let value = object.spec["clusterIPs"] ?? .null
        return [
            .init(
                reason: "FieldValueInvalid", message: "Invalid value: \(value): may not change once set",
                field: "spec.clusterIPs[0]")
        ]
    }

    func written(_ change: Change, _ object: KubeObject) async {
        guard change.subresource.isEmpty else { return }
        settle(change, object)
        if change.isDryRun { return }
        let isGone = change.operation == .delete || Registry.completesDeletion(object, change.served)
        await ServiceAddressRecords(change.registry).settle(
            object, before: change.old.flatMap(ServiceAddressRecords.address),
            after: isGone ? nil : ServiceAddressRecords.address(of: object))
    }

    func abandoned(_ change: Change, _ object: KubeObject) async {
        guard change.subresource.isEmpty else { return }
        settle(change, object)
    }

    /// Gives back what this attempt took and the stored service does not have.
    private func settle(_ change: Change, _ object: KubeObject) {
        let stored = { () -> KubeObject? in
            let current = change.registry.cachedObject(change.resource, object.namespace, object.name)
            return current?.uid == object.uid ? current : nil
        }
        addresses.settle(object.uid, attempt: change.attempt, stored: stored)
        ports.settle(object.uid, attempt: change.attempt, stored: stored)
    }
}
