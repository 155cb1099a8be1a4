// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Deletes pods that no kubelet will end: of nodes that are gone or out of service, and terminating ones without a node. And the
/// oldest of the pods that have ended, when there are too many of them.
package final class PodGarbageCollector: ControlLoop {
    package let name = "pod-garbage-collector-controller"
    /// How long a node must be gone before its pods are (upstream: quarantineTime).
    static let quarantine = Duration.seconds(40)
    /// How many pods that have ended are kept. Upstream keeps 12,500 (--terminated-pod-gc-threshold); at some kilobytes each
    /// that is too much for a board.
    package static let terminatedPodLimit = 1000
    /// Pods end in groups (upstream: gcCheckPeriod).
    private static let settlingTime = Duration.seconds(20)
    /// Stands for all pods that have ended; no pod has an empty name.
    static let endedPods = ObjectKey(namespace: "", name: "")
    private static let endedIndex = "ended"

    private let context: ControllerContext
    private let queue = WorkQueue<ObjectKey>()
    private let nodes: Informer
    private let pods: Informer
    private let limit: Int
    /// Since when a node has been missing, by its name.
    private let missing = Mutex<[String: ContinuousClock.Instant]>([:])

    /// - Parameter limit: How many pods that have ended are kept.
    package init(context: ControllerContext, keepingEnded limit: Int = terminatedPodLimit) {
        self.context = context
        self.limit = limit
        nodes = context.informers.informer(.nodes)
        pods = context.informers.informer(.pods)
        pods.indexPodsByNode()
        pods.addIndex(Self.endedIndex) { PodView($0).isTerminal ? [""] : [] }
        pods.addHandler { [queue, nodes] event in
            let pod = event.object
            let node = nodes.get(name: PodView(pod).nodeName)
            if case .deleted = event { return }
            if PodView(pod).isTerminal { queue.add(Self.endedPods, after: Self.settlingTime) }
            if node == nil || pod.isBeingDeleted { queue.add(pod.key) }
        }
        nodes.addHandler { [weak self] event in self?.follow(node: event) }
    }

    package func run() async throws {
        let controller = Controller(name, workers: 1, queue: queue, subject: "pod", logger: context.logger) { key in
            try await self.reconcile(key, at: .now)
        }
        await nodes.waitForSync()
        await pods.waitForSync()
        try await controller.run()
    }

    private func follow(node event: InformerEvent) {
        let name = event.object.name
        switch event {
        case .added: missing.withLock { $0[name] = nil }
        case .updated(let old, let new) where !Self.isOutOfService(new) || Self.isOutOfService(old): return
        case .updated, .deleted: for pod in pods.pods(onNode: name) { queue.add(pod.key) }
        }
    }

    /// Whether an administrator says that a node is off and will not come back by itself, and it is not ready.
    private static func isOutOfService(_ node: KubeObject) -> Bool {
        let taints = node.spec["taints"]?.elements ?? []
        return taints.contains { $0["key"]?.string == NodeTaints.outOfService }
            && node.condition("Ready")?.isTrue != true
    }

    func reconcile(_ key: ObjectKey, at now: ContinuousClock.Instant) async throws -> Duration? {
        if key == Self.endedPods {
            try await deleteOldest()
            return nil
        }
        guard let pod = pods.get(key) else { return nil }
        let nodeName = PodView(pod).nodeName
        if nodeName.isEmpty {
            if pod.isBeingDeleted { try await end(pod, "PodGC: deleting unscheduled terminating pod") }
            return nil
        }
        if let node = nodes.get(name: nodeName) {
            if pod.isBeingDeleted, Self.isOutOfService(node) {
                try await end(pod, "PodGC: node is out of service")
            }
            return nil
        }
        let since = missing.withLock { missing in
            let since = missing[nodeName] ?? now
            missing[nodeName] = since
            return since
        }
        let left = Self.quarantine - (now - since)
        if left > .zero { return left }
        guard try await isGone(nodeName) else { return Self.quarantine }
        try await end(pod, "PodGC: node no longer exists")
        return nil
    }

    /// Deletes the pods that ended first, so that as many as may be are left.
    private func deleteOldest() async throws {
        let surplus = Self.surplus(of: pods.list(index: Self.endedIndex, value: ""), limit: limit)
        guard !surplus.isEmpty else { return }
        context.logger.info("Deleting pods that have ended long ago", metadata: ["count": "\(surplus.count)"])
        for pod in surplus {
            var options = DeleteOptions(gracePeriodSeconds: 0)
            options.preconditionUID = pod.uid
            do {
                try await context.client.delete(.pods, namespace: pod.namespace, name: pod.name, options: options)
            } catch let error as StatusError where error.isNotFound || error.isConflict {
                // It has gone, or is another one now.
            }
        }
    }

    /// The pods to delete of those that have ended, so that `limit` are left: evicted ones first, then the oldest (upstream:
    /// byEvictionAndCreationTimestamp).
    static func surplus(of ended: [KubeObject], limit: Int) -> [KubeObject] {
        guard ended.count > limit else { return [] }
        func rank(_ pod: KubeObject) -> (Int, String, String, String) {
            (
                pod.status["reason"]?.string == "Evicted" ? 0 : 1, pod.metadata["creationTimestamp"]?.string ?? "",
                pod.namespace, pod.name
            )
        }
        return Array(ended.sorted { rank($0) < rank($1) }.prefix(ended.count - limit))
    }

    /// Asks the API itself: the local copy may be behind.
    private func isGone(_ nodeName: String) async throws -> Bool {
        do {
            _ = try await context.client.get(.nodes, namespace: nil, name: nodeName)
            return false
        } catch let error as StatusError where error.isNotFound {
            return true
        }
    }

    private func end(_ pod: KubeObject, _ message: String) async throws {
        context.logger.info(
            "Deleting a pod that no node will end",
            metadata: [
                "component": "\(name)", "namespace": "\(pod.namespace)", "pod": "\(pod.name)", "reason": "\(message)",
            ])
        try await PodTermination(client: context.client, now: context.now).end(
            pod, reason: "DeletionByPodGC", message: message, isForced: true)
    }
}
