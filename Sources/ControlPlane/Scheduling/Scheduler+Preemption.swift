// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging

extension Scheduler {
    /// Tells why a pod found no node, and has less important pods go if that helps. The pod is promised their room.
    ///
    /// - Parameter refusals: Why each node cannot take it, by name.
    func makeRoom(for demand: PodDemand, _ refusals: [String: Refusal], in snapshot: Filters.Snapshot) async {
        let pod = demand.pod.object
        var message = Self.message(refusals.values, nodes: snapshot.nodes.count)
        var nomination = state.nomination(of: demand.key)
        var chosen: Preemption.Candidate?
        if !snapshot.nodes.isEmpty {
            let preemption = Preemption(snapshot: snapshot, budgets: DisruptionBudgets(budgets.list()))
            switch preemption.attempt(for: demand, nomination: nomination, refusals: refusals) {
            case .candidate(let candidate):
                chosen = candidate
                nomination = candidate.node
            case .ineligible(let why): message += " preemption: \(why)"
            case .hopeless(let reasons):
                message += " preemption: \(Self.message(reasons, nodes: snapshot.nodes.count))"
                nomination = nil
            }
        }
        // Before anything goes, so that nobody else gets the room.
        state.nominate(demand, on: nomination)
        events.record(pod, .warning, reason: "FailedScheduling", action: "Scheduling", message: message)
        await report(pod, reason: "Unschedulable", message: message, nomination: nomination)
        if let chosen { await preempt(chosen, for: demand) }
    }

    private func preempt(_ candidate: Preemption.Candidate, for demand: PodDemand) async {
        await withdrawNominations(on: candidate.node, below: demand.pod.priority)
        let isDone = await withTaskGroup(of: Bool.self) { group in
            // As many as a node has pods, at most.
            for victim in candidate.victims where !victim.pod.object.isBeingDeleted {
                group.addTask { await self.end(victim.pod.object, for: demand.pod.object, on: candidate.node) }
            }
            return await group.reduce(true) { $0 && $1 }
        }
        // Nothing will happen that has the pod tried again.
        if !isDone { pending.add(demand.pod) }
    }

    /// Less important pods that have been promised room on the node look elsewhere.
    private func withdrawNominations(on node: String, below priority: Int) async {
        for other in state.nominations[node] ?? [] where other.pod.priority < priority {
            state.nominate(other, on: nil)
            pending.add(other.pod)
            await write(["nominatedNodeName": .null], of: other.pod.object)
        }
    }

    /// Ends a pod in its time; false if that could not be asked for.
    private func end(_ victim: KubeObject, for preemptor: KubeObject, on node: String) async -> Bool {
        let scheduler = preemptor.spec["schedulerName"]?.string ?? Self.name
        do {
            let wasThere = try await PodTermination(client: client, now: now).end(
                victim, reason: Preemption.reason,
                message: "\(scheduler): preempting to accommodate a higher priority pod", isForced: false)
            if wasThere {
                events.record(
                    victim, .normal, reason: "Preempted", action: "Preempting",
                    message: "Preempted by pod \(preemptor.uid) on node \(node)", related: preemptor)
            }
            return true
        } catch {
            logger.warning(
                "A pod could not be preempted",
                metadata: ["namespace": "\(victim.namespace)", "pod": "\(victim.name)", "error": "\(error)"])
            return false
        }
    }
}
