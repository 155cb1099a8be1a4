// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Deletes pods from nodes with a taint NoExecute that they do not tolerate, or not any longer.
package final class TaintEvictionController: ControlLoop {
    package let name = "taint-eviction-controller"
    private let context: ControllerContext
    private let queue = WorkQueue<ObjectKey>()
    private let nodes: Informer
    private let pods: Informer
    private let recorder: EventRecorder
    /// Since when a pod has been bearing its node's taints, by its UID.
    private let bearing = Mutex<[String: ContinuousClock.Instant]>([:])

    package init(context: ControllerContext) {
        self.context = context
        nodes = context.informers.informer(.nodes)
        pods = context.informers.informer(.pods)
        recorder = context.recorder("taint-eviction-controller")
        pods.indexPodsByNode()
        pods.addHandler { [weak self] event in self?.follow(pod: event) }
        nodes.addHandler { [queue, pods] event in
            if case .updated(let old, let new) = event, TaintEviction.taints(of: old) == TaintEviction.taints(of: new) {
                return
            }
            if case .added(let node) = event, TaintEviction.taints(of: node).isEmpty { return }
            for pod in pods.pods(onNode: event.object.name) { queue.add(pod.key) }
        }
    }

    package func run() async throws {
        let controller = Controller(name, workers: 2, queue: queue, subject: "pod", logger: context.logger) { key in
            try await self.reconcile(key, at: .now)
        }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.recorder.run() }
            group.addTask {
                await self.nodes.waitForSync()
                await self.pods.waitForSync()
                try await controller.run()
            }
        }
    }

    private func follow(pod event: InformerEvent) {
        let pod = event.object
        if case .deleted = event {
            bearing.withLock { $0[pod.uid] = nil }
            return
        }
        if case .updated(let old, let new) = event, old.spec["nodeName"] == new.spec["nodeName"],
            old.spec["tolerations"] == new.spec["tolerations"]
        {
            return
        }
        if !PodView(pod).nodeName.isEmpty { queue.add(pod.key) }
    }

    func reconcile(_ key: ObjectKey, at now: ContinuousClock.Instant) async throws -> Duration? {
        guard let pod = pods.get(key), !pod.isBeingDeleted else { return nil }
        let view = PodView(pod)
        let taints = nodes.get(name: view.nodeName).map { TaintEviction.taints(of: $0) } ?? []
        guard let patience = TaintEviction.patience(of: view.tolerations, with: taints) else {
            bearing.withLock { $0[pod.uid] = nil }
            return nil
        }
        let since = bearing.withLock { bearing in
            let since = bearing[pod.uid] ?? now
            bearing[pod.uid] = since
            return since
        }
        let left = patience - (now - since)
        if left > .zero { return left }
        recorder.record(
            pod, .normal, reason: "TaintManagerEviction",
            message: "Marking for deletion Pod \(pod.namespace)/\(pod.name)")
        try await PodTermination(client: context.client, now: context.now).end(
            pod, reason: "DeletionByTaintManager", message: "Taint manager: deleting due to NoExecute taint",
            isForced: false)
        return nil
    }
}

/// What taints do to pods; no I/O.
enum TaintEviction {
    /// The taints of a node that evict.
    static func taints(of node: KubeObject) -> [Taint] {
        (node.spec["taints"]?.elements ?? []).map(Taint.init).filter { $0.effect == "NoExecute" }
    }

    /// How long a pod may stay; nil for ever (upstream: getMinTolerationTime).
    static func patience(of tolerations: [JSON], with taints: [Taint]) -> Duration? {
        var shortest: Int64?
        for taint in taints {
            let used = tolerations.filter { taint.isTolerated(by: [$0]) }
            if used.isEmpty { return .zero }
            for toleration in used {
                guard let seconds = toleration["tolerationSeconds"]?.boundedInt else { continue }
                shortest = min(shortest ?? .max, max(0, Int64(seconds)))
            }
        }
        return shortest.map { .seconds($0) }
    }
}
