// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// `autoscaling/v1 Scale`: the replicas of an object, whatever its kind.
struct ScaleSubresource: Sendable {
    static let kind = GroupVersionKind("autoscaling", "v1", "Scale")
    private let registry: Registry

    init(_ registry: Registry) { self.registry = registry }

    /// The scale of an object.
    static func scale(of object: KubeObject) throws(StatusError) -> KubeObject {
        var metadata: JSON = ["name": .string(object.name), "namespace": .string(object.namespace)]
        for key in ["uid", "resourceVersion", "creationTimestamp"] { metadata[key] = object.metadata[key] }
        let selector =
            object.kind == "ReplicationController"
            ? LabelSelector(matchLabels: object.spec["selector"]?.stringMap ?? [:])
            : try LabelSelector(json: object.spec["selector"])
        var status: JSON = ["replicas": object.status["replicas"] ?? 0]
        if !selector.isEverything { status["selector"] = .string(selector.description) }
        var spec: JSON = .object([:])
        if let replicas = object.spec["replicas"], replicas != 0 { spec["replicas"] = replicas }
        return KubeObject([
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status,
        ])
    }

    func get(_ request: SubresourceRequest) async throws -> KubeObject {
        let served = try served(request)
        let value = try await registry.value(served, namespace: request.namespace, name: request.name)
        return try Self.scale(of: try registry.decodeShared(value, as: served))
    }

    func update(
        _ request: SubresourceRequest, _ scale: KubeObject, _ context: RequestContext
    ) async throws -> KubeObject {
        guard scale.name == request.name else {
            throw StatusError.badRequest(
                "the name of the object (\(scale.name)) does not match the name on the URL (\(request.name))")
        }
        return try await change(request, context) { current in
            try Self.apply(scale, to: current)
        }
    }

    func patch(
        _ request: SubresourceRequest, _ type: PatchType, _ patch: JSON, duplicates: [JSON.DuplicateMember],
        _ context: RequestContext
    ) async throws -> KubeObject {
        try await change(request, context) { current in
            let before = try Self.scale(of: current)
            let patched = KubeObject(
                try PatchApplication.apply(
                    type == .apply ? .merge : type, patch, to: before.json, schema: Schema.scale))
            var after = try SchemaRules.check(
                patched: patched, as: Self.kind, fieldValidation: request.options.fieldValidation,
                duplicates: duplicates, context.warnings)
            if after.resourceVersion == before.resourceVersion { after.resourceVersion = "" }
            return try Self.apply(after, to: current)
        }
    }

    private func served(_ request: SubresourceRequest) throws(StatusError) -> ServedResource {
        let served = try registry.served(request.resource)
        guard served.info.hasScale else { throw Registry.noSuchResource }
        return served
    }

    private func change(
        _ request: SubresourceRequest, _ context: RequestContext,
        _ transform: @escaping @Sendable (KubeObject) throws -> KubeObject
    ) async throws -> KubeObject {
        let update = Registry.UpdateRequest(
            served: try served(request), namespace: request.namespace, name: request.name, subresource: "scale",
            options: request.options
        ) { current in
            guard let current else { throw StatusError.notFound(request.resource, request.name) }
            return try transform(current)
        }
        return try Self.scale(of: try await registry.update(update, context: context).object)
    }

    private static func apply(_ scale: KubeObject, to object: KubeObject) throws(StatusError) -> KubeObject {
        let replicas = scale.spec["replicas"]?.int ?? 0
        guard replicas >= 0 else {
            throw SchemaRules.invalid(
                kind, name: object.name,
                [
                    .init(
                        reason: "FieldValueInvalid",
                        message: "Invalid value: \(replicas): must be greater than or equal to 0",
                        field: "spec.replicas")
                ])
        }
        var object = object
        object.json["spec", "replicas"] = JSON(replicas)
        object.resourceVersion = scale.resourceVersion
        return object
    }
}
