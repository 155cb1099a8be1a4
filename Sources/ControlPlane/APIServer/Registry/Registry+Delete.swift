// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Storage

extension Registry {
    /// Deletes an object, or begins its deletion when it has finalizers or a grace period.
    ///
    /// - Throws: `NotFound`, `Conflict` when a precondition does not hold, `Forbidden` by admission.
    func delete(
        _ served: ServedResource, namespace: String, name: String, options submitted: DeleteOptions,
        context: RequestContext
    ) async throws -> Written {
        let key = served.key(namespace: namespace, name: name)
        var current = try await currentSnapshot().get(key)
        for _ in 0..<Self.maximumAttempts {
            guard let existing = current else { throw StatusError.notFound(served.resource, name) }
            let object = try StoredObjectDecoder.decode(existing)
            try Self.checkPreconditions(submitted, object, served)
            let change = Change(
                operation: .delete, served: served, subresource: "", old: object, user: context.user,
                isDryRun: submitted.dryRun, isTrusted: context.isTrusted, warnings: context.warnings, registry: self)
            var options = submitted
            try NodeRestriction.check(change, object)
            try await served.behaviour.admitDeletion(change, object, &options)
            let plan = deletionPlan(object, served, options)
            if case .nothingToDo = plan { return Written(object: object, bytes: existing.bytes) }
            switch try await carryOut(plan, on: existing, object, isDryRun: options.dryRun) {
            case .lostRace(let newer): current = newer
            case .done(let written):
                if written.isGone, !options.dryRun { await served.behaviour.written(change, written.object) }
                return written
            }
        }
        throw StatusError.conflict(served.resource, name)
    }

    private static func checkPreconditions(
        _ options: DeleteOptions, _ object: KubeObject, _ served: ServedResource
    ) throws(StatusError) {
        if let uid = options.preconditionUID, uid != object.uid {
            throw .conflict(
                served.resource, object.name,
                "Precondition failed: UID in precondition: \(uid), UID in object meta: \(object.uid)")
        }
        if let version = options.preconditionResourceVersion, version != object.resourceVersion {
            throw .conflict(
                served.resource, object.name,
                "Precondition failed: ResourceVersion in precondition: \(version), ResourceVersion in object meta: "
                    + object.resourceVersion)
        }
    }

    /// What a deletion comes to.
    private enum DeletionPlan: Sendable {
        case remove
        /// The object lives on in this state.
        case mark(KubeObject)
        /// It is being deleted already, and not later than now asked for.
        case nothingToDo
    }

    /// Decides as upstream's `rest.BeforeDelete` and `deletionFinalizersForGarbageCollection` do.
    private func deletionPlan(
        _ object: KubeObject, _ served: ServedResource, _ options: DeleteOptions
    ) -> DeletionPlan {
        var marked = object
        let finalizers = Self.finalizers(object, options, served.behaviour.traits.defaultPropagation)
        marked.json["metadata", "finalizers"] = finalizers.isEmpty ? JSON?.none : JSON(finalizers)
        let staysForOthers = !finalizers.isEmpty || served.behaviour.blocksRemoval(object)
        let grace = served.behaviour.gracePeriod(object, options)
        if object.isBeingDeleted {
            return planRepeated(
                marked, object, wanted: options.gracePeriodSeconds, isGraceful: grace != nil,
                staysForOthers: staysForOthers)
        }
        if (grace ?? 0) == 0, !staysForOthers { return .remove }
        let seconds = grace ?? 0
        marked.json["metadata", "deletionTimestamp"] = .string(KubeTime(seconds: Int(clock.now + Int64(seconds))).text)
        marked.json["metadata", "deletionGracePeriodSeconds"] = JSON(seconds)
        if object.generation > 0 { marked.json["metadata", "generation"] = JSON(object.generation + 1) }
        served.behaviour.mark(&marked)
        return .mark(marked)
    }

    /// A second deletion may only shorten the grace period, and one that says nothing of it changes nothing.
    ///
    /// - Parameters:
    ///   - wanted: The grace period that the request asks for, in seconds.
    ///   - isGraceful: Whether the kind has grace periods at all.
    private func planRepeated(
        _ marked: KubeObject, _ object: KubeObject, wanted: Int?, isGraceful: Bool, staysForOthers: Bool
    ) -> DeletionPlan {
        let running = object.metadata["deletionGracePeriodSeconds"]?.boundedInt ?? 0
        // Nothing holds it any more; it should have gone with the last change.
        if running == 0, !staysForOthers { return .remove }
        guard isGraceful else { return marked == object ? .nothingToDo : .mark(marked) }
        // Upstream leaves the finalizers of a graceful deletion alone too, unless it shortens the period.
        guard let wanted = wanted.map({ $0 < 0 ? 1 : $0 }), wanted < running else { return .nothingToDo }
        if wanted == 0, !staysForOthers { return .remove }
        var marked = marked
        // The new period counts from when the first deletion was asked for, which cannot lie in the future.
        let begun = (object.deletionTimestamp.flatMap { KubeTime($0) }?.seconds ?? Int(clock.now)) - running
        marked.json["metadata", "deletionTimestamp"] = .string(KubeTime(seconds: begun + wanted).text)
        marked.json["metadata", "deletionGracePeriodSeconds"] = JSON(wanted)
        return .mark(marked)
    }

    /// The finalizers that make the garbage collector do what the policy says.
    private static func finalizers(
        _ object: KubeObject, _ options: DeleteOptions, _ standard: PropagationPolicy
    ) -> [String] {
        let orphan = "orphan"
        let foreground = "foregroundDeletion"
        var names = object.finalizers
        let policy: PropagationPolicy
        if let wanted = options.propagationPolicy {
            policy = wanted
        } else if names.contains(orphan) {
            policy = .orphan
        } else if names.contains(foreground) {
            policy = .foreground
        } else {
            policy = standard
        }
        names.removeAll {
            ($0 == orphan && policy != .orphan) || ($0 == foreground && policy != .foreground)
        }
        if policy == .orphan, !names.contains(orphan) { names.append(orphan) }
        if policy == .foreground, !names.contains(foreground) { names.append(foreground) }
        return names
    }

    private func carryOut(
        _ plan: DeletionPlan, on existing: StoredValue, _ object: KubeObject, isDryRun: Bool
    ) async throws -> Attempt {
        var state = object
        var isGone = true
        if case .mark(let marked) = plan {
            state = marked
            isGone = false
        }
        let encoded = ObjectCodec.encode(state)
        if isDryRun {
            return .done(Written(object: state, bytes: encoded.bytes(at: existing.revision), isGone: isGone))
        }
        let change: Mutation.Change =
            isGone
            ? .delete(last: encoded.bytes, revisionOffset: encoded.revisionOffset)
            : .put(encoded.bytes, revisionOffset: encoded.revisionOffset)
        let mutation = Mutation(key: existing.key, condition: .revision(existing.revision), change: change)
        switch try await tryCommit(mutation) {
        case .lostRace(let current): return .lostRace(current)
        case .done(let value):
            state.resourceVersion = String(value.revision)
            return .done(Written(object: state, bytes: value.bytes, isGone: isGone))
        }
    }

    /// Deletes every object that the options select, and returns what they were.
    func deleteCollection(
        _ served: ServedResource, namespace: String, selecting list: ListOptions, options: DeleteOptions,
        context: RequestContext
    ) async throws -> ListPage {
        let page = try await self.list(served, namespace: namespace, options: list)
        for value in page.values {
            let key = served.objectKey(ofKey: value.key)
            do {
                _ = try await delete(
                    served, namespace: key.namespace, name: key.name, options: options, context: context)
            } catch let error as StatusError where error.isNotFound {
                continue
            }
        }
        return page
    }
}
