// SPDX-License-Identifier: Apache-2.0

import JSON
package import KubeAPI
package import KubeClient

/// Takes a node out of the cluster: cordons it, evicts its pods as disruption budgets allow, and deletes it
/// (kubernetes.io, "Safely Drain a Node"). Doing it again goes on where it stopped.
package struct NodeRemoval: Sendable {
    /// What is told while it lasts.
    package enum Progress: Hashable, Sendable {
        case cordoned
        /// So many pods are still there.
        case draining(Int)
        /// A disruption budget holds this pod for now.
        case held(ObjectKey)
        case deleted
    }

    private static let pause = Duration.milliseconds(500)
    private static let controlPlaneLabel = "node-role.kubernetes.io/control-plane"

    private let client: any ResourceClient

    package init(client: any ResourceClient) { self.client = client }

    /// Removes a node.
    ///
    /// - Parameters:
    ///   - force: deletes the node with whatever is still on it when time is up, or at once where it does not answer.
    ///   - timeout: how long pods have to go.
    /// - Throws: ``JoinError`` when pods are left at the end, `StatusError` from the API.
    package func remove(
        _ name: String, force: Bool, timeout: Duration, progress: (Progress) -> Void
    ) async throws {
        let node = try await client.get(.nodes, namespace: nil, name: name)
        guard node.labels[Self.controlPlaneLabel] == nil else {
            throw JoinError(
                "remove node \"\(name)\"", reason: "it is the control plane",
                remedy: "the cluster ends with it: run 'swiftlet reset' there instead")
        }
        // Nobody can end the pods of a node that does not answer.
        let isReachable = node.condition("Ready")?.isTrue ?? false
        guard isReachable || force else {
            throw JoinError(
                "remove node \"\(name)\"", reason: "it does not answer, so its pods cannot be ended in order",
                remedy: "start it, or give --force if it will not come back")
        }
        if node.spec["unschedulable"]?.bool != true {
            _ = try await client.patch(
                .nodes, namespace: nil, name: name, subresource: nil, type: .merge,
                patch: ["spec": ["unschedulable": true]], options: .init())
        }
        progress(.cordoned)
        if isReachable { try await drain(name, force: force, timeout: timeout, progress: progress) }
        try await deletePods(of: name)
        do {
            try await client.delete(.nodes, namespace: nil, name: name, options: .init())
        } catch let error as StatusError where error.isNotFound {
            // That is what is wanted.
        }
        progress(.deleted)
    }

    private func drain(
        _ name: String, force: Bool, timeout: Duration, progress: (Progress) -> Void
    ) async throws {
        let deadline = ContinuousClock.now + timeout
        while true {
            let pods = try await evictablePods(of: name)
            if pods.isEmpty { return }
            progress(.draining(pods.count))
            for pod in pods where !pod.isBeingDeleted {
                if try await !evict(pod) { progress(.held(pod.key)) }
            }
            guard ContinuousClock.now < deadline else {
                if force { return }
                throw JoinError(
                    "remove node \"\(name)\"",
                    reason: "\(pods.count) pods are still on it: "
                        + pods.prefix(5).map(\.key.description).joined(separator: ", "),
                    remedy:
                        "wait and run it again, change their PodDisruptionBudgets, or give --force; to keep the node,"
                        + " run 'kubectl uncordon \(name)', or it takes no new pods")
            }
            try await Task.sleep(for: Self.pause)
        }
    }

    /// The pods that have to go: not those of DaemonSets, which would come again, nor static ones.
    private func evictablePods(of name: String) async throws -> [KubeObject] {
        try await pods(of: name).filter { pod in
            pod.controller?.kind != "DaemonSet" && pod.annotations["kubernetes.io/config.mirror"] == nil
                && !PodView(pod).isTerminal
        }
    }

    private func pods(of name: String) async throws -> [KubeObject] {
        try await client.list(.pods, namespace: nil, options: .init(fieldSelector: "spec.nodeName=\(name)")).items
    }

    /// - Returns: false where a disruption budget does not allow it now.
    private func evict(_ pod: KubeObject) async throws -> Bool {
        var eviction = KubeObject(.init("policy", "v1", "Eviction"), namespace: pod.namespace, name: pod.name)
        eviction.json["deleteOptions"] = ["preconditions": ["uid": .string(pod.uid)]]
        do {
            _ = try await client.create(
                .pods, namespace: pod.namespace, name: pod.name, subresource: "eviction", object: eviction,
                options: .init())
            return true
        } catch let error as StatusError where error.isNotFound || error.isConflict {
            // It has gone, or another of its name has come.
            return true
        } catch let error as StatusError where error.code == 429 {
            return false
        }
    }

    /// Deletes what is left from the API: nobody runs it any more once the node has gone.
    private func deletePods(of name: String) async throws {
        for pod in try await pods(of: name) {
            var options = DeleteOptions(gracePeriodSeconds: 0)
            options.preconditionUID = pod.uid
            do {
                try await client.delete(.pods, namespace: pod.namespace, name: pod.name, options: options)
            } catch let error as StatusError where error.isNotFound || error.isConflict {
                // It has gone by itself.
            }
        }
    }
}
