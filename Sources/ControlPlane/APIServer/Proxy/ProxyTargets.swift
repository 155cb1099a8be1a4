// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI

/// `[SCHEME:]NAME[:PORT]`, as the names in proxy requests are written.
struct ProxyName: Hashable, Sendable {
    var isHTTPS = false
    var name: String
    var port: String

    /// - Throws: `BadRequest` for anything else.
    init(_ text: String, _ kind: String) throws(StatusError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        switch parts.count {
        case 1: (name, port) = (parts[0], "")
        case 2: (name, port) = (parts[0], parts[1])
        case 3 where parts[0] == "http" || parts[0] == "https" || parts[0].isEmpty:
            (isHTTPS, name, port) = (parts[0] == "https", parts[1], parts[2])
        default: throw .badRequest("invalid \(kind) request \"\(text)\"")
        }
    }

    /// Certificates inside the cluster are nobody's to verify (as upstream's proxy transport).
    var tls: HTTPClientTLS? { isHTTPS ? HTTPClientTLS(verification: .none) : nil }
}

/// Finds what a `pods/proxy` request wants.
struct PodTarget: Sendable {
    private let registry: Registry

    init(_ registry: Registry) { self.registry = registry }

    func find(_ info: RequestInfo) async throws -> ProxyTarget {
        let wanted = try ProxyName(info.name, "pod")
        let served = try registry.served(.init("", "v1", "pods"))
        let pod = try StoredObjectDecoder.decode(
            try await registry.value(served, namespace: info.namespace, name: wanted.name))
        guard let address = pod.status["podIP"]?.string, !address.isEmpty else {
            throw StatusError.badRequest("address not allowed")
        }
        let first = pod.spec["containers"]?.elements.lazy.flatMap { $0["ports"]?.elements ?? [] }.first
        let port = Int(wanted.port) ?? first?["containerPort"]?.int ?? (wanted.isHTTPS ? 443 : 80)
        return ProxyTarget(host: address, port: port, tls: wanted.tls)
    }
}

/// Finds what a `services/proxy` request wants: one of the service's ready endpoints.
struct ServiceTarget: Sendable {
    private let registry: Registry

    init(_ registry: Registry) { self.registry = registry }

    func find(_ info: RequestInfo) throws -> ProxyTarget {
        let wanted = try ProxyName(info.name, "service")
        let services = GroupVersionResource("", "v1", "services")
        guard let service = registry.cachedObject(services, info.namespace, wanted.name) else {
            throw StatusError.notFound(services, wanted.name)
        }
        let ports = service.spec["ports"]?.elements ?? []
        let port = ports.first { port in
            if wanted.port.isEmpty { return ports.count == 1 }
            return port["name"]?.string == wanted.port || port["port"]?.int == Int(wanted.port)
        }
        guard let port else {
            throw Self.unavailable("no service port \"\(wanted.port)\" found for service \"\(wanted.name)\"")
        }
        guard let endpoint = endpoints(info.namespace, wanted.name, port["name"]?.string ?? "").randomElement() else {
            throw Self.unavailable("no endpoints available for service \"\(wanted.name)\"")
        }
        return ProxyTarget(host: endpoint.host, port: endpoint.port, tls: wanted.tls)
    }

    private func endpoints(_ namespace: String, _ service: String, _ port: String) -> [(host: String, port: Int)] {
        var found: [(host: String, port: Int)] = []
        for slice in registry.cachedObjects(.init("discovery.k8s.io", "v1", "endpointslices"), namespace)
        where slice.labels["kubernetes.io/service-name"] == service {
            let number = slice.json["ports"]?.elements.first { ($0["name"]?.string ?? "") == port }?["port"]?.int
            guard let number else { continue }
            for endpoint in slice.json["endpoints"]?.elements ?? []
            where endpoint["conditions"]?["ready"]?.bool ?? true {
                if let host = endpoint["addresses"]?[0]?.string { found.append((host, number)) }
            }
        }
        return found
    }

    private static func unavailable(_ why: String) -> StatusError {
        StatusError(code: 503, reason: StatusError.Reason.serviceUnavailable, message: why, details: .init())
    }
}
