// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import LinuxSystem
import Logging
import PodRuntime
import Synchronization

/// Keeps one worker per pod of this node: begins them, feeds them what the API says, and forgets them at their end.
final class PodDirector: Sendable {
    private struct State {
        var workers: [String: PodWorker] = [:]
        /// The pod that holds a key now; a pod of the same name may still be ending.
        var uids: [ObjectKey: String] = [:]
        /// What an earlier run left of pods that have no worker yet.
        var found: [String: FoundPod] = [:]
    }

    private let context: KubeletContext
    private let store: DesiredPods
    /// The Node object as last seen; nil before the registration.
    private let node: @Sendable () -> KubeObject?
    private let state = Mutex(State())

    init(context: KubeletContext, store: DesiredPods, node: @escaping @Sendable () -> KubeObject?) {
        self.context = context
        self.store = store
        self.node = node
    }

    /// Milliseconds of uptime.
    var now: Int64 { context.clock.now().uptimeMilliseconds }

    /// What an earlier run of the agent left, by pod.
    func setFound(_ found: [String: FoundPod]) { state.withLock { $0.found = found } }

    func worker(uid: String) -> PodWorker? { state.withLock { $0.workers[uid] } }

    func worker(_ key: ObjectKey) -> PodWorker? {
        state.withLock { state in state.uids[key].flatMap { state.workers[$0] } }
    }

    var workers: [PodWorker] { state.withLock { Array($0.workers.values) } }

    /// Takes in a pod's newest state from the API or from disk.
    func update(_ object: KubeObject) {
        let pod = Pod(object)
        store.save(pod)
        if let worker = worker(uid: pod.uid) {
            worker.mailbox.post(.podUpdated(pod))
            return
        }
        begin(pod)
    }

    private func begin(_ pod: Pod) {
        let refusal = refusal(of: pod)
        let worker = PodWorker(pod: pod, context: context)
        let found = state.withLock { state in
            state.workers[pod.uid] = worker
            state.uids[pod.key] = pod.uid
            return state.found.removeValue(forKey: pod.uid)
        }
        context.nursery.start { [weak self] in
            var refusal = found == nil ? refusal : nil
            if found == nil, refusal == nil { refusal = await self?.affinityRefusal(of: pod) }
            await worker.run(found: found, refusal: refusal)
            self?.ended(worker, pod)
        }
    }

    private func ended(_ worker: PodWorker, _ pod: Pod) {
        if Task.isCancelled { return }
        state.withLock { state in
            state.workers[pod.uid] = nil
            if state.uids[pod.key] == pod.uid { state.uids[pod.key] = nil }
        }
        store.remove(uid: pod.uid)
    }

    /// Takes in that a pod is gone from the API: whatever is left of it ends at once.
    func removed(_ object: KubeObject) {
        guard let worker = worker(uid: object.uid) else { return }
        var object = object
        if object.deletionTimestamp == nil {
            object.metadata["deletionTimestamp"] = .string(WallClock.text(context.clock.now().wallSeconds))
        }
        // It was deleted by force: containers still get their signal, and a short time.
        object.metadata["deletionGracePeriodSeconds"] = 1
        worker.mailbox.post(.podUpdated(Pod(object)))
    }

    /// Has the volumes of these pods brought up to date.
    func refreshVolumes(of uids: Set<String>) {
        for uid in uids {
            guard let worker = worker(uid: uid) else { continue }
            context.nursery.start { await worker.refreshVolumes() }
        }
    }

    /// Removes what no pod of the API owns any more; call once the API's pods are known.
    func removeOrphans() async {
        let orphans = state.withLock { state in
            defer { state.found = [:] }
            return Set(state.found.keys)
        }
        for uid in orphans { await remove(orphan: uid) }
        for uid in store.uids().subtracting(state.withLock { Set($0.workers.keys) }) where !orphans.contains(uid) {
            await remove(orphan: uid)
        }
    }

    private func remove(orphan uid: String) async {
        let records = context.runtime.records(of: uid)
        let identity =
            records.first?.pod ?? context.runtime.sandbox(of: uid)?.pod
            ?? PodIdentity(uid: uid, name: "", namespace: "")
        var logger = context.logger
        logger[metadataKey: "namespace"] = .string(identity.namespace)
        logger[metadataKey: "pod"] = .string(identity.name)
        logger[metadataKey: "pod-uid"] = .string(uid)
        logger.info("Removing a pod that the API no longer knows")
        for record in records where record.exit == nil { await context.runtime.stopContainer(record.id, grace: 2) }
        do {
            try await context.runtime.removeSandbox(identity)
            await context.runtime.removePod(identity)
            var object = KubeObject(.init("", "v1", "Pod"), namespace: identity.namespace, name: identity.name)
            object.metadata["uid"] = .string(uid)
            try await context.volumes(of: Pod(object), podAddresses: []).tearDown()
            for path in [context.configuration.podDirectory(uid), context.configuration.volatilePodDirectory(uid)] {
                try Files.removeTree(path)
            }
        } catch {
            logger.warning("An orphaned pod could not be removed", metadata: ["error": "\(error)"])
        }
    }

    // MARK: Admission

    /// Why the node does not take a pod; nil if it does (upstream: lifecycle.PredicateAdmitHandler and sysctl).
    private func refusal(of pod: Pod) -> PodRefusal? {
        if ["Succeeded", "Failed"].contains(pod.phase) || pod.object.isBeingDeleted { return nil }
        if context.shutdown.isUnderWay { return ShutdownWords.refusal }
        let others = workers.map(\.pod).filter {
            $0.uid != pod.uid && !["Succeeded", "Failed"].contains($0.phase)
        }
        return NodeAdmission(configuration: context.configuration, machine: context.machine)
            .refusal(of: pod, others: others)
    }

    /// Whether the node is not among those that the pod asks for.
    ///
    /// The node may have got its labels a moment ago, so it is asked for again before a pod is refused.
    private func affinityRefusal(of pod: Pod) async -> PodRefusal? {
        if ["Succeeded", "Failed"].contains(pod.phase) || pod.object.isBeingDeleted { return nil }
        guard let known = node(), NodeAdmission.affinityRefusal(of: pod, on: known) != nil else { return nil }
        do {
            let fresh = try await context.client.get(.nodes, namespace: nil, name: known.name)
            return NodeAdmission.affinityRefusal(of: pod, on: fresh)
        } catch {
            // A node that is cut off from the API runs what it was given.
            context.logger.debug(
                "A pod's node affinity could not be checked",
                metadata: ["namespace": "\(pod.namespace)", "pod": "\(pod.name)", "error": "\(error)"])
            return nil
        }
    }
}
