// SPDX-License-Identifier: Apache-2.0

package import JSON

/// The OpenAPI documents of an API. They are written when asked for and not kept: they are large and seldom wanted.
///
/// kubectl reads version 3 as JSON for `explain`, for patches and to see whether an operation takes
/// `fieldValidation`; version 2, which it asks for only in protobuf, is its fallback where there is no version 3.
package struct OpenAPIDocuments: Sendable {
    private let table: ResourceTable
    private let version: String

    /// - Parameter version: what `info.version` says, `v1.36.0`.
    package init(_ table: ResourceTable, version: String) {
        self.table = table
        self.version = version
    }

    /// `/openapi/v3`: the documents with their hashes, by which clients cache them.
    package var root: JSON {
        var paths: JSON = [:]
        for version in table.groupVersions {
            let path = Self.path(of: version)
            let hash = hash(of: version)
            paths[path] = ["serverRelativeURL": .string("/openapi/v3/\(path)?hash=\(hash)")]
        }
        return ["paths": paths]
    }

    /// The place of a version's document below `/openapi/v3/`: `api/v1`, `apis/apps/v1`.
    package static func path(of version: GroupVersion) -> String {
        version.group.isEmpty ? "api/\(version)" : "apis/\(version)"
    }

    /// Changes whenever the version's document does: both follow from the resources and this program's version.
    package func hash(of version: GroupVersion) -> String {
        let resources = DiscoveryDocuments(table).resources(version)?.serialized() ?? []
        return ContentHash.tag(of: resources + Array("\(self.version) \(BuiltInSchema.fingerprint)".utf8))
    }

    /// `/openapi/v3/apis/<group>/<version>`, as JSON text; nil if the version is not served.
    package func document(_ version: GroupVersion) -> [UInt8]? {
        let resources = table.resources(in: version)
        if resources.isEmpty { return nil }
        let schemas = OpenAPISchemas(flavour: .v3, kinds: kinds(of: resources))
        var bytes = Array(#"{"openapi":"3.0.0","info":{"title":"Kubernetes","version":""#.utf8)
        bytes += Array(self.version.utf8)
        bytes += Array(#""},"paths":"#.utf8)
        write(paths(of: resources, schemas), to: &bytes)
        bytes += Array(#","components":{"schemas":"#.utf8)
        let names = schemas.closure(of: resources.flatMap(OpenAPIPaths.definitions))
        write(names.lazy.map { ($0, schemas.schema(of: $0)) }, to: &bytes)
        bytes += Array(
            #","securitySchemes":{"BearerToken":{"type":"apiKey","name":"authorization","in":"header"}}}}"#.utf8)
        return bytes
    }

    /// `/openapi/v2`, as JSON text.
    package var documentV2: [UInt8] {
        let schemas = OpenAPISchemas(flavour: .v2, kinds: kinds(of: table.resources))
        var bytes = Array(#"{"swagger":"2.0","info":{"title":"Kubernetes","version":""#.utf8)
        bytes += Array(version.utf8)
        bytes += Array(#""},"paths":"#.utf8)
        write(paths(of: table.resources, schemas), to: &bytes)
        bytes += Array(#","definitions":"#.utf8)
        let names = schemas.closure(of: table.resources.flatMap(OpenAPIPaths.definitions))
        write(names.lazy.map { ($0, schemas.schema(of: $0)) }, to: &bytes)
        let security =
            #","securityDefinitions":{"BearerToken":{"type":"apiKey","name":"authorization","in":"header"}},"#
            + #""security":[{"BearerToken":[]}]}"#
        bytes += Array(security.utf8)
        return bytes
    }

    private func paths(
        of resources: [ResourceInfo], _ schemas: OpenAPISchemas
    ) -> some Sequence<(String, JSON)> {
        let paths = OpenAPIPaths(schemas: schemas)
        return resources.lazy.flatMap { paths.items(of: $0).map { ($0.path, $0.item) } }
    }

    private func write(_ members: some Sequence<(String, JSON)>, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "{"))
        var isFirst = true
        for (key, value) in members {
            if !isFirst { bytes.append(UInt8(ascii: ",")) }
            isFirst = false
            JSON.serialize(key, into: &bytes)
            bytes.append(UInt8(ascii: ":"))
            value.serialize(into: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
    }

    /// The kinds as which definitions are known, by which clients find a schema.
    private func kinds(of resources: [ResourceInfo]) -> [String: [GroupVersionKind]] {
        var result: [String: [GroupVersionKind]] = [:]
        let add = { (kind: GroupVersionKind, kinds: inout [String: [GroupVersionKind]]) in
            guard let name = Schema.definitionName(of: kind), Schema.type(named: name) != nil else { return }
            if kinds[name]?.contains(kind) != true { kinds[name, default: []].append(kind) }
        }
        for resource in resources {
            add(resource.groupVersionKind, &result)
            add(.init(resource.group, resource.version, resource.listKind), &result)
            for part in resource.subresources { add(part.kind, &result) }
        }
        for name in ["DeleteOptions", "WatchEvent"] {
            result[OpenAPIPaths.meta + name] = table.groupVersions.map { $0.kind(name) }
        }
        result[OpenAPIPaths.meta + "Status"] = [.init("", "v1", "Status")]
        result[OpenAPIPaths.meta + "APIResourceList"] = [.init("", "v1", "APIResourceList")]
        return result
    }
}
