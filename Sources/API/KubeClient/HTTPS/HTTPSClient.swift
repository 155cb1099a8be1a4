// SPDX-License-Identifier: Apache-2.0

package import HTTPTransport
package import JSON
package import KubeAPI
package import Logging
package import NIOCore
import NIOHTTP1

/// The API over HTTPS; see ``ResourceClient`` for the contract.
///
/// `run()` must be in the task tree as long as the client is used: it closes the connections at the end.
package final class HTTPSClient: ResourceClient {
    private let transport: HTTPSTransport

    /// - Throws: ``HTTPTransportError`` when the certificates or key are unusable.
    package init(
        _ configuration: HTTPSClientConfiguration, group: any EventLoopGroup, logger: Logger
    ) throws(HTTPTransportError) {
        transport = try HTTPSTransport(configuration, group: group, logger: logger)
    }

    /// Waits for its cancellation and then closes all connections.
    package func run() async throws {
        for await _ in AsyncStream<Never>.makeStream().stream {}
        try await close()
    }

    /// Closes all connections; the client is of no use afterwards.
    package func close() async throws { try await transport.shutdown() }

    /// Closes all connections and makes new ones; what goes on over the old ones fails. For when this machine's addresses
    /// have changed.
    package func reconnect() { transport.reconnect() }

    /// Takes other servers from now on. One that answers now and is not among them is kept until it does not.
    package func replaceServers(_ servers: [String]) { transport.replace(servers) }

    /// Shows another certificate, or trusts others, from the next request on: certificates are renewed in the running
    /// process.
    package func replaceTLS(_ tls: HTTPClientTLS) throws(HTTPTransportError) { try transport.replace(tls) }

    /// Leaves all connections within the time that a request has, and makes new ones: so that none outlives the certificate
    /// that it was made with (client-go closes its connections when a certificate was exchanged).
    package func retireConnections() { transport.retireConnections() }

    /// Reads a path that is no resource, as `kubectl get --raw` does.
    package func rawGet(_ path: String) async throws -> JSON {
        try await transport.json(.init(method: .GET, url: path))
    }

    /// Posts to a path that is no resource, as `kubectl create --raw` does, and returns the answer's document.
    package func rawPost(_ path: String, body: JSON) async throws -> JSON {
        try await transport.json(.init(method: .POST, url: path, body: body.serialized()))
    }

    package func get(_ resource: GroupVersionResource, namespace: String?, name: String) async throws -> KubeObject {
        let path = ResourcePath(resource, namespace: namespace, name: name)
        return KubeObject(try await transport.json(.init(method: .GET, url: path.url())))
    }

    package func list(
        _ resource: GroupVersionResource, namespace: String?, options: ListOptions
    ) async throws -> KubeList {
        let path = ResourcePath(resource, namespace: namespace)
        return KubeList(reading: try await transport.json(.init(method: .GET, url: path.url(options.query))))
    }

    package func watch(
        _ resource: GroupVersionResource, namespace: String?, options: WatchOptions
    ) async throws -> WatchStream {
        let path = ResourcePath(resource, namespace: namespace)
        let request = HTTPSTransport.Request(method: .GET, url: path.url(options.query), isWatch: true)
        let response = try await transport.send(request)
        return WatchStream(HTTPSWatch(transport: transport, request: request, response: response))
    }

    package func create(
        _ resource: GroupVersionResource, namespace: String?, name: String?, subresource: String?, object: KubeObject,
        options: WriteOptions
    ) async throws -> KubeObject {
        let path = ResourcePath(resource, namespace: namespace, name: name, subresource: subresource)
        return KubeObject(
            try await transport.json(
                .init(method: .POST, url: path.url(options.query), body: object.json.serialized())))
    }

    package func update(
        _ resource: GroupVersionResource, subresource: String?, object: KubeObject, options: WriteOptions
    ) async throws -> KubeObject {
        let namespace = object.namespace.isEmpty ? nil : object.namespace
        let path = ResourcePath(resource, namespace: namespace, name: object.name, subresource: subresource)
        return KubeObject(
            try await transport.json(
                .init(method: .PUT, url: path.url(options.query), body: object.json.serialized())))
    }

    package func patch(
        _ resource: GroupVersionResource, namespace: String?, name: String, subresource: String?, type: PatchType,
        patch: JSON, options: WriteOptions
    ) async throws -> KubeObject {
        let path = ResourcePath(resource, namespace: namespace, name: name, subresource: subresource)
        return KubeObject(
            try await transport.json(
                .init(
                    method: .PATCH, url: path.url(options.query), body: patch.serialized(),
                    contentType: type.rawValue)))
    }

    package func delete(
        _ resource: GroupVersionResource, namespace: String?, name: String, options: DeleteOptions
    ) async throws -> KubeObject {
        let path = ResourcePath(resource, namespace: namespace, name: name)
        return KubeObject(
            try await transport.json(
                .init(method: .DELETE, url: path.url(), body: options.json.serialized())))
    }

    package func deleteCollection(
        _ resource: GroupVersionResource, namespace: String?, selecting: ListOptions, options: DeleteOptions
    ) async throws {
        let path = ResourcePath(resource, namespace: namespace)
        _ = try await transport.json(
            .init(method: .DELETE, url: path.url(selecting.query), body: options.json.serialized()))
    }
}

extension KubeList {
    /// Reads a list object. Its items carry no type of their own in the API; they get it here.
    init(reading json: JSON) {
        let kind = json["kind"]?.string ?? ""
        let itemKind = kind.hasSuffix("List") ? String(kind.dropLast(4)) : ""
        let items = (json["items"]?.elements ?? []).map { item -> KubeObject in
            var item = item
            if item["kind"] == nil, !itemKind.isEmpty {
                item["kind"] = .string(itemKind)
                item["apiVersion"] = json["apiVersion"]
            }
            return KubeObject(item)
        }
        self.init(
            items: items, resourceVersion: json["metadata"]?["resourceVersion"]?.string ?? "",
            continueToken: json["metadata"]?["continue"]?.string ?? "")
    }
}

extension DeleteOptions {
    /// The body of a DELETE (meta/v1 DeleteOptions).
    var json: JSON {
        var json: JSON = ["apiVersion": "v1", "kind": "DeleteOptions"]
        if let gracePeriodSeconds { json["gracePeriodSeconds"] = JSON(gracePeriodSeconds) }
        if let propagationPolicy { json["propagationPolicy"] = .string(propagationPolicy.rawValue) }
        if let preconditionUID { json["preconditions", "uid"] = .string(preconditionUID) }
        if let preconditionResourceVersion {
            json["preconditions", "resourceVersion"] = .string(preconditionResourceVersion)
        }
        if dryRun { json["dryRun"] = ["All"] }
        return json
    }
}
