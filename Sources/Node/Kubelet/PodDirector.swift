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

    /// Pods whose spec asks, or once asked, for other resources than they were granted.
    private struct Resizes {
        var granted: [String: [String: JSON]] = [:]
        /// Pods that ask for more than they can have now, and why not.
        var waiting: [String: (pod: Pod, why: PendingResize)] = [:]
        /// Whether all pods of the node are known, and so what is left for others.
        var isComplete = false
        /// Pods that asked for other resources before that.
        var undecided: [String: KubeObject] = [:]
    }

    private let context: KubeletContext
    private let store: DesiredPods
    /// The Node object as last seen; nil before the registration.
    private let node: @Sendable () -> KubeObject?
    private let state = Mutex(State())
    /// Held while decisions are made, told and kept, so that none is made on an older one's ground.
    private let resizes = Mutex(Resizes())

    /// What others have given the node and pods may use, in units.
    private let extendedResources: @Sendable () -> [String: Int64]

    init(context: KubeletContext, store: DesiredPods, reporter: NodeReporter) {
        self.context = context
        self.store = store
        node = { reporter.node }
        extendedResources = { reporter.extendedResources }
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
        if let worker = worker(uid: pod.uid) {
            resizes.withLock { resizes in
                let granted = decide(pod, known: resizes.granted[pod.uid] ?? worker.pod.resources, worker, &resizes)
                store.save(pod)
                worker.mailbox.post(.podUpdated(granted))
            }
            retryResizes(except: pod.uid)
            return
        }
        let known = ["Succeeded", "Failed"].contains(pod.phase) ? nil : store.granted(pod.uid)
        // A directory without a worker is an orphan's, so the worker comes first.
        guard let known, known != pod.resources else {
            begin(pod)
            return store.save(pod)
        }
        resizes.withLock { $0.granted[pod.uid] = known }
        begin(pod.granted(known))
        store.save(known, of: pod)
        // It asked for something else while nobody listened, or earlier in vain.
        update(object)
    }

    private func begin(_ pod: Pod) {
        let verdict = verdict(on: pod)
        let worker = PodWorker(pod: pod, context: context)
        let found = state.withLock { state in
            state.workers[pod.uid] = worker
            state.uids[pod.key] = pod.uid
            return state.found.removeValue(forKey: pod.uid)
        }
        context.nursery.start { [weak self] in
            var refusal: PodRefusal?
            if found == nil { refusal = await self?.carryOut(verdict, on: pod) }
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
        resizes.withLock { resizes in
            resizes.granted[pod.uid] = nil
            resizes.waiting[pod.uid] = nil
            resizes.undecided[pod.uid] = nil
        }
        store.remove(uid: pod.uid)
        retryResizes(except: pod.uid)
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
        worker.mailbox.post(.podUpdated(Pod(object).granted(worker.pod.resources)))
    }

    /// Has the volumes of these pods brought up to date.
    func refreshVolumes(of uids: Set<String>) {
        for uid in uids {
            guard let worker = worker(uid: uid) else { continue }
            context.nursery.start { await worker.volumesChanged() }
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

    /// Whether the node takes a pod (upstream: lifecycle.PredicateAdmitHandler and sysctl).
    private func verdict(on pod: Pod) -> NodeAdmission.Verdict {
        if ["Succeeded", "Failed"].contains(pod.phase) || pod.object.isBeingDeleted { return .admitted }
        if context.shutdown.isUnderWay { return .refused(ShutdownWords.refusal) }
        // One that the node has taken before, and that comes back with it, was there before the pressure.
        if pod.status["startTime"] == nil, let refusal = context.pressure.conditions.refusal(of: pod) {
            return .refused(refusal)
        }
        return admission.verdict(on: pod, others: resizes.withLock { others(than: pod, $0) })
    }

    private var admission: NodeAdmission {
        var admission = NodeAdmission(configuration: context.configuration, machine: context.machine)
        admission.extended = extendedResources()
        admission.hasAppArmor = SecurityModules.hasAppArmor()
        return admission
    }

    /// Why the node does not take a pod after all; nil if it does, and those are gone that had to go for it.
    private func carryOut(_ verdict: NodeAdmission.Verdict, on pod: Pod) async -> PodRefusal? {
        if case .refused(let refusal) = verdict { return refusal }
        if let refusal = await affinityRefusal(of: pod) { return refusal }
        guard case .admittedAfter(let victims) = verdict else { return nil }
        for victim in victims {
            guard let worker = worker(uid: victim.uid) else { continue }
            context.event(victim, isWarning: true, CriticalPreemption.reason, CriticalPreemption.message)
            worker.mailbox.post(
                .evicted(
                    reason: CriticalPreemption.reason, message: CriticalPreemption.message,
                    grace: victim.terminationGracePeriodSeconds))
        }
        for victim in victims { await worker(uid: victim.uid)?.waitUntilDown() }
        return nil
    }

    /// The other pods that need their resources, with what they have been granted: their workers may not know yet.
    private func others(than pod: Pod, _ resizes: Resizes) -> [Pod] {
        workers.filter { $0.uid != pod.uid && !$0.isOver }.map(\.pod)
            .map { other in resizes.granted[other.uid].map(other.granted) ?? other }
    }

    // MARK: Resizes

    /// The pod with the resources that it has from now on: those that its spec asks for, or those of before where the node
    /// cannot grant them, which the worker is told.
    private func decide(
        _ pod: Pod, known: [String: JSON], _ worker: PodWorker, _ resizes: inout Resizes
    ) -> Pod {
        let before = resizes.waiting[pod.uid]?.why
        let isOver = ["Succeeded", "Failed"].contains(pod.phase) || pod.object.isBeingDeleted
        let wanted = pod.resources
        var why: PendingResize?
        if wanted != known, !isOver, !resizes.isComplete {
            resizes.undecided[pod.uid] = pod.object
            return pod.granted(known)
        }
        if wanted != known {
            why = isOver ? before : admission.pendingResize(of: pod, others: others(than: pod, resizes))
            let granted = why == nil && !isOver ? wanted : known
            if resizes.granted[pod.uid] != granted {
                resizes.granted[pod.uid] = granted
                store.save(granted, of: pod)
            }
        }
        resizes.waiting[pod.uid] = why.map { (pod, $0) }
        if why != before { worker.mailbox.post(.resizePending(why, wanted: pod)) }
        return resizes.granted[pod.uid].map(pod.granted) ?? pod
    }

    /// Takes in that all pods of the node are known: only now more can be granted to one of them.
    func allPodsAreKnown() {
        let undecided = resizes.withLock { resizes in
            resizes.isComplete = true
            defer { resizes.undecided = [:] }
            return resizes.undecided
        }
        for (uid, object) in undecided where worker(uid: uid) != nil { update(object) }
    }

    /// Looks again at what was asked for in vain; for when something of the node may have become free.
    private func retryResizes(except uid: String) {
        resizes.withLock { resizes in
            for (other, waiting) in resizes.waiting.sorted(by: { $0.key < $1.key }) where other != uid {
                guard let worker = worker(uid: other), let known = resizes.granted[other] else { continue }
                let granted = decide(waiting.pod, known: known, worker, &resizes)
                if resizes.waiting[other] == nil { worker.mailbox.post(.podUpdated(granted)) }
            }
        }
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
