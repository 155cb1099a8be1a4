// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging

/// Notices nodes that have fallen silent, and keeps the taints that follow from nodes' conditions.
///
/// Every node has one timer that ends when its grace period would; leases only move that moment, so an idle cluster costs one
/// look at each node in about 50 seconds and no write.
package final class NodeLifecycleController: ControlLoop {
    package let name = "node-lifecycle-controller"
    /// How long a node may be silent (upstream: --node-monitor-grace-period).
    static let gracePeriod = Duration.seconds(50)
    static let leaseNamespace = "kube-node-lease"

    private let context: ControllerContext
    private let queue = WorkQueue<ObjectKey>()
    private let nodes: Informer
    private let pods: Informer
    private let leases: Informer
    private let heartbeats = NodeHeartbeats()
    private let recorder: EventRecorder

    package init(context: ControllerContext) {
        self.context = context
        nodes = context.informers.informer(.nodes)
        pods = context.informers.informer(.pods)
        leases = Informer(
            .leases, client: context.client, namespace: Self.leaseNamespace, logger: context.logger)
        recorder = context.recorder("node-controller")
        pods.indexPodsByNode()
        leases.addHandler { [heartbeats] event in heartbeats.note(lease: event.object, at: .now) }
        nodes.addHandler { [weak self] event in self?.follow(event) }
    }

    package func run() async throws {
        let controller = Controller(name, workers: 1, queue: queue, subject: "node", logger: context.logger) { key in
            try await self.reconcile(key, at: .now)
        }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.recorder.run() }
            group.addTask { try await self.leases.run() }
            group.addTask {
                await self.nodes.waitForSync()
                await self.pods.waitForSync()
                await self.leases.waitForSync()
                try await controller.run()
            }
        }
    }

    private func follow(_ event: InformerEvent) {
        if case .deleted(let node) = event {
            heartbeats.forget(node.name)
        } else {
            heartbeats.note(node: event.object, at: .now)
        }
        queue.add(event.object.key)
        if case .updated(let old, let new) = event,
            old.condition("Ready")?.status == new.condition("Ready")?.status
        {
            return
        }
        // Whether pods may be evicted depends on how many nodes are lost.
        for node in nodes.list() where node.condition("Ready")?.isTrue != true { queue.add(node.key) }
    }

    /// Looks at one node.
    ///
    /// - Returns: When its grace period ends.
    func reconcile(_ key: ObjectKey, at now: ContinuousClock.Instant) async throws -> Duration? {
        guard let node = nodes.get(key), !node.isBeingDeleted else { return nil }
        let silence = heartbeats.silence(of: key.name, at: now)
        if silence >= Self.gracePeriod, let conditions = NodeTaints.silentConditions(of: node, now: context.now()) {
            context.logger.warning(
                "A node has fallen silent", metadata: ["component": "\(name)", "node": "\(key.name)"])
            // The change comes back by the watch and then brings the taints.
            try await write(node, subresource: "status", ["status": ["conditions": .array(conditions)]])
            return Self.gracePeriod
        }
        if node.condition("Ready")?.isTrue == false { try await markPodsNotReady(of: node) }
        let evicts = !NodeTaints.areEvictionsHalted(nodes: nodes.list())
        if let taints = NodeTaints.wanted(on: node, evicts: evicts, now: context.now()) {
            try await write(node, subresource: nil, ["spec": ["taints": .array(taints)]])
        }
        return silence >= Self.gracePeriod ? Self.gracePeriod : Self.gracePeriod - silence
    }

    /// Patches exactly the revision that the decision was made on: a conflict means to look again.
    private func write(_ node: KubeObject, subresource: String?, _ change: JSON) async throws {
        var patch = change
        patch["metadata"] = ["resourceVersion": .string(node.resourceVersion)]
        _ = try await context.client.patch(
            .nodes, namespace: nil, name: node.name, subresource: subresource, type: .merge, patch: patch,
            options: .init())
    }

    /// Takes the pods of a lost node out of Services.
    private func markPodsNotReady(of node: KubeObject) async throws {
        for pod in pods.pods(onNode: node.name) where PodView(pod).isReady {
            recorder.record(pod, .warning, reason: "NodeNotReady", message: "Node is not ready")
            let condition: JSON = [
                "type": "Ready", "status": "False", "lastTransitionTime": .string(context.now().text),
            ]
            do {
                _ = try await context.client.patch(
                    .pods, namespace: pod.namespace, name: pod.name, subresource: "status", type: .strategic,
                    patch: ["metadata": ["uid": .string(pod.uid)], "status": ["conditions": [condition]]],
                    options: .init())
            } catch let error as StatusError where error.isNotFound || error.isConflict {
                // It has gone, or another one has come.
            }
        }
    }
}

extension Informer {
    private static let nodeIndex = "spec.nodeName"

    /// Defines the index that ``pods(onNode:)`` reads; controllers that share an informer may all do it.
    func indexPodsByNode() {
        addIndex(Self.nodeIndex) { pod in
            let name = PodView(pod).nodeName
            return name.isEmpty ? [] : [name]
        }
    }

    /// The pods that are bound to a node.
    func pods(onNode name: String) -> [KubeObject] { list(index: Self.nodeIndex, value: name) }
}
