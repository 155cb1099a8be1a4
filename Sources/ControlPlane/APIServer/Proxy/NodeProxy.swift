// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import Logging
import NIOCore
import NIOHTTP1
import Synchronization

/// Passes requests on to kubelets, pods and services: logs, exec, attach, port-forward and the three kinds of `proxy`.
/// Bytes go through untouched, so WebSocket and SPDY work alike.
struct NodeProxy: Sendable {
    let registry: Registry
    let client: HTTPUpgradeClient
    /// How kubelets are reached.
    let kubeletTLS: KubeletTLS

    /// The answer to a request for one of these subresources; nil for any other.
    func answer(_ call: APICall, _ user: UserInfo) async throws -> HTTPResponse? {
        try requireCreate(call, user)
        let info = call.info
        switch (info.groupVersionResource.groupResource, info.subresource) {
        case ("pods", "log"): return try await log(call)
        case ("pods", "exec"): return try await kubelet(call, "exec", query: streamQuery(call))
        case ("pods", "attach"): return try await kubelet(call, "attach", query: streamQuery(call))
        case ("pods", "portforward"): return try await portForward(call)
        case ("pods", "proxy"): return try await pass(call, to: try await PodTarget(registry).find(info))
        case ("services", "proxy"): return try await pass(call, to: try ServiceTarget(registry).find(info))
        case ("nodes", "proxy"): return try await pass(call, to: try await nodeTarget(info.name))
        default: return nil
        }
    }

    /// A WebSocket opens with GET; what it does needs the same right as the POST of SPDY.
    private func requireCreate(_ call: APICall, _ user: UserInfo) throws(StatusError) {
        guard call.info.verb == "get", ["exec", "attach", "portforward"].contains(call.info.subresource) else { return }
        var attributes = call.attributes(user)
        attributes.verb = "create"
        try registry.authorizer.authorize(attributes)
    }

    // MARK: Kubelets

    private func kubelet(_ call: APICall, _ action: String, query: String) async throws -> HTTPResponse {
        let pod = try await pod(call)
        let container = try Self.container(call, pod)
        let target = try await nodeTarget(try Self.node(of: pod))
        let uri = "/\(action)/\(call.info.namespace)/\(call.info.name)/\(container)"
        return try await open(call, target, uri: query.isEmpty ? uri : "\(uri)?\(query)")
    }

    private func portForward(_ call: APICall) async throws -> HTTPResponse {
        let pod = try await pod(call)
        let target = try await nodeTarget(try Self.node(of: pod))
        let ports = call.query.all("ports").map { "port=\($0.filter(\.isNumber))" }
        let uri = "/portForward/\(call.info.namespace)/\(call.info.name)"
        return try await open(call, target, uri: ports.isEmpty ? uri : "\(uri)?\(ports.joined(separator: "&"))")
    }

    func pod(_ call: APICall) async throws -> KubeObject {
        let served = try registry.served(.init("", "v1", "pods"))
        return try StoredObjectDecoder.decode(
            try await registry.value(served, namespace: call.info.namespace, name: call.info.name))
    }

    static func node(of pod: KubeObject) throws(StatusError) -> String {
        let node = pod.spec["nodeName"]?.string ?? ""
        guard !node.isEmpty else { throw .badRequest("pod \(pod.name) does not have a host assigned") }
        return node
    }

    /// The container that the request is about.
    static func container(_ call: APICall, _ pod: KubeObject) throws(StatusError) -> String {
        func names(_ list: String) -> [String] { pod.spec[list]?.elements.compactMap { $0["name"]?.string } ?? [] }
        let containers = names("containers")
        let others = names("initContainers") + names("ephemeralContainers")
        let wanted = call.query["container"] ?? ""
        if wanted.isEmpty {
            guard containers.count == 1, let only = containers.first else {
                var text = "a container name must be specified for pod \(pod.name), choose one of: "
                text += "[\(containers.joined(separator: " "))]"
                let initial = names("initContainers")
                if !initial.isEmpty { text += " or one of the init containers: [\(initial.joined(separator: " "))]" }
                throw .badRequest(text)
            }
            return only
        }
        guard (containers + others).contains(wanted) else {
            throw .badRequest("container \(wanted) is not valid for pod \(pod.name)")
        }
        return wanted
    }

    /// Where a node's kubelet listens.
    func nodeTarget(_ name: String) async throws -> ProxyTarget {
        let name = String(name.split(separator: ":").first ?? "")
        let served = try registry.served(.init("", "v1", "nodes"))
        let node = try StoredObjectDecoder.decode(try await registry.value(served, namespace: "", name: name))
        let addresses = node.status["addresses"]?.elements ?? []
        func address(_ type: String) -> String? {
            addresses.first { $0["type"]?.string == type }?["address"]?.string
        }
        guard let host = address("InternalIP") ?? address("ExternalIP") ?? address("Hostname") else {
            throw StatusError.internalError("no preferred addresses found; known addresses: []")
        }
        let port = node.status["daemonEndpoints"]?["kubeletEndpoint"]?["Port"]?.int ?? 10250
        return ProxyTarget(host: host, port: port, tls: kubeletTLS.current)
    }

    // MARK: Queries

    /// Kubelets know the streams by other names (`kubelet/server/remotecommand`).
    private func streamQuery(_ call: APICall) -> String {
        var parts: [String] = []
        for (name, kubelet) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")]
        where call.query.isTrue(name) { parts.append("\(kubelet)=1") }
        parts += call.query.all("command").map { "command=\(PercentEncoding.encode($0))" }
        return parts.joined(separator: "&")
    }

    // MARK: Passing on

    /// Passes a `proxy` request on with its path and query as they came.
    private func pass(_ call: APICall, to target: ProxyTarget) async throws -> HTTPResponse {
        let uri = call.request.uri
        guard let mark = uri.range(of: "/proxy", after: "/\(call.info.resource)/") else {
            throw Registry.noSuchResource
        }
        let rest = uri[mark...]
        if rest.isEmpty || rest.hasPrefix("?"), [.GET, .HEAD].contains(call.request.method), !call.wantsUpgrade {
            // Relative links of the page behind the proxy need the slash (upstream: proxyRedirectsforRootPath).
            return HTTPResponse(
                status: .movedPermanently, headers: ["Location": "\(uri[..<mark])/\(rest)"], body: .bytes(ByteBuffer()))
        }
        return try await open(call, target, uri: rest.hasPrefix("/") ? String(rest) : "/\(rest)")
    }

    private func open(_ call: APICall, _ target: ProxyTarget, uri: String) async throws -> HTTPResponse {
        try await exchange(call, target, uri: uri).response
    }

    func exchange(_ call: APICall, _ target: ProxyTarget, uri: String) async throws -> HTTPUpgradeExchange {
        var headers = call.request.headers
        for header in call.request.headers where header.name.lowercased().hasPrefix("impersonate-") {
            headers.remove(name: header.name)
        }
        for name in ["Authorization", "Host", "Content-Length"] { headers.remove(name: name) }
        if !call.wantsUpgrade { headers.remove(name: "Connection") }
        do {
            return try await client.open(
                .init(host: target.host, port: target.port, tls: target.tls), method: call.request.method, uri: uri,
                headers: headers, body: call.request.body)
        } catch let error as HTTPTransportError {
            throw StatusError(
                code: 502, reason: StatusError.Reason.serviceUnavailable, message: "error dialing backend: \(error)",
                details: .init())
        }
    }
}

/// How kubelets are reached: with which certificate, and trusting whom. It is replaced while the server runs.
final class KubeletTLS: Sendable {
    private let value: Mutex<HTTPClientTLS?>

    init(_ value: HTTPClientTLS?) { self.value = Mutex(value) }

    var current: HTTPClientTLS? { value.withLock { $0 } }

    func replace(_ value: HTTPClientTLS) { self.value.withLock { $0 = value } }
}

/// Where a request is passed on to.
struct ProxyTarget: Sendable {
    var host: String
    var port: Int
    /// Nil for plain HTTP.
    var tls: HTTPClientTLS?
}

extension APICall {
    fileprivate var wantsUpgrade: Bool { request.headers.contains(name: "Upgrade") }
}

extension String {
    /// The index behind the first `mark` that follows `anchor`.
    fileprivate func range(of mark: String, after anchor: String) -> String.Index? {
        guard let start = firstRange(of: anchor)?.upperBound else { return nil }
        return self[start...].firstRange(of: mark)?.upperBound
    }
}
