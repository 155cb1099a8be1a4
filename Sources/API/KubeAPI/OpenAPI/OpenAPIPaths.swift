// SPDX-License-Identifier: Apache-2.0

import JSON

/// Writes the paths of a resource as OpenAPI path items, of version 2 or 3.
struct OpenAPIPaths {
    let schemas: OpenAPISchemas
    private var isV3: Bool { schemas.flavour == .v3 }

    static let meta = "io.k8s.apimachinery.pkg.apis.meta.v1."

    /// An operation: the HTTP method, the action that clients look for, and what it takes and gives.
    private struct Operation {
        var method: String
        var action: String
        var parameters: [Parameter] = []
        var body: String?
        var response: String?
    }

    private struct Parameter {
        var name: String
        var type: String
        init(_ name: String, _ type: String = "string") {
            self.name = name
            self.type = type
        }
    }

    /// The definitions to which a resource's operations refer.
    static func definitions(of resource: ResourceInfo) -> [String] {
        let kind = resource.groupVersionKind
        var names = [kind, .init(kind.group, kind.version, resource.listKind)].compactMap(Schema.definitionName)
        names += resource.subresources.map(\.kind).compactMap(Schema.definitionName)
        names = names.filter { Schema.type(named: $0) != nil }
        return names + ["DeleteOptions", "Patch", "Status", "APIResourceList", "WatchEvent"].map { meta + $0 }
    }

    /// The path items of a resource and its subresources.
    func items(of resource: ResourceInfo) -> [(path: String, item: JSON)] {
        let version = resource.groupVersion
        let root = version.group.isEmpty ? "/api/\(version)" : "/apis/\(version)"
        let plural = resource.plural
        let collection =
            resource.isNamespaced ? "\(root)/namespaces/{namespace}/\(plural)" : "\(root)/\(plural)"
        var result: [(path: String, item: JSON)] = []
        let whole = collectionOperations(resource)
        if !whole.isEmpty { result.append((collection, item(whole, resource, resource.groupVersionKind, collection))) }
        let single = objectOperations(resource.groupVersionKind, resource.verbs.filter { $0 != "create" })
        let object = "\(collection)/{name}"
        if !single.isEmpty { result.append((object, item(single, resource, resource.groupVersionKind, object))) }
        if resource.isNamespaced, resource.allows("list") {
            let all = "\(root)/\(plural)"
            result.append((all, item([listOperation(resource)], resource, resource.groupVersionKind, all)))
        }
        for part in resource.subresources {
            let path = "\(object)/\(part.name)"
            let operations =
                part.kind.kind.hasSuffix("Options") ? connectOperations(part) : objectOperations(part.kind, part.verbs)
            result.append((path, item(operations, resource, part.kind, path)))
        }
        return result
    }

    // MARK: Operations

    private static let pretty = Parameter("pretty")
    private static let writing = [
        pretty, Parameter("dryRun"), Parameter("fieldManager"), Parameter("fieldValidation"),
    ]
    private static let listing = [
        pretty, Parameter("allowWatchBookmarks", "boolean"), Parameter("continue"), Parameter("fieldSelector"),
        Parameter("labelSelector"), Parameter("limit", "integer"), Parameter("resourceVersion"),
        Parameter("resourceVersionMatch"), Parameter("sendInitialEvents", "boolean"),
        Parameter("timeoutSeconds", "integer"), Parameter("watch", "boolean"),
    ]
    private static let deleting = [
        pretty, Parameter("dryRun"), Parameter("gracePeriodSeconds", "integer"),
        Parameter("orphanDependents", "boolean"), Parameter("propagationPolicy"),
    ]

    private func listOperation(_ resource: ResourceInfo) -> Operation {
        let list = GroupVersionKind(resource.group, resource.version, resource.listKind)
        return Operation(
            method: "get", action: "list", parameters: Self.listing, response: Schema.definitionName(of: list))
    }

    private func collectionOperations(_ resource: ResourceInfo) -> [Operation] {
        let name = Schema.definitionName(of: resource.groupVersionKind)
        var result: [Operation] = []
        if resource.allows("list") { result.append(listOperation(resource)) }
        if resource.allows("create") {
            result.append(
                Operation(method: "post", action: "post", parameters: Self.writing, body: name, response: name))
        }
        if resource.allows("deletecollection") {
            let parameters = Self.deleting + Self.listing.filter { $0.name != "pretty" && $0.name != "watch" }
            result.append(
                Operation(
                    method: "delete", action: "deletecollection", parameters: parameters,
                    body: Self.meta + "DeleteOptions", response: Self.meta + "Status"))
        }
        return result
    }

    private func objectOperations(_ kind: GroupVersionKind, _ verbs: [String]) -> [Operation] {
        let name = Schema.definitionName(of: kind)
        var result: [Operation] = []
        for verb in verbs {
            switch verb {
            case "get":
                result.append(Operation(method: "get", action: "get", parameters: [Self.pretty], response: name))
            case "update":
                result.append(
                    Operation(method: "put", action: "put", parameters: Self.writing, body: name, response: name))
            case "patch":
                let parameters = Self.writing + [Parameter("force", "boolean")]
                result.append(
                    Operation(
                        method: "patch", action: "patch", parameters: parameters, body: Self.meta + "Patch",
                        response: name))
            case "delete":
                result.append(
                    Operation(
                        method: "delete", action: "delete", parameters: Self.deleting,
                        body: Self.meta + "DeleteOptions", response: Self.meta + "Status"))
            case "create":
                result.append(
                    Operation(method: "post", action: "post", parameters: Self.writing, body: name, response: name))
            default: break
            }
        }
        return result
    }

    private func connectOperations(_ part: ResourceInfo.Subresource) -> [Operation] {
        let methods = ["create": "post", "delete": "delete", "get": "get", "patch": "patch", "update": "put"]
        return part.verbs.compactMap { methods[$0] }.map { Operation(method: $0, action: "connect") }
    }

    // MARK: Writing

    private func item(
        _ operations: [Operation], _ resource: ResourceInfo, _ kind: GroupVersionKind, _ path: String
    ) -> JSON {
        var result: JSON = [:]
        for operation in operations {
            result[operation.method] = json(operation, resource, kind, path)
        }
        var parameters: [JSON] = []
        for name in ["name", "namespace"] where path.contains("{\(name)}") {
            parameters.append(parameter(name, "string", place: "path"))
        }
        if !parameters.isEmpty { result["parameters"] = .array(parameters) }
        return result
    }

    private func parameter(_ name: String, _ type: String, place: String) -> JSON {
        var result: JSON = ["name": .string(name), "in": .string(place)]
        if place == "path" { result["required"] = true }
        if isV3 {
            result["schema"] = ["type": .string(type), "uniqueItems": true]
        } else {
            result["type"] = .string(type)
            result["uniqueItems"] = true
        }
        return result
    }

    private func json(
        _ operation: Operation, _ resource: ResourceInfo, _ kind: GroupVersionKind, _ path: String
    ) -> JSON {
        let group = resource.group.isEmpty ? "core" : String(resource.group.split(separator: ".").first ?? "")
        var parameters = operation.parameters.map { parameter($0.name, $0.type, place: "query") }
        var result: JSON = ["tags": [.string("\(group)_\(resource.version)")]]
        result["operationId"] = .string(identifier(operation, group, resource.version, path))
        if let body = operation.body {
            if isV3 {
                result["requestBody"] = ["content": content(Self.bodyTypes(operation), body)]
            } else {
                parameters.append(["name": "body", "in": "body", "schema": schemas.reference(body)])
            }
        }
        if !parameters.isEmpty { result["parameters"] = .array(parameters) }
        var success: JSON = ["description": "OK"]
        if let response = operation.response {
            if isV3 {
                success["content"] = content(["application/json", "application/yaml"], response)
            } else {
                success["schema"] = schemas.reference(response)
            }
        }
        result["responses"] = ["200": success, "401": ["description": "Unauthorized"]]
        result["x-kubernetes-action"] = .string(operation.action)
        result["x-kubernetes-group-version-kind"] = OpenAPISchemas.json(kind)
        return result
    }

    private static func bodyTypes(_ operation: Operation) -> [String] {
        operation.method == "patch"
            ? [PatchType.apply, .json, .merge, .strategic].map(\.rawValue) : ["*/*"]
    }

    private func content(_ types: [String], _ definition: String) -> JSON {
        var result: JSON = [:]
        for type in types { result[type] = ["schema": schemas.reference(definition)] }
        return result
    }

    /// A name that is unique in the document: the action, the group and the path's segments.
    private func identifier(_ operation: Operation, _ group: String, _ version: String, _ path: String) -> String {
        let verbs = [
            "list": "list", "post": "create", "get": "read", "put": "replace", "patch": "patch", "delete": "delete",
            "deletecollection": "deleteCollection", "connect": "connect\(Self.capitalised(operation.method))",
        ]
        let segments = path.split(separator: "/").dropFirst(group == "core" ? 2 : 3).map { segment in
            Self.capitalised(segment.filter { $0 != "{" && $0 != "}" })
        }
        let verb = verbs[operation.action] ?? operation.action
        return verb + Self.capitalised(group) + Self.capitalised(version) + segments.joined()
    }

    private static func capitalised(_ text: some StringProtocol) -> String {
        (text.first?.uppercased() ?? "") + text.dropFirst()
    }
}
