// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// The endpoints of a Service, computed from its pods: pure functions that the EndpointSlice and the Endpoints
/// controllers share.
enum ServiceEndpoints {
    /// Endpoints of one EndpointSlice, at most (upstream's default).
    static let sliceLimit = 100
    /// Endpoints of one Endpoints object, at most.
    static let endpointsLimit = 1000

    /// A port of the Service as its pods serve it.
    struct Port: Hashable, Sendable {
        var name: String
        var port: Int
        var proto: String
        var appProtocol: String?
    }

    /// A pod behind the Service.
    struct Endpoint: Hashable, Sendable {
        var address: String
        var pod: ObjectKey
        var podUID: String
        var nodeName: String
        var hostname: String?
        var isReady: Bool
        var isServing: Bool
        var isTerminating: Bool
        var ports: [Port]
    }

    /// The pods that the Service's selector chooses, as endpoints, in a stable order.
    static func endpoints(of service: KubeObject, pods: [KubeObject]) -> [Endpoint] {
        let publishNotReady = service.spec["publishNotReadyAddresses"]?.bool ?? false
        return pods.compactMap { object -> Endpoint? in
            let pod = PodView(object)
            guard !pod.isTerminal, !pod.podIP.isEmpty else { return nil }
            let isTerminating = object.isBeingDeleted
            let isServing = pod.isReady
            return Endpoint(
                address: pod.podIP, pod: object.key, podUID: object.uid, nodeName: pod.nodeName,
                hostname: hostname(of: object, in: service), isReady: publishNotReady || (isServing && !isTerminating),
                isServing: publishNotReady || isServing, isTerminating: isTerminating,
                ports: ports(of: service, for: pod))
        }.sorted { $0.pod < $1.pod }
    }

    private static func hostname(of pod: KubeObject, in service: KubeObject) -> String? {
        guard let hostname = pod.spec["hostname"]?.string, !hostname.isEmpty,
            pod.spec["subdomain"]?.string == service.name
        else { return nil }
        return hostname
    }

    private static func ports(of service: KubeObject, for pod: PodView) -> [Port] {
        (service.spec["ports"]?.elements ?? []).compactMap { port in
            let proto = port["protocol"]?.string ?? "TCP"
            guard let number = number(of: port, proto, for: pod) else { return nil }
            return Port(
                name: port["name"]?.string ?? "", port: number, proto: proto, appProtocol: port["appProtocol"]?.string)
        }
    }

    /// The port number in the pod: named ports are looked up in its containers.
    private static func number(of port: JSON, _ proto: String, for pod: PodView) -> Int? {
        switch port["targetPort"] {
        case .string(let name)?:
            let sidecars = pod.initContainers.filter { $0["restartPolicy"]?.string == "Always" }
            for container in pod.containers + sidecars {
                for candidate in container["ports"]?.elements ?? []
                where candidate["name"]?.string == name && candidate["protocol"]?.string ?? "TCP" == proto {
                    return candidate["containerPort"]?.int
                }
            }
            return nil
        case let value?: return value.int.flatMap { $0 == 0 ? nil : $0 } ?? port["port"]?.int
        case nil: return port["port"]?.int
        }
    }

    // MARK: EndpointSlices

    /// The slices' contents: endpoints with equal ports together, at most ``sliceLimit`` in each.
    static func slices(of endpoints: [Endpoint]) -> [(ports: [Port], endpoints: [Endpoint])] {
        var groups: [(ports: [Port], endpoints: [Endpoint])] = []
        for endpoint in endpoints {
            if let index = groups.firstIndex(where: { $0.ports == endpoint.ports }) {
                groups[index].endpoints.append(endpoint)
            } else {
                groups.append((endpoint.ports, [endpoint]))
            }
        }
        return groups.flatMap { group in
            stride(from: 0, to: group.endpoints.count, by: sliceLimit).map { start in
                (group.ports, Array(group.endpoints[start..<min(start + sliceLimit, group.endpoints.count)]))
            }
        }
    }

    /// `endpoints` of an EndpointSlice.
    static func sliceJSON(_ endpoints: [Endpoint]) -> JSON {
        .array(
            endpoints.map { endpoint in
                var result: JSON = [
                    "addresses": [.string(endpoint.address)],
                    "conditions": [
                        "ready": .bool(endpoint.isReady), "serving": .bool(endpoint.isServing),
                        "terminating": .bool(endpoint.isTerminating),
                    ],
                    "targetRef": targetReference(endpoint),
                ]
                if let hostname = endpoint.hostname { result["hostname"] = .string(hostname) }
                if !endpoint.nodeName.isEmpty { result["nodeName"] = .string(endpoint.nodeName) }
                return result
            })
    }

    /// `ports` of an EndpointSlice.
    static func portsJSON(_ ports: [Port]) -> JSON {
        .array(
            ports.map { port in
                var result: JSON = [
                    "name": .string(port.name), "port": JSON(port.port), "protocol": .string(port.proto),
                ]
                if let appProtocol = port.appProtocol { result["appProtocol"] = .string(appProtocol) }
                return result
            })
    }

    private static func targetReference(_ endpoint: Endpoint) -> JSON {
        [
            "kind": "Pod", "namespace": .string(endpoint.pod.namespace), "name": .string(endpoint.pod.name),
            "uid": .string(endpoint.podUID),
        ]
    }

    // MARK: Endpoints

    /// `subsets` of an Endpoints object: one for each set of ports, the ready and the others apart.
    static func subsetsJSON(_ endpoints: [Endpoint]) -> JSON {
        let counted = endpoints.filter { !$0.isTerminating }.prefix(endpointsLimit)
        var groups: [(ports: [Port], endpoints: [Endpoint])] = []
        for endpoint in counted {
            let ports = endpoint.ports.sorted { ($0.name, $0.port, $0.proto) < ($1.name, $1.port, $1.proto) }
            if let index = groups.firstIndex(where: { $0.ports == ports }) {
                groups[index].endpoints.append(endpoint)
            } else {
                groups.append((ports, [endpoint]))
            }
        }
        return .array(
            groups.map { group in
                var subset: JSON = .object([:])
                let ready = group.endpoints.filter(\.isReady).map(addressJSON)
                let notReady = group.endpoints.filter { !$0.isReady }.map(addressJSON)
                if !ready.isEmpty { subset["addresses"] = .array(ready) }
                if !notReady.isEmpty { subset["notReadyAddresses"] = .array(notReady) }
                if !group.ports.isEmpty {
                    subset["ports"] = .array(
                        group.ports.map { port in
                            var result: JSON = ["port": JSON(port.port), "protocol": .string(port.proto)]
                            if !port.name.isEmpty { result["name"] = .string(port.name) }
                            if let appProtocol = port.appProtocol { result["appProtocol"] = .string(appProtocol) }
                            return result
                        })
                }
                return subset
            })
    }

    private static func addressJSON(_ endpoint: Endpoint) -> JSON {
        var result: JSON = ["ip": .string(endpoint.address), "targetRef": targetReference(endpoint)]
        if let hostname = endpoint.hostname { result["hostname"] = .string(hostname) }
        if !endpoint.nodeName.isEmpty { result["nodeName"] = .string(endpoint.nodeName) }
        return result
    }
}
