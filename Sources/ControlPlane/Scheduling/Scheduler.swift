// SPDX-License-Identifier: Apache-2.0

package import ControllerRuntime
import JSON
package import KubeAPI
package import KubeClient
package import Logging

/// Gives every pending pod a node: filters, scores, binds; one pod at a time, in the order of priority. Where none can take the
/// pod, less important ones may have to go for it.
package final class Scheduler: Sendable {
    /// The name that pods ask for in `spec.schedulerName`.
    package static let name = "default-scheduler"
    /// Bindings under way at once, at most.
    static let bindingLimit = 32

    let client: any ResourceClient
    private let pods: Informer
    private let nodes: Informer
    private let namespaces: Informer
    private let bindings: VolumeBindings
    let budgets: Informer
    let events: EventRecorder
    let logger: Logger
    let now: @Sendable () -> KubeTime
    let state = ClusterState()
    let pending = PendingPods()

    /// - Parameter host: The machine, as events name it.
    package init(
        client: any ResourceClient, informers: InformerSet, host: String, logger: Logger,
        now: @escaping @Sendable () -> KubeTime
    ) {
        self.client = client
        self.logger = logger
        self.now = now
        pods = informers.informer(.pods)
        nodes = informers.informer(.nodes)
        namespaces = informers.informer(.namespaces)
        bindings = VolumeBindings(
            claims: informers.informer(.persistentVolumeClaims), volumes: informers.informer(.persistentVolumes))
        budgets = informers.informer(.podDisruptionBudgets)
        events = EventRecorder(
            client: client, component: Self.name, host: host, form: .series, logger: logger, now: { now().microText })
        follow()
    }

    private func follow() {
        pods.addHandler { [state, pending] event in
            let object = event.object
            let pod = PodView(object)
            if case .deleted = event {
                let heldRoom = !pod.nodeName.isEmpty || state.nomination(of: object.key) != nil
                state.removePod(object.key)
                pending.remove(object.key)
                if heldRoom { pending.wakeAll() }
                return
            }
            var old: KubeObject?
            if case .updated(let before, _) = event { old = before }
            state.putPod(object, before: old)
            let wantsNode =
                pod.nodeName.isEmpty && pod.isActive
                && object.spec["schedulerName"]?.string ?? Self.name == Self.name
            if !wantsNode {
                pending.remove(object.key)
                if pod.isTerminal || Self.isResized(event) {
                    pending.wakeAll()
                } else if Self.isPlaced(event) {
                    pending.wakeFollowers()
                }
            } else if Self.isNews(event) {
                pending.add(pod)
            }
        }
        nodes.addHandler { [state, pending] event in
            if case .deleted(let node) = event {
                state.removeNode(node.name)
            } else {
                state.putNode(event.object)
                if Self.isRelevant(event) { pending.wakeAll() }
            }
        }
        for informer in [bindings.claims, bindings.volumes] {
            informer.addHandler { [pending] _ in pending.wakeAll() }
        }
    }

    /// Whether a pod is new, or changed in what the scheduler reads; its own status updates are no news.
    private static func isNews(_ event: InformerEvent) -> Bool {
        guard case .updated(let old, let new) = event else { return true }
        return old.spec != new.spec || old.labels != new.labels
    }

    /// Whether a pod is on a node that was not before, or is another one to those who look for it.
    private static func isPlaced(_ event: InformerEvent) -> Bool {
        guard case .updated(let old, let new) = event else { return true }
        return PodView(old).nodeName.isEmpty && !PodView(new).nodeName.isEmpty || old.labels != new.labels
    }

    /// Whether a pod takes something else from its node than before.
    private static func isResized(_ event: InformerEvent) -> Bool {
        guard case .updated(let old, let new) = event,
            old.spec != new.spec || old.status["containerStatuses"] != new.status["containerStatuses"]
        else { return false }
        return PodView(old).reservedRequests != PodView(new).reservedRequests
    }

    /// Whether a node changed in what decides over pods; heartbeats do not.
    private static func isRelevant(_ event: InformerEvent) -> Bool {
        guard case .updated(let old, let new) = event else { return true }
        return old.spec != new.spec || old.labels != new.labels
            || old.status["allocatable"] != new.status["allocatable"]
    }

    /// Schedules until the task is cancelled.
    package func run() async throws {
        for informer in [pods, nodes, namespaces, bindings.claims, bindings.volumes, budgets] {
            await informer.waitForSync()
        }
        await withTaskGroup { group in
            // Ends only with the group.
            group.addTask { try? await self.events.run() }
            var running = 0
            while let key = await pending.next() {
                guard let placement = await place(key) else { continue }
                if running >= Self.bindingLimit {
                    await group.next()
                    running -= 1
                }
                running += 1
                group.addTask { await self.bind(placement.demand, to: placement.node) }
            }
            group.cancelAll()
        }
        try Task.checkCancellation()
    }

    // MARK: Finding a node

    private func place(_ key: ObjectKey) async -> (demand: PodDemand, node: String)? {
        guard let object = pods.get(key), PodView(object).nodeName.isEmpty, PodView(object).isActive else {
            pending.remove(key)
            return nil
        }
        if !(object.spec["schedulingGates"]?.elements ?? []).isEmpty {
            pending.remove(key)
            await report(
                object, reason: "SchedulingGated", message: "Scheduling is blocked due to non-empty scheduling gates",
                nomination: state.nomination(of: key))
            return nil
        }
        let demand = PodDemand(object)
        let snapshot = Filters.Snapshot(
            nodes: state.nodes, nominations: state.nominations,
            namespaceLabels: { [namespaces] in namespaces.get(name: $0)?.labels ?? [:] }, volumes: bindings)
        var refusals: [String: Refusal] = [:]
        var feasible: [NodeState] = []
        for node in snapshot.nodes {
            if let refusal = Filters.refusal(of: node, for: demand, in: snapshot) {
                refusals[node.name] = refusal
            } else {
                feasible.append(node)
            }
        }
        let nomination = state.nomination(of: key)
        let promised = feasible.first { $0.name == nomination }
        guard let node = promised ?? Scores.best(of: feasible, for: demand, in: snapshot) else {
            pending.failed(key)
            await makeRoom(for: demand, refusals, in: snapshot)
            return nil
        }
        state.assume(demand, on: node.name)
        pending.remove(key)
        return (demand, node.name)
    }

    /// `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.`
    static func message(_ refusals: some Sequence<Refusal>, nodes: Int) -> String {
        guard nodes > 0 else { return "no nodes available to schedule pods" }
        var counts: [String: Int] = [:]
        for refusal in refusals {
            for reason in refusal.reasons { counts[reason, default: 0] += 1 }
        }
        let reasons = counts.map { "\($0.value) \($0.key)" }.sorted().joined(separator: ", ")
        return "0/\(nodes) nodes are available: \(reasons)."
    }

    /// Writes the condition PodScheduled=False and the node that the pod has been promised, if either changed.
    func report(_ pod: KubeObject, reason: String, message: String, nomination: String?) async {
        let condition = pod.condition("PodScheduled")
        let isKnown = condition?.reason == reason && condition?.message == message
        let known = PodView(pod).nominatedNodeName
        if isKnown, known == nomination ?? "" { return }
        var written = Condition(
            type: "PodScheduled", status: "False", reason: reason, message: message, lastTransitionTime: now().text
        ).json
        written["observedGeneration"] = JSON(pod.generation)
        var status: JSON = ["conditions": [written]]
        if known != nomination ?? "" { status["nominatedNodeName"] = nomination.map { .string($0) } ?? .null }
        await write(status, of: pod)
    }

    /// Writes parts of a pod's status; what fails is written when the pod is next tried.
    func write(_ status: JSON, of pod: KubeObject) async {
        do {
            _ = try await client.patch(
                .pods, namespace: pod.namespace, name: pod.name, subresource: "status", type: .strategic,
                patch: ["metadata": ["uid": .string(pod.uid)], "status": status], options: .init())
        } catch {
            logger.debug(
                "A pod's status was not written",
                metadata: ["namespace": "\(pod.namespace)", "pod": "\(pod.name)", "error": "\(error)"])
        }
    }

    // MARK: Binding

    private func bind(_ demand: PodDemand, to node: String) async {
        let pod = demand.pod.object
        let binding = KubeObject([
            "apiVersion": "v1", "kind": "Binding",
            "metadata": [
                "name": .string(pod.name), "namespace": .string(pod.namespace), "uid": .string(pod.uid),
            ],
            "target": ["kind": "Node", "apiVersion": "v1", "name": .string(node)],
        ])
        do {
            _ = try await client.create(
                .pods, namespace: pod.namespace, name: pod.name, subresource: "binding", object: binding,
                options: .init())
            events.record(
                pod, .normal, reason: "Scheduled", action: "Binding",
                message: "Successfully assigned \(pod.namespace)/\(pod.name) to \(node)")
        } catch {
            state.removePod(demand.key)
            if let current = pods.get(demand.key) { state.putPod(current) }
            // Gone, or placed by somebody else: the informer tells. Anything else is tried again.
            if let status = error as? StatusError, status.isNotFound || status.isConflict { return }
            logger.warning(
                "A pod could not be bound",
                metadata: [
                    "namespace": "\(pod.namespace)", "pod": "\(pod.name)", "node": "\(node)", "error": "\(error)",
                ])
            pending.add(demand.pod)
            pending.failed(demand.key)
        }
    }
}
