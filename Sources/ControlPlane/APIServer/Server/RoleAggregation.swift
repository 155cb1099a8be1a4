// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Logging

/// Keeps the rules of aggregated cluster roles (`admin`, `edit`, `view`) up to date
/// (upstream: the clusterrole-aggregation controller).
struct RoleAggregation: Sendable {
    let client: InProcessClient
    let registry: Registry
    let logger: Logger

    private static let resource = GroupVersionResource("rbac.authorization.k8s.io", "v1", "clusterroles")

    /// Gathers the rules of all aggregated roles once.
    func reconcile() async throws {
        let roles = registry.cachedObjects(Self.resource)
        for role in roles {
            guard let rules = ClusterRoleAggregation.rules(of: role, among: roles),
                rules != role.json["rules"]?.elements ?? []
            else { continue }
            var updated = role
            updated.json["rules"] = .array(rules)
            do {
                _ = try await client.update(Self.resource, object: updated)
            } catch let error as StatusError where error.isConflict || error.isNotFound {
                // Whoever changed or deleted it has caused an event, which brings us back.
                logger.debug("An aggregated role has changed", metadata: ["object": "\(role.name)"])
            }
        }
    }

    /// Follows changes of roles until it is cancelled.
    func run() async throws {
        while !Task.isCancelled {
            do {
                // One pass first: whatever happened before the watch began is seen by it.
                let page = try await client.list(Self.resource, namespace: nil, options: .init())
                try await reconcile()
                let watch = try await client.watch(
                    Self.resource, namespace: nil, options: .init(resourceVersion: page.resourceVersion))
                // Also for a role that no rule selects now: it may be one that was selected.
                for try await event in watch where Self.isChange(event) { try await reconcile() }
                return
            } catch let error as StatusError {
                logger.debug("Watching cluster roles anew", metadata: ["reason": "\(error)"])
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    private static func isChange(_ event: WatchEvent) -> Bool {
        if case .bookmark = event { return false }
        return true
    }
}
