// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

struct OpenAPIDocumentsTests {
    private let documents = OpenAPIDocuments(.builtIn, version: "v1.36.0")

    private func document(_ group: String, _ version: String) throws -> JSON {
        try JSON.parse(#require(documents.document(.init(group, version))))
    }

    /// Every `$ref` in a document.
    private func references(_ json: JSON) -> [String] {
        switch json {
        case .object(let object):
            object.flatMap { key, value in
                // A property may be called so too; then its value is a schema.
                if key == "$ref", let reference = value.string { [reference] } else { references(value) }
            }
        case .array(let array): array.flatMap(references)
        default: []
        }
    }

    @Test func everyReferenceIsInItsDocument() throws {
        for version in ResourceTable.builtIn.groupVersions {
            let json = try document(version.group, version.version)
            let schemas = try #require(json["components"]?["schemas"]?.members)
            for reference in Set(references(json)) {
                let isThere = schemas.contains(String(reference.dropFirst("#/components/schemas/".count)))
                #expect(isThere, "\(reference)")
            }
        }
        let v2 = try JSON.parse(documents.documentV2)
        let definitions = try #require(v2["definitions"]?.members)
        for reference in Set(references(v2)) {
            let isThere = definitions.contains(String(reference.dropFirst("#/definitions/".count)))
            #expect(isThere, "\(reference)")
        }
    }

    /// kubectl finds a kind's operation by the path and its schema by the extension (explain's template).
    @Test func explainFindsEveryResource() throws {
        for version in ResourceTable.builtIn.groupVersions {
            let json = try document(version.group, version.version)
            let root = version.group.isEmpty ? "/api/\(version)" : "/apis/\(version)"
            for resource in ResourceTable.builtIn.resources(in: version) {
                let path = resource.isNamespaced ? "\(root)/namespaces/{namespace}" : root
                let item = try #require(json["paths"]?["\(path)/\(resource.plural)"], "\(resource.resource)")
                let operation = try #require(item["get"] ?? item["post"])
                let kind = try #require(operation["x-kubernetes-group-version-kind"])
                #expect(kind["kind"]?.string == resource.kind || kind["kind"]?.string == resource.listKind)
                let schemas = try #require(json["components"]?["schemas"]?.members)
                #expect(
                    schemas.contains { $0.value["x-kubernetes-group-version-kind"]?.elements.contains(kind) == true })
            }
        }
    }

    /// kubectl looks for these parameters on a PATCH before it sends them.
    @Test func patchesSayWhatTheyTake() throws {
        let patch = try #require(
            document("apps", "v1")["paths"]?["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]?["patch"])
        #expect(patch["x-kubernetes-action"] == "patch")
        #expect(
            patch["x-kubernetes-group-version-kind"] == ["group": "apps", "kind": "Deployment", "version": "v1"])
        let names = patch["parameters"]?.elements.compactMap { $0["name"]?.string }
        #expect(names == ["pretty", "dryRun", "fieldManager", "fieldValidation", "force"])
    }

    @Test func schemasCarryTheExtensions() throws {
        let schemas = try #require(document("apps", "v1")["components"]?["schemas"])
        let pod = try #require(schemas["io.k8s.api.core.v1.PodSpec"]?["properties"])
        #expect(pod["containers"]?["x-kubernetes-list-map-keys"] == ["name"])
        #expect(pod["containers"]?["x-kubernetes-list-type"] == "map")
        #expect(pod["containers"]?["x-kubernetes-patch-merge-key"] == "name")
        #expect(pod["volumes"]?["x-kubernetes-patch-strategy"] == "merge,retainKeys")
        #expect(pod["nodeSelector"]?["x-kubernetes-map-type"] == "atomic")
        #expect(schemas["io.k8s.api.core.v1.ContainerPort"]?["properties"]?["protocol"]?["default"] == "TCP")
        #expect(
            schemas["io.k8s.api.apps.v1.DeploymentSpec"]?["properties"]?["strategy"] == [
                "allOf": [["$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentStrategy"]],
                "x-kubernetes-patch-strategy": "retainKeys",
            ])
        #expect(
            schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] == [
                "format": "int-or-string", "oneOf": [["type": "integer"], ["type": "string"]],
            ])
        #expect(schemas["io.k8s.api.core.v1.NodeSpec"] == nil)
    }

    @Test func theRootNamesEveryDocument() throws {
        let paths = try #require(documents.root["paths"]?.members)
        #expect(paths.count == ResourceTable.builtIn.groupVersions.count)
        let url = try #require(paths["apis/apps/v1"]?["serverRelativeURL"]?.string)
        #expect(url.hasPrefix("/openapi/v3/apis/apps/v1?hash="))
        #expect(url.utf8.count == "/openapi/v3/apis/apps/v1?hash=".utf8.count + 64)
        #expect(documents.document(.init("apps", "v2")) == nil)
    }
}
