// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import LinuxSystem

/// The service `kubernetes` in `default`, by which pods find the API, with its endpoints.
struct KubernetesService: Sendable {
    let client: InProcessClient
    let registry: Registry
    let advertised: APIServerConfiguration.Advertisement

    private static let name = "kubernetes"
    private static let namespace = "default"
    private static let labels: JSON = ["component": "apiserver", "provider": "kubernetes"]

    func ensure() async throws {
        guard let range = IPNetwork(registry.settings.serviceRange), let address = range.network.address.advanced(by: 1)
        else {
            throw StatusError.internalError("the service range \(registry.settings.serviceRange) is not a CIDR range")
        }
        try await put(.init("", "v1", "services"), service(address.description, isIPv6: address.isV6))
        try await put(.init("", "v1", "endpoints"), endpoints())
        try await put(.init("discovery.k8s.io", "v1", "endpointslices"), slice())
    }

    private func put(_ resource: GroupVersionResource, _ wanted: KubeObject) async throws {
        guard let existing = registry.cachedObject(resource, Self.namespace, wanted.name) else {
            do {
                _ = try await client.create(resource, object: wanted)
            } catch let error as StatusError where error.isAlreadyExists {
                // Another server was faster.
            }
            return
        }
        var merged = existing
        for member in ["subsets", "endpoints", "ports"] { merged.json[member] = wanted.json[member] }
        for (key, value) in wanted.annotations { merged.json["metadata", "annotations", key] = .string(value) }
        if merged != existing { _ = try await client.update(resource, object: merged) }
    }

    private func object(_ kind: GroupVersionKind) -> KubeObject {
        var object = KubeObject(kind, namespace: Self.namespace, name: Self.name)
        object.json["metadata", "labels"] = Self.labels
        return object
    }

    private func service(_ address: String, isIPv6: Bool) -> KubeObject {
        var object = object(.init("", "v1", "Service"))
        object.spec = [
            "clusterIP": .string(address), "clusterIPs": [.string(address)], "type": "ClusterIP",
            "ipFamilies": [isIPv6 ? "IPv6" : "IPv4"], "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "ports": [
                ["name": "https", "port": 443, "protocol": "TCP", "targetPort": JSON(advertised.endpoint.port)]
            ],
        ]
        return object
    }

    private func endpoints() -> KubeObject {
        var object = object(.init("", "v1", "Endpoints"))
        object.json["metadata", "labels"] = ["endpointslice.kubernetes.io/skip-mirror": "true"]
        object.json["subsets"] = [
            [
                "addresses": [["ip": .string(advertised.endpoint.host)]],
                "ports": [["name": "https", "port": JSON(advertised.endpoint.port), "protocol": "TCP"]],
            ]
        ]
        return object
    }

    private func slice() -> KubeObject {
        var object = object(.init("discovery.k8s.io", "v1", "EndpointSlice"))
        object.json["metadata", "labels"] = ["kubernetes.io/service-name": "kubernetes"]
        if !advertised.servers.isEmpty {
            object.json["metadata", "annotations"] = [
                APIServerConfiguration.Advertisement.serversAnnotation: .string(
                    advertised.servers.joined(separator: " "))
            ]
        }
        let endpoint = advertised.endpoint
        object.json["addressType"] = endpoint.host.contains(":") ? "IPv6" : "IPv4"
        object.json["endpoints"] = [
            ["addresses": [.string(endpoint.host)], "conditions": ["ready": true]]
        ]
        object.json["ports"] = [["name": "https", "port": JSON(endpoint.port), "protocol": "TCP"]]
        return object
    }
}
