// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOHTTP1

/// Serves the documents by which clients find out what the API offers.
struct DiscoveryPaths: Sendable {
    private let discovery: DiscoveryDocuments
    private let openAPI: OpenAPIDocuments
    private let table: ResourceTable
    /// `host:port`, as clients of any network reach the API.
    private let serverAddress: @Sendable () -> String

    init(table: ResourceTable, version: String, serverAddress: @escaping @Sendable () -> String) {
        discovery = DiscoveryDocuments(table)
        openAPI = OpenAPIDocuments(table, version: version)
        self.table = table
        self.serverAddress = serverAddress
    }

    /// Whether a path is one of these documents'.
    func knows(_ path: String) -> Bool {
        path == "/" || path == "/api" || path == "/apis" || path.hasPrefix("/api/") || path.hasPrefix("/apis/")
            || path.hasPrefix("/openapi/")
    }

    /// The document at a path, nil if there is none.
    func answer(_ call: APICall) throws(StatusError) -> HTTPResponse? {
        let parts = call.info.path.split(separator: "/").map(String.init)
        switch (parts.count, parts.first) {
        case (0, _): return Responses.json(["paths": JSON(rootPaths)])
        case (1, "api"):
            return aggregated(call, core: true) ?? Responses.json(discovery.versions(serverAddress: serverAddress()))
        case (1, "apis"): return aggregated(call, core: false) ?? Responses.json(discovery.groups)
        case (2, "api"): return try resources(GroupVersion("", parts[1]))
        case (2, "apis"):
            guard let group = discovery.group(parts[1]) else { return nil }
            return Responses.json(group)
        case (3, "apis"): return try resources(GroupVersion(parts[1], parts[2]))
        case (2..., "openapi"): return openAPI(Array(parts.dropFirst()), call)
        default: return nil
        }
    }

    private func resources(_ version: GroupVersion) throws(StatusError) -> HTTPResponse? {
        discovery.resources(version).map { Responses.json($0) }
    }

    /// The document of all groups, for clients that ask for it.
    private func aggregated(_ call: APICall, core: Bool) -> HTTPResponse? {
        for type in Negotiated.ranked(call.request.headers.first(name: "Accept") ?? "") {
            guard type.type == "application/json" || type.type == "*/*" || type.type == "application/*" else {
                continue
            }
            guard type.parameters["as"] == "APIGroupDiscoveryList", type.parameters["g"] == "apidiscovery.k8s.io",
                let version = type.parameters["v"], DiscoveryDocuments.aggregatedVersions.contains(version)
            else { return nil }
            let body = discovery.aggregated(core: core, version: version).serialized()
            var response = Responses.bytes(body, type: DiscoveryDocuments.aggregatedMediaType(version))
            response.headers.add(name: "Vary", value: "Accept")
            return response
        }
        return nil
    }

    private func openAPI(_ parts: [String], _ call: APICall) -> HTTPResponse? {
        if parts == ["v2"] {
            let accept = Negotiated.ranked(call.request.headers.first(name: "Accept") ?? "*/*").map(\.type)
            let isJSON = accept.contains { ["application/json", "*/*", "application/*"].contains($0) }
            // Only kubectl asks for protobuf, and only where there is no version 3.
            return isJSON ? Responses.bytes(openAPI.documentV2) : Responses.text("", code: 406)
        }
        guard parts.first == "v3" else { return nil }
        if parts.count == 1 { return Responses.json(openAPI.root) }
        let version: GroupVersion
        switch (parts.count, parts[1]) {
        case (3, "api"): version = GroupVersion("", parts[2])
        case (4, "apis"): version = GroupVersion(parts[2], parts[3])
        default: return nil
        }
        guard let document = openAPI.document(version) else { return nil }
        var response = Responses.bytes(document)
        let hash = openAPI.hash(of: version)
        response.headers.add(name: "ETag", value: "\"\(hash)\"")
        if call.query["hash"] == hash {
            response.headers.replaceOrAdd(name: "Cache-Control", value: "public, immutable, max-age=31536000")
        }
        return response
    }

    /// What `/` lists.
    private var rootPaths: [String] {
        var paths = [
            "/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics",
            "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version",
        ]
        for group in table.groups where !group.name.isEmpty {
            paths.append("/apis/\(group.name)")
            paths += group.versions.map { "/apis/\(group.name)/\($0)" }
        }
        return paths.sorted()
    }
}
