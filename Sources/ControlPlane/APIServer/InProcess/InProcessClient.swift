// SPDX-License-Identifier: Apache-2.0

package import JSON
package import KubeAPI
package import KubeClient
import Storage

/// The API for the parts of the agent that run in the server's own process: the registry without HTTP.
///
/// Requests carry an identity, which admission sees and `managedFields` notes; access is not checked, as these parts
/// hold the keys of the cluster anyway (upstream's loopback client is in `system:masters`).
package struct InProcessClient: ResourceClient {
    private let registry: Registry
    private let subresources: Subresources
    private let context: RequestContext

    /// - Parameter manager: the name that owns the fields which this client writes (`kube-controller-manager`).
    package init(_ registry: Registry, subresources: Subresources, user: UserInfo, manager: String) {
        self.registry = registry
        self.subresources = subresources
        context = RequestContext(user: user, defaultManager: manager)
    }

    /// Warnings are nobody's here; each request gets a context of its own so that they are not kept.
    private var fresh: RequestContext {
        var fresh = RequestContext(user: context.user, defaultManager: context.defaultManager)
        fresh.isTrusted = true
        return fresh
    }

    package func get(
        _ resource: GroupVersionResource, namespace: String?, name: String
    ) async throws -> KubeObject {
        try await translatingErrors {
            let served = try registry.served(resource)
            let value = try await registry.value(served, namespace: namespace ?? "", name: name)
            return try registry.decodeShared(value, as: served)
        }
    }

    package func list(
        _ resource: GroupVersionResource, namespace: String?, options: ListOptions
    ) async throws -> KubeList {
        try await translatingErrors {
            let served = try registry.served(resource)
            let page = try await registry.list(served, namespace: namespace ?? "", options: options)
            return KubeList(
                items: try page.values.map { try registry.decode($0, as: served) },
                resourceVersion: String(page.revision), continueToken: page.continueToken)
        }
    }

    package func watch(
        _ resource: GroupVersionResource, namespace: String?, options: WatchOptions
    ) async throws -> WatchStream {
        try await translatingErrors {
            let served = try registry.served(resource)
            let watch = try await registry.watch(served, namespace: namespace ?? "", options: options)
            return WatchStream(InProcessWatch(watch, registry: registry, served: served))
        }
    }

    package func create(
        _ resource: GroupVersionResource, namespace: String?, name: String?, subresource: String?,
        object: KubeObject, options: WriteOptions
    ) async throws -> KubeObject {
        try await translatingErrors {
            if let subresource, let name {
                let request = SubresourceRequest(
                    resource: resource, namespace: namespace ?? "", name: name, subresource: subresource,
                    options: options)
                return try await subresources.create(request, object: object, context: fresh)
            }
            let served = try registry.served(resource)
            let checked = try SchemaRules.check(
                object, served, fieldValidation: options.fieldValidation, duplicates: [], fresh.warnings)
            return try await registry.create(
                served, namespace: namespace ?? "", object: checked, options: options, context: fresh
            ).object(as: served)
        }
    }

    package func update(
        _ resource: GroupVersionResource, subresource: String?, object: KubeObject, options: WriteOptions
    ) async throws -> KubeObject {
        try await translatingErrors {
            let served = try registry.served(resource)
            let request = SubresourceRequest(
                resource: resource, namespace: object.namespace, name: object.name,
                subresource: subresource ?? "", options: options)
            let checked = try SchemaRules.check(
                object, served, fieldValidation: options.fieldValidation,
                duplicates: [], fresh.warnings)
            return try await subresources.update(request, object: checked, context: fresh)
        }
    }

    package func patch(
        _ resource: GroupVersionResource, namespace: String?, name: String, subresource: String?, type: PatchType,
        patch: JSON, options: WriteOptions
    ) async throws -> KubeObject {
        try await translatingErrors {
            let request = SubresourceRequest(
                resource: resource, namespace: namespace ?? "", name: name, subresource: subresource ?? "",
                options: options)
            return try await subresources.patch(request, type: type, patch: patch, context: fresh).object
        }
    }

    @discardableResult
    package func delete(
        _ resource: GroupVersionResource, namespace: String?, name: String, options: DeleteOptions
    ) async throws -> KubeObject {
        try await translatingErrors {
            let served = try registry.served(resource)
            return try await registry.delete(
                served, namespace: namespace ?? "", name: name, options: options, context: fresh
            ).object(as: served)
        }
    }

    package func deleteCollection(
        _ resource: GroupVersionResource, namespace: String?, selecting: ListOptions, options: DeleteOptions
    ) async throws {
        try await translatingErrors {
            let served = try registry.served(resource)
            _ = try await registry.deleteCollection(
                served, namespace: namespace ?? "", selecting: selecting, options: options, context: fresh)
        }
    }

    private func translatingErrors<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as CancellationError {
            throw error
        } catch {
            throw StatusTranslation.status(of: error)
        }
    }
}
