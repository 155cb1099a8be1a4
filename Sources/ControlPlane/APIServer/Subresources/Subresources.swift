// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// What a request wants of a part of an object; an empty subresource means the object itself.
struct SubresourceRequest: Sendable {
    var resource: GroupVersionResource
    var namespace: String
    var name: String
    var subresource: String
    var options: WriteOptions
}

/// Routes writes to objects and to their parts: `status`, `scale`, `binding`, `eviction`, `token`, …
package struct Subresources: Sendable {
    let registry: Registry
    /// Issues service-account tokens; nil where the server has no key for them.
    let tokens: ServiceAccountTokens?

    package init(registry: Registry, tokens: ServiceAccountTokens?) {
        self.registry = registry
        self.tokens = tokens
    }

    // MARK: POST

    /// Posts to a subresource.
    func create(
        _ request: SubresourceRequest, object: KubeObject, context: RequestContext
    ) async throws -> KubeObject {
        switch (request.resource.groupResource, request.subresource) {
        case ("pods", "binding"):
            return try await PodBinding(registry).bind(request, object, context)
        case ("pods", "eviction"):
            return try await PodEviction(registry).evict(request, object, context)
        case ("serviceaccounts", "token"):
            guard let tokens else { throw Registry.noSuchResource }
            return try await TokenRequests(registry, tokens).issue(request, object, context)
        default:
            throw StatusError.methodNotSupported(request.resource, "create")
        }
    }

    // MARK: PUT

    /// Replaces an object or a part of it.
    func update(
        _ request: SubresourceRequest, object: KubeObject, context: RequestContext
    ) async throws -> KubeObject {
        let served = try registry.served(request.resource)
        if request.subresource == "scale" {
            return try await ScaleSubresource(registry).update(request, object, context)
        }
        try requireWritable(request, served)
        return try await replace(request, served, with: object, context).object(as: served)
    }

    /// PUT of an object, in the version that its resource serves, or of a part that is written like one.
    func replace(
        _ request: SubresourceRequest, _ served: ServedResource, with object: KubeObject, _ context: RequestContext
    ) async throws -> Written {
        var update = Registry.UpdateRequest(
            served: served, namespace: request.namespace, name: request.name, subresource: request.subresource,
            options: request.options
        ) { current in
            served.servesStoredBytes ? object : ObjectConversion.convert(object, to: served.storedKind, over: current)
        }
        update.createsIfMissing = request.subresource.isEmpty && served.behaviour.traits.createsOnUpdate
        return try await registry.update(update, context: context)
    }

    // MARK: PATCH

    /// Patches an object or a part of it.
    func patch(
        _ request: SubresourceRequest, type: PatchType, patch: JSON, duplicates: [JSON.DuplicateMember] = [],
        context: RequestContext
    ) async throws -> Patched {
        let served = try registry.served(request.resource)
        if request.subresource == "scale" {
            let object = try await ScaleSubresource(registry).patch(
                request, type, patch, duplicates: duplicates, context)
            return Patched(object: object, isNew: false)
        }
        try requireWritable(request, served)
        let written = try await registry.patch(
            .init(
                served: served, namespace: request.namespace, name: request.name, subresource: request.subresource,
                type: type, patch: patch, duplicates: duplicates, options: request.options), context: context)
        return Patched(object: written.object(as: served), isNew: written.isNew)
    }

    /// The outcome of a patch.
    struct Patched: Sendable {
        var object: KubeObject
        /// Whether the object did not exist before.
        var isNew: Bool
    }

    /// Only the parts that discovery names can be written.
    private func requireWritable(_ request: SubresourceRequest, _ served: ServedResource) throws(StatusError) {
        guard !request.subresource.isEmpty else { return }
        guard let part = served.info.subresource(request.subresource) else { throw Registry.noSuchResource }
        guard part.verbs.contains("update"), part.kind == served.kind else {
            throw .methodNotSupported(request.resource, "update")
        }
    }
}
