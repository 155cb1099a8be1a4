// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Writes one pod's status to the API: only what changed, one patch at a time, and not each step of a start on its own.
final class StatusPublisher: Sendable {
    /// How long a change waits for others, unless it is one that somebody is waiting for.
    private static let gatherTime = Duration.milliseconds(120)
    private static let longestRetry = Duration.seconds(20)

    fileprivate struct State {
        var wanted: JSON?
        var isUrgent = false
        var written: JSON
        var isWriting = false
        var isGone = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let key: ObjectKey
    private let uid: String
    private let client: any ResourceClient
    private let logger: Logger
    private let state: Mutex<State>
    private let signal = BoundedChannel<Void>(limit: 1)
    private let hurry = BoundedChannel<Void>(limit: 1)

    init(pod: Pod, client: any ResourceClient, logger: Logger) {
        key = pod.key
        uid = pod.uid
        self.client = client
        self.logger = logger
        state = Mutex(State(written: pod.status))
    }

    /// The status as last wanted.
    var latest: JSON { state.withLock { $0.wanted ?? $0.written } }

    /// Wants a status written.
    func publish(_ status: JSON) {
        let (isNews, isUrgent) = state.withLock { state in
            if (state.wanted ?? state.written) == status { return (false, false) }
            state.isUrgent = state.isUrgent || Self.isUrgent(state.written, status)
            state.wanted = status
            return (true, state.isUrgent)
        }
        if isNews { signal.offer(()) }
        if isUrgent { hurry.offer(()) }
    }

    /// Whether somebody is likely to wait for the change: ready, no longer ready, failed, ended.
    private static func isUrgent(_ old: JSON, _ new: JSON) -> Bool {
        if old["phase"] != new["phase"], new["phase"] != "Pending" { return true }
        if isReady(old) != isReady(new) { return true }
        let restarts = { (status: JSON) in (status["containerStatuses"]?.elements ?? []).map { $0["restartCount"] } }
        return restarts(old) != restarts(new) && old["containerStatuses"] != nil
    }

    /// Takes in the status that the API has: where the control plane reported a lost node's pod as not ready, and the node is
    /// back, the pod's own word is written again.
    func observe(_ status: JSON) {
        let isNews = state.withLock { state in
            guard !state.isWriting, state.wanted == nil, Self.isReady(state.written), !Self.isReady(status),
                status["conditions"] != nil
            else { return false }
            state.wanted = state.written
            state.written["conditions"] = status["conditions"]
            return true
        }
        if isNews { signal.offer(()) }
    }

    private static func isReady(_ status: JSON) -> Bool {
        (status["conditions"]?.elements ?? []).first { $0["type"]?.string == "Ready" }?["status"]?.string == "True"
    }

    /// Waits until what is wanted has been written, or the pod is gone from the API.
    func flush() async {
        state.withLock { $0.isUrgent = true }
        signal.offer(())
        hurry.offer(())
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                if state.isGone || state.wanted == nil && !state.isWriting { return true }
                state.waiters.append(continuation)
                return false
            }
            if isDone { continuation.resume() }
        }
    }

    /// Writes until the task is cancelled or the pod is gone.
    func run() async {
        defer { finish() }
        var retry = Duration.milliseconds(100)
        while await signal.receive() != nil {
            if !state.withLock({ $0.isUrgent }) { await gather() }
            while let (patch, wanted) = next() {
                do {
                    try await write(patch)
                    done(wanted)
                    retry = .milliseconds(100)
                } catch let error as StatusError where error.isNotFound || error.isConflict {
                    return
                } catch {
                    if Task.isCancelled { return }
                    logger.warning(
                        "A pod's status could not be written",
                        metadata: ["namespace": "\(key.namespace)", "pod": "\(key.name)", "error": "\(error)"])
                    // Cancellation is seen at the next write.
                    try? await Task.sleep(for: retry)
                    retry = min(retry * 2, Self.longestRetry)
                }
            }
        }
    }

    /// Waits a little for more changes, or until one is urgent.
    private func gather() async {
        await withTaskGroup(of: Void.self) { group in
            // Cancellation ends the wait; what is wanted is still written after it.
            group.addTask { try? await Task.sleep(for: Self.gatherTime) }
            group.addTask { [hurry] in _ = await hurry.receive() }
            await group.next()
            group.cancelAll()
        }
    }

    private func finish() {
        let waiters = state.withLock { state in
            state.isGone = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// The patch to write now; nil if nothing is wanted.
    private func next() -> (patch: JSON, wanted: JSON)? {
        let (result, waiters) = state.withLock { state -> ((JSON, JSON)?, [CheckedContinuation<Void, Never>]) in
            guard let wanted = state.wanted else { return (nil, state.takeWaiters()) }
            state.wanted = nil
            state.isUrgent = false
            guard let patch = Self.patch(from: state.written, to: wanted) else { return (nil, state.takeWaiters()) }
            state.isWriting = true
            return ((patch, wanted), [])
        }
        for waiter in waiters { waiter.resume() }
        return result
    }

    private func done(_ written: JSON) {
        state.withLock { state in
            state.isWriting = false
            state.written = written
        }
    }

    private func write(_ patch: JSON) async throws {
        do {
            _ = try await client.patch(
                .pods, namespace: key.namespace, name: key.name, subresource: "status", type: .strategic,
                patch: ["metadata": ["uid": .string(uid)], "status": patch], options: WriteOptions())
        } catch {
            state.withLock { state in
                state.isWriting = false
                // Try again with the whole difference.
                if state.wanted == nil { state.wanted = merged(state.written, patch) }
            }
            throw error
        }
    }

    private func merged(_ written: JSON, _ patch: JSON) -> JSON {
        var result = written
        for (key, value) in patch.members {
            if value.isNull { result[key] = nil } else { result[key] = Self.withoutDirectives(value) }
        }
        return result
    }

    private static func withoutDirectives(_ value: JSON) -> JSON {
        guard let elements = value.array else { return value }
        return .array(
            elements.filter { $0["$patch"] == nil }.map { element in
                var result = element
                for key in optionalOfConditions where element[key]?.isNull == true { result[key] = nil }
                return result
            })
    }

    /// The members that differ, as a strategic merge patch; nil if none does. Conditions of others are left alone.
    static func patch(from old: JSON, to new: JSON) -> JSON? {
        var patch = JSON.object([:])
        for (key, value) in new.members where !isSame(key, old[key], value) {
            // These lists merge by a key: say that the new one is all there is.
            let isMerged = ["podIPs", "hostIPs"].contains(key) && !(old[key]?.elements ?? []).isEmpty
            patch[key] = isMerged ? .array([["$patch": "replace"]] + value.elements) : value
            if key == "conditions" {
                patch[key] = .array(
                    conditions(from: old[key], to: value)
                        + gone(old[key], value).map { ["$patch": "delete", "type": .string($0)] })
            }
        }
        for key in ["reason", "message", "podIP", "podIPs"] where new[key] == nil && old[key] != nil {
            patch[key] = .null
        }
        if patch.members.isEmpty { return nil }
        return patch
    }

    /// Conditions are merged one by one: what one no longer has must be taken away.
    private static func conditions(from old: JSON?, to new: JSON) -> [JSON] {
        new.elements.map { condition in
            guard let before = old?.elements.first(where: { $0["type"] == condition["type"] }) else { return condition }
            var result = condition
            for key in optionalOfConditions where condition[key] == nil && before[key] != nil { result[key] = .null }
            return result
        }
    }

    private static let optionalOfConditions = ["reason", "message"]

    /// Conditions of ours that are no more.
    private static func gone(_ old: JSON?, _ new: JSON) -> [String] {
        let has = { (list: JSON?, type: String) in (list?.elements ?? []).contains { $0["type"]?.string == type } }
        return PodStatusWriter.resizeConditions.filter { has(old, $0) && !has(new, $0) }
    }

    private static func isSame(_ key: String, _ old: JSON?, _ new: JSON) -> Bool {
        guard key == "conditions" else { return old == new }
        if !gone(old, new).isEmpty { return false }
        // Ours are among those that are there.
        let known = old?.elements ?? []
        return new.elements.allSatisfy { condition in
            known.contains { $0["type"] == condition["type"] && Self.agree($0, condition) }
        }
    }

    private static func agree(_ old: JSON, _ new: JSON) -> Bool {
        ["status", "reason", "message", "observedGeneration"].allSatisfy { old[$0] == new[$0] }
    }
}

extension StatusPublisher.State {
    fileprivate mutating func takeWaiters() -> [CheckedContinuation<Void, Never>] {
        defer { waiters = [] }
        return waiters
    }
}
