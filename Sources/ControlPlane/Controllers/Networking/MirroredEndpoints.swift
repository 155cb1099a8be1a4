// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem

/// What EndpointSlices that mirror an Endpoints object hold: pure functions of that object
/// (upstream: `k8s.io/endpointslicemirroring`).
enum MirroredEndpoints {
    /// Addresses of one subset that are mirrored, at most (upstream's default).
    static let subsetLimit = 1000

    /// The contents of one slice.
    struct Content: Hashable, Sendable {
        var addressType: String
        var ports: JSON
        var endpoints: JSON
    }

    /// Whether an Endpoints object is to be mirrored: nobody has said otherwise, and it is not an old kind of lock.
    static func isWanted(_ endpoints: KubeObject) -> Bool {
        endpoints.labels["endpointslice.kubernetes.io/skip-mirror"] != "true"
            && endpoints.annotations["control-plane.alpha.kubernetes.io/leader"] == nil
    }

    /// The annotations that slices take over.
    static func annotations(of endpoints: KubeObject) -> [String: String] {
        var annotations = endpoints.annotations
        annotations["endpoints.kubernetes.io/last-change-trigger-time"] = nil
        annotations["kubectl.kubernetes.io/last-applied-configuration"] = nil
        return annotations
    }

    /// The slices' contents: one for each set of ports and family of addresses, and more where they get too long.
    static func contents(of endpoints: KubeObject) -> [Content] {
        var groups: [(addressType: String, ports: JSON, endpoints: [JSON])] = []
        for subset in endpoints.json["subsets"]?.elements ?? [] {
            let ports = Self.ports(of: subset)
            for (addressType, endpoint) in Self.endpoints(of: subset) {
                if let index = groups.firstIndex(where: { $0.addressType == addressType && $0.ports == ports }) {
                    groups[index].endpoints.append(endpoint)
                } else {
                    groups.append((addressType, ports, [endpoint]))
                }
            }
        }
        return groups.flatMap { group in
            stride(from: 0, to: group.endpoints.count, by: ServiceEndpoints.sliceLimit).map { start in
                let end = min(start + ServiceEndpoints.sliceLimit, group.endpoints.count)
                return Content(
                    addressType: group.addressType, ports: group.ports,
                    endpoints: .array(Array(group.endpoints[start..<end])))
            }
        }
    }

    private static func ports(of subset: JSON) -> JSON {
        .array(
            (subset["ports"]?.elements ?? []).map { port in
                var result: JSON = [
                    "name": .string(port["name"]?.string ?? ""), "port": port["port"] ?? 0,
                    "protocol": .string(port["protocol"]?.string ?? "TCP"),
                ]
                if let appProtocol = port["appProtocol"]?.string { result["appProtocol"] = .string(appProtocol) }
                return result
            })
    }

    private static func endpoints(of subset: JSON) -> [(addressType: String, endpoint: JSON)] {
        let ready = (subset["addresses"]?.elements ?? []).map { ($0, true) }
        let others = (subset["notReadyAddresses"]?.elements ?? []).map { ($0, false) }
        return (ready + others).prefix(subsetLimit).compactMap { address, isReady in
            // What is no address cannot be mirrored; the API refuses it anyway.
            guard let text = address["ip"]?.string, let parsed = IPAddress(text) else { return nil }
            var endpoint: JSON = ["addresses": [.string(text)], "conditions": ["ready": .bool(isReady)]]
            if let hostname = address["hostname"]?.string, !hostname.isEmpty {
                endpoint["hostname"] = .string(hostname)
            }
            for member in ["nodeName", "targetRef"] where address[member] != nil { endpoint[member] = address[member] }
            return (parsed.isV6 ? "IPv6" : "IPv4", endpoint)
        }
    }
}
