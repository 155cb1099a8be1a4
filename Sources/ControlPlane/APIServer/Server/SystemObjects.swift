// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Logging

/// The objects that every cluster has: made at the start, and put right where somebody has broken them.
struct SystemObjects: Sendable {
    let client: InProcessClient
    let registry: Registry
    let advertised: APIServerConfiguration.Advertisement
    let logger: Logger

    static let namespaces = ["default", "kube-system", "kube-public", "kube-node-lease"]
    /// Writes at one time: they share group commits.
    private static let concurrency = 32

    func ensure() async throws {
        try await concurrently(Self.namespaces.map { KubeObject(.init("", "v1", "Namespace"), name: $0) }) {
            try await create($0)
        }
        try await concurrently(BootstrapPolicy.objects + Self.priorityClasses) { try await reconcile($0) }
        registry.authorizer.invalidate()
        // The levels first: the schemas say whether theirs is there.
        try await concurrently(BootstrapFlowControl.priorityLevels) { try await create($0) }
        try await concurrently(BootstrapFlowControl.flowSchemas) { try await create($0) }
        try await ensureServiceRange()
        try await KubernetesService(client: client, registry: registry, advertised: advertised).ensure()
        try await ServiceAddressRecords(registry).repair()
    }

    /// The ServiceCIDR that shows the configured range; a range cannot be changed, so that it is made anew for another one.
    private func ensureServiceRange() async throws {
        let kind = GroupVersionKind("networking.k8s.io", "v1", "ServiceCIDR")
        var wanted = KubeObject(kind, name: ServiceRangeBehaviour.defaultName)
        wanted.spec = ["cidrs": [.string(registry.settings.serviceRange)]]
        let resource = try resource(of: wanted)
        if let existing = registry.cachedObject(resource, "", wanted.name),
            existing.spec["cidrs"] != wanted.spec["cidrs"]
        {
            try await client.delete(resource, namespace: nil, name: wanted.name, options: .init())
        }
        try await create(wanted)
    }

    private func concurrently(
        _ objects: [KubeObject], _ body: @escaping @Sendable (KubeObject) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, object) in objects.enumerated() {
                if index >= Self.concurrency { try await group.next() }
                group.addTask { try await body(object) }
            }
            try await group.waitForAll()
        }
    }

    private func resource(of object: KubeObject) throws -> GroupVersionResource {
        guard let kind = object.groupVersionKind, let info = registry.catalogue.table[kind] else {
            throw StatusError.internalError("no resource serves \(object.apiVersion) \(object.kind)")
        }
        return info.resource
    }

    private func create(_ object: KubeObject) async throws {
        let resource = try resource(of: object)
        guard registry.cachedObject(resource, object.namespace, object.name) == nil else { return }
        do {
            _ = try await client.create(resource, object: object)
        } catch let error as StatusError where error.isAlreadyExists {
            // Another server was faster.
        }
    }

    /// Creates an object, or adds the rules and subjects that an older version of it lacks.
    private func reconcile(_ wanted: KubeObject) async throws {
        let resource = try resource(of: wanted)
        guard let existing = registry.cachedObject(resource, wanted.namespace, wanted.name) else {
            return try await create(wanted)
        }
        guard existing.annotations["rbac.authorization.kubernetes.io/autoupdate"] != "false" else { return }
        var merged = existing
        for member in ["rules", "subjects"] where wanted.json["aggregationRule"] == nil {
            let present = existing.json[member]?.elements ?? []
            let missing = (wanted.json[member]?.elements ?? []).filter { !present.contains($0) }
            if !missing.isEmpty { merged.json[member] = .array(present + missing) }
        }
        if merged != existing { _ = try await client.update(resource, object: merged) }
    }

    private static let priorityClasses = [
        (
            "system-cluster-critical", 2_000_000_000,
            "Used for system critical pods that must run in the cluster, but "
                + "can be moved to another node if necessary."
        ),
        (
            "system-node-critical", 2_000_001_000,
            "Used for system critical pods that must not be moved from their "
                + "current node."
        ),
    ].map { name, value, description in
        var object = KubeObject(.init("scheduling.k8s.io", "v1", "PriorityClass"), name: name)
        object.json["value"] = JSON(value)
        object.json["description"] = .string(description)
        object.json["preemptionPolicy"] = "PreemptLowerPriority"
        return object
    }
}
