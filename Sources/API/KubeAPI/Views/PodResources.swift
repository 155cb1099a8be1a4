// SPDX-License-Identifier: Apache-2.0

import JSON

extension PodView {
    /// What the pod asks of a node, by resource name: the scheduler's sum.
    ///
    /// Containers run together with the sidecars before them; init containers run alone beside the sidecars that are
    /// already up. The larger need counts, and the pod's overhead comes on top (KEP-753). Requests that the pod states as
    /// a whole (KEP-2837) take the place of the sum.
    package var requests: [String: Quantity] { total("requests") { Self.resources(of: $0, "requests") } }

    /// What the pod takes from its node: as ``requests``, but while a resize is under way the most of what its containers ask
    /// for, were granted and have; what the node can never grant does not count (upstream: UseStatusResources).
    package var reservedRequests: [String: Quantity] {
        let statuses = ["containerStatuses", "initContainerStatuses"].flatMap { object.status[$0]?.elements ?? [] }
        guard statuses.contains(where: { $0["allocatedResources"] != nil }) else { return requests }
        let isInfeasible = (object.status["conditions"]?.elements ?? []).contains {
            $0["type"] == "PodResizePending" && $0["reason"] == "Infeasible"
        }
        return total("requests") { container in
            let wanted = Self.resources(of: container, "requests")
            guard let status = statuses.first(where: { $0["name"] == container["name"] }),
                let allocated = status["allocatedResources"]
            else { return wanted }
            var most = isInfeasible ? [:] : wanted
            most.raise(to: Self.quantities(allocated))
            most.raise(to: Self.quantities(status["resources"]?["requests"]))
            return most
        }
    }

    /// Whether the pod states requests or limits as a whole (upstream: IsPodLevelResourcesSet).
    package var hasOwnResources: Bool {
        ["requests", "limits"].contains { kind in
            (object.spec["resources"]?[kind]?.members ?? [:]).contains { Self.isOfWholePods($0.key) }
        }
    }

    /// Whether pods may state a resource as a whole.
    static func isOfWholePods(_ resource: String) -> Bool {
        resource == "cpu" || resource == "memory" || resource.hasPrefix("hugepages-")
    }

    /// What the containers request together, whatever the pod states as a whole.
    var containerRequests: [String: Quantity] {
        var pod = object
        pod.spec["resources"] = nil
        pod.spec["overhead"] = nil
        return PodView(pod).requests
    }

    /// The limits, summed in the same way.
    package var limits: [String: Quantity] { total("limits") { Self.resources(of: $0, "limits") } }

    private func total(_ kind: String, of resources: (JSON) -> [String: Quantity]) -> [String: Quantity] {
        var running: [String: Quantity] = [:]
        for container in containers { running.add(resources(container)) }
        var sidecars: [String: Quantity] = [:]
        var peak: [String: Quantity] = [:]
        for container in initContainers {
            let wanted = resources(container)
            if container["restartPolicy"]?.string == "Always" {
                sidecars.add(wanted)
                peak.raise(to: sidecars)
            } else {
                var together = sidecars
                together.add(wanted)
                peak.raise(to: together)
            }
        }
        running.add(sidecars)
        running.raise(to: peak)
        for (name, quantity) in Self.quantities(object.json["spec"]?["resources"]?[kind]) { running[name] = quantity }
        running.add(Self.quantities(object.json["spec"]?["overhead"]))
        return running
    }

    private static func resources(of container: JSON, _ kind: String) -> [String: Quantity] {
        quantities(container["resources"]?[kind])
    }

    private static func quantities(_ json: JSON?) -> [String: Quantity] {
        var result: [String: Quantity] = [:]
        for (name, value) in json?.members ?? [:] { result[name] = Quantity(value) }
        return result
    }

    /// The ports that the pod takes on its node.
    package var hostPorts: [HostPort] {
        let sidecars = initContainers.filter { $0["restartPolicy"]?.string == "Always" }
        return (containers + sidecars).flatMap { $0["ports"]?.elements ?? [] }.compactMap { port in
            guard let number = port["hostPort"]?.int, number > 0 else { return nil }
            return HostPort(
                address: port["hostIP"]?.string ?? "", proto: port["protocol"]?.string ?? "TCP", port: number)
        }
    }
}

/// A port of a node that a pod takes.
package struct HostPort: Hashable, Sendable {
    /// Empty, `0.0.0.0` or `::` for all addresses.
    package var address: String
    package var proto: String
    package var port: Int

    private var isWildcard: Bool { address.isEmpty || address == "0.0.0.0" || address == "::" }

    /// Whether both cannot be taken on one node.
    package func conflicts(with other: HostPort) -> Bool {
        port == other.port && proto == other.proto
            && (isWildcard || other.isWildcard || address == other.address)
    }
}

extension [String: Quantity] {
    fileprivate mutating func add(_ other: [String: Quantity]) {
        for (name, quantity) in other { self[name, default: .zero] += quantity }
    }

    fileprivate mutating func raise(to other: [String: Quantity]) {
        for (name, quantity) in other where quantity > self[name] ?? .zero { self[name] = quantity }
    }
}
