// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging

/// Keeps the status of PodDisruptionBudgets, by which evictions are granted.
package final class DisruptionController: ControlLoop {
    package let name = "disruption-controller"

    private let context: ControllerContext
    private let events: EventRecorder
    private let queue = WorkQueue<ObjectKey>()
    private let budgets: Informer
    private let pods: Informer
    private let replicaSets: Informer
    private let replicationControllers: Informer
    private let deployments: Informer

    package init(context: ControllerContext) {
        self.context = context
        events = context.recorder("controllermanager")
        budgets = context.informers.informer(.podDisruptionBudgets)
        pods = context.informers.informer(.pods)
        replicaSets = context.informers.informer(.replicaSets)
        replicationControllers = context.informers.informer(.init("", "v1", "replicationcontrollers"))
        deployments = context.informers.informer(.deployments)
        queue.addChanges(of: budgets)
        pods.addHandler { [queue, budgets] event in
            var states = [event.object]
            if case .updated(let old, let new) = event {
                if Self.relevantParts(old) == Self.relevantParts(new) { return }
                states.append(old)
            }
            for budget in budgets.list(namespace: event.object.namespace) {
                guard let selector = Self.selector(of: budget) else { continue }
                if states.contains(where: { selector.matches($0.labels) }) { queue.add(budget.key) }
            }
        }
        // What a controller wants counts as well; its pods follow later, and not at all when it is satisfied.
        for informer in [replicaSets, replicationControllers, deployments] {
            informer.addHandler { [queue, budgets] event in
                if case .updated(let old, let new) = event, old.spec["replicas"] == new.spec["replicas"] { return }
                for budget in budgets.list(namespace: event.object.namespace)
                where BudgetCount.countsScale(budget) { queue.add(budget.key) }
            }
        }
    }

    /// What of a pod shows in a budget.
    private static func relevantParts(_ pod: KubeObject) -> [JSON?] {
        [
            pod.metadata["labels"], pod.metadata["ownerReferences"], .bool(pod.isBeingDeleted),
            .bool(PodView(pod).isReady),
        ]
    }

    /// The pods that a budget means; nil for none.
    private static func selector(of budget: KubeObject) -> LabelSelector? {
        budget.spec["selector"].flatMap { LabelSelector(reading: $0) }
    }

    package func run() async throws {
        let controller = Controller(name, workers: 1, queue: queue, logger: context.logger) { key in
            try await self.reconcile(key)
        }
        for informer in [budgets, pods, replicaSets, replicationControllers, deployments] {
            await informer.waitForSync()
        }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.events.run() }
            group.addTask { try await controller.run() }
        }
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard let budget = budgets.get(key), !budget.isBeingDeleted else { return nil }
        let chosen = Self.selector(of: budget).map { selector in
            pods.list(namespace: key.namespace).filter { selector.matches($0.labels) }
        }
        let selected = chosen ?? []
        if selected.isEmpty { events.record(budget, .normal, reason: "NoPods", message: "No matching pods found") }
        let now = context.now()
        var scale = 0
        if BudgetCount.countsScale(budget) {
            do {
                scale = try await wantedPods(of: selected, budget)
            } catch let error as UnknownController {
                let message = "found no controllers for pod \"\(error.pod)\""
                events.record(
                    budget, .warning, reason: "CalculateExpectedPodCountFailed",
                    message: "Failed to calculate the number of expected pods: \(message)")
                try await write(BudgetCount.failure(message, of: budget, now: now), to: budget)
                return nil
            }
        }
        let count = BudgetCount(budget, pods: selected, scale: scale, now: now)
        try await write(count.status(of: budget, now: now), to: budget)
        return count.recheck.map { .seconds($0) }
    }

    private func write(_ status: JSON, to budget: KubeObject) async throws {
        if status == budget.status { return }
        var updated = budget
        updated.status = status
        do {
            _ = try await context.client.updateStatus(.podDisruptionBudgets, object: updated)
        } catch let error as StatusError where error.isNotFound {
            return
        }
    }

    // MARK: What controllers want

    /// A pod's controller is of a kind that says nothing of how many pods it wants.
    private struct UnknownController: Error {
        let pod: String
    }

    /// How many pods the controllers of these pods want together; pods without one are told of and not counted.
    private func wantedPods(of selected: [KubeObject], _ budget: KubeObject) async throws -> Int {
        var scales: [String: Int] = [:]
        var isUnmanaged = false
        for pod in selected {
            guard let owner = pod.controller else {
                isUnmanaged = true
                continue
            }
            if scales[owner.uid] != nil { continue }
            guard let (uid, replicas) = try await scale(of: owner, namespace: pod.namespace) else {
                throw UnknownController(pod: pod.name)
            }
            scales[uid] = replicas
        }
        if isUnmanaged {
            let selector = Self.selector(of: budget).map { "\($0)" } ?? ""
            events.record(
                budget, .warning, reason: "UnmanagedPods",
                message: "Pods selected by this PodDisruptionBudget (selector: \(selector)) were found to be "
                    + "unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in "
                    + "undefined behavior. To account for these pods please set \".spec.minAvailable\" field of the "
                    + "PDB to an integer value.")
        }
        return scales.values.reduce(0, +)
    }

    /// A controller, or the Deployment behind it, and how many pods it wants; nil when there is none.
    private func scale(of owner: OwnerReference, namespace: String) async throws -> (uid: String, replicas: Int)? {
        func wanted(_ object: KubeObject?) -> (uid: String, replicas: Int)? {
            guard let object, object.uid != "" else { return nil }
            return (object.uid, object.spec["replicas"]?.int ?? 1)
        }
        switch owner.kind {
        case "ReplicaSet":
            let set = replicaSets.get(namespace: namespace, name: owner.name)
            guard let set, set.uid == owner.uid else { return nil }
            if let above = set.controller, above.kind == "Deployment" {
                return wanted(deployments.get(namespace: namespace, name: above.name))
            }
            return wanted(set)
        case "ReplicationController":
            return wanted(replicationControllers.get(namespace: namespace, name: owner.name))
        case "StatefulSet":
            do {
                return wanted(
                    try await context.client.get(
                        .init("apps", "v1", "statefulsets"), namespace: namespace, name: owner.name))
            } catch let error as StatusError where error.isNotFound {
                return nil
            }
        default: return nil
        }
    }
}
