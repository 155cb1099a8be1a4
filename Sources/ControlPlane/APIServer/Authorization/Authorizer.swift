// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import Logging
import Storage
import Synchronization

/// Decides what users may do, by the RBAC objects in the store and the node rules.
///
/// The policy follows the store: whoever changes a role calls ``invalidate()``, and the next decision reads what has
/// changed. So a role holds from the moment that its creation is acknowledged.
final class Authorizer: Sendable {
    private struct State {
        var policy = RBACPolicy()
        /// The revision of every role and binding that the policy has taken over, by its key in the store.
        var known: [String: Revision] = [:]
        var isStale = true
        var decisions: [AccessAttributes: RBACPolicy.Decision] = [:]
    }

    private static let maximumDecisions = 8192
    private static let mastersDecision = RBACPolicy().decide(
        AccessAttributes(user: .loopback, verb: "get", path: "/"))
    private let storage: any Storage
    private let nodes: NodeAuthorizer
    private let logger: Logger
    private let state = Mutex(State())

    init(storage: any Storage, logger: Logger) {
        self.storage = storage
        nodes = NodeAuthorizer(storage: storage)
        self.logger = logger
    }

    /// Notes that roles or bindings may have changed.
    func invalidate() { state.withLock { $0.isStale = true } }

    /// Whether a request is allowed, and why.
    func decide(_ attributes: AccessAttributes) -> RBACPolicy.Decision {
        if attributes.user.isMaster { return Self.mastersDecision }
        var key = attributes
        key.user.extra = [:]
        key.user.uid = ""
        let decision = withCurrentPolicy { state in
            if let known = state.decisions[key] { return known }
            let decision = state.policy.decide(key)
            if state.decisions.count >= Self.maximumDecisions { state.decisions.removeAll(keepingCapacity: true) }
            state.decisions[key] = decision
            return decision
        }
        guard !decision.isAllowed, let node = key.user.nodeName else { return decision }
        // Not remembered: what a node may read changes with every pod that comes or goes.
        return nodes.decide(key, node: node)
    }

    /// - Throws: `Forbidden` unless the request is allowed.
    func authorize(_ attributes: AccessAttributes) throws(StatusError) {
        let decision = decide(attributes)
        guard decision.isAllowed else { throw attributes.forbidden(reason: decision.reason) }
    }

    /// The policy as it is now, for reviews and escalation checks.
    var policy: RBACPolicy { withCurrentPolicy { $0.policy } }

    private func withCurrentPolicy<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
        state.withLock { state in
            if state.isStale {
                state.isStale = false
                refresh(&state)
            }
            return body(&state)
        }
    }

    /// Takes over what differs from the store.
    private func refresh(_ state: inout State) {
        state.decisions.removeAll(keepingCapacity: true)
        var seen: Set<String> = []
        storage.snapshot().forEach(prefix: StorageKeys.accessControl, after: nil) { value in
            seen.insert(value.key)
            guard state.known[value.key] != value.revision else { return true }
            state.known[value.key] = value.revision
            do {
                state.policy.update(try StoredObjectDecoder.decode(value))
            } catch {
                logger.error("Cannot decode a role", metadata: ["object": "\(value.key)", "error": "\(error)"])
            }
            return true
        }
        for key in state.known.keys where !seen.contains(key) {
            state.known[key] = nil
            Self.remove(key, from: &state.policy)
        }
    }

    private static let kinds = [
        "clusterroles": "ClusterRole", "roles": "Role", "clusterrolebindings": "ClusterRoleBinding",
        "rolebindings": "RoleBinding",
    ]

    private static func remove(_ key: String, from policy: inout RBACPolicy) {
        let parts = key.dropFirst(StorageKeys.accessControl.count).split(separator: "/").map(String.init)
        guard let resource = parts.first, let kind = kinds[resource], let name = parts.last else { return }
        policy.remove(kind: kind, key: ObjectKey(namespace: parts.count == 3 ? parts[1] : "", name: name))
    }

    /// Follows the changes that other servers make, until it is cancelled.
    func run() async throws {
        while !Task.isCancelled {
            do {
                let watch = try storage.watch(prefix: StorageKeys.accessControl, after: storage.snapshot().revision)
                invalidate()
                while try await watch.next() != nil { invalidate() }
                return
            } catch let error as StorageError {
                // A watch that fell behind begins anew with the whole state.
                logger.debug("Watching roles anew", metadata: ["reason": "\(error)"])
                try await Task.sleep(for: .seconds(1))
            }
        }
    }
}
