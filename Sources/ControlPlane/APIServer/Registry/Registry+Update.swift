// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Storage

extension Registry {
    /// What an update starts from and how it changes that.
    struct UpdateRequest: Sendable {
        var served: ServedResource
        var namespace: String
        var name: String
        /// Empty for the object itself.
        var subresource = ""
        var options: WriteOptions
        /// Whether the object is created when it is missing.
        var createsIfMissing = false
        /// How the write is recorded in `managedFields`.
        var recording = Recording.update
        /// Whether ``transform`` leaves out defaults that must be filled in again.
        var appliesDefaults = true
        /// Makes the new object from the current one, nil when there is none. Called again after a lost race.
        var transform: @Sendable (_ current: KubeObject?) async throws -> KubeObject

        enum Recording: Sendable, Hashable {
            /// The fields that changed now belong to the manager.
            case update
            /// The transformation has brought `managedFields` itself (server-side apply).
            case done
        }
    }

    /// Changes an object, and tries again when somebody else was faster, unless the request names a version.
    ///
    /// - Throws: `NotFound`, `Conflict`, `Invalid`, `Forbidden` by admission, whatever the transformation throws.
    func update(_ request: UpdateRequest, context: RequestContext) async throws -> Written {
        let key = request.served.key(namespace: request.namespace, name: request.name)
        var current = try await currentSnapshot().get(key)
        for _ in 0..<Self.maximumAttempts {
            guard let existing = current else {
                guard request.createsIfMissing else {
                    throw StatusError.notFound(request.served.resource, request.name)
                }
                return try await createMissing(request, context)
            }
            switch try await attempt(request, on: existing, context) {
            case .done(let written): return written
            case .lostRace(let newer): current = newer
            }
        }
        throw StatusError.conflict(request.served.resource, request.name)
    }

    /// The outcome of one attempt to change an object.
    enum Attempt: Sendable {
        case done(Written)
        case lostRace(StoredValue?)
    }

    private func createMissing(_ request: UpdateRequest, _ context: RequestContext) async throws -> Written {
        var object = try await request.transform(nil)
        try Self.checkPlace(&object, request)
        try authorizeCreation(request, context)
        if !object.resourceVersion.isEmpty {
            throw StatusError.conflict(
                request.served.resource, request.name,
                "StorageError: invalid object, Code: 4, Key: "
                    + "\(request.served.key(namespace: request.namespace, name: request.name)), ResourceVersion: 0, "
                    + "AdditionalErrorMsg: Precondition failed: UID in precondition: , UID in object meta: ")
        }
        return try await create(
            request.served, namespace: request.namespace, object: object, options: request.options, context: context,
            recording: request.recording)
    }

    /// Who may change an object may not therefore make one (upstream: `withAuthorization` in `handlers/update.go`).
    private func authorizeCreation(_ request: UpdateRequest, _ context: RequestContext) throws(StatusError) {
        if context.isTrusted { return }
        let resource = request.served.resource
        try authorizer.authorize(
            AccessAttributes(
                user: context.user, verb: "create", group: resource.group, resource: resource.resource,
                namespace: request.namespace, name: request.name))
    }

    private func attempt(
        _ request: UpdateRequest, on existing: StoredValue, _ context: RequestContext
    ) async throws -> Attempt {
        let served = request.served
        let old = try StoredObjectDecoder.decode(existing)
        let change = Change(
            operation: .update, served: served, subresource: request.subresource, old: old, user: context.user,
            isDryRun: request.options.dryRun, isTrusted: context.isTrusted, warnings: context.warnings, registry: self)
        var object = try await request.transform(old)
        try Self.checkPlace(&object, request)
        try checkVersion(object, existing, request)
        try keepIdentity(&object, old, request)
        if request.appliesDefaults { try SchemaRules.applyDefaults(&object, served) }
        separateStatus(&object, old, request)
        try NodeRestriction.check(change, object)
        try await served.behaviour.admit(change, &object)
        if case .update = request.recording {
            FieldOwnership.recordWrite(
                &object, live: old, served, subresource: request.subresource, request.options, context, now: clock.now)
        }
        do {
            try await served.behaviour.prepare(change, &object)
            countGeneration(&object, old, served, request.subresource)
            try SchemaRules.validate(
                object, old: old, served, subresource: request.subresource,
                extra: served.behaviour.problems(change, object))
            try PodSecurityAdmission.check(change, object)
            SchemaRules.warn(change, object)
            let outcome = try await store(object, old, existing, request)
            if case .done(let written) = outcome {
                await served.behaviour.written(change, written.object)
            } else {
                await served.behaviour.abandoned(change, object)
            }
            return outcome
        } catch {
            await served.behaviour.abandoned(change, object)
            throw error
        }
    }

    // MARK: Checks

    private static func checkPlace(_ object: inout KubeObject, _ request: UpdateRequest) throws(StatusError) {
        if object.name.isEmpty { object.name = request.name }
        guard object.name == request.name else {
            throw .badRequest(
                "the name of the object (\(object.name)) does not match the name on the URL (\(request.name))")
        }
        try settleNamespace(&object, request.served, request.namespace)
    }

    private func checkVersion(
        _ object: KubeObject, _ existing: StoredValue, _ request: UpdateRequest
    ) throws(StatusError) {
        let version = object.resourceVersion
        if version.isEmpty || version == "0" {
            guard !request.served.behaviour.traits.allowsUnconditionalUpdate else { return }
            throw SchemaRules.invalid(
                request.served.kind, name: request.name,
                [
                    .init(
                        reason: "FieldValueInvalid",
                        message: "Invalid value: 0: must be specified for an update", field: "metadata.resourceVersion")
                ])
        }
        guard let number = Revision(version) else {
            throw .badRequest("resourceVersion: Invalid value: \"\(version)\": must be an integer")
        }
        if number != existing.revision { throw .conflict(request.served.resource, request.name) }
    }

    /// Puts back the metadata that no update changes.
    private func keepIdentity(
        _ object: inout KubeObject, _ old: KubeObject, _ request: UpdateRequest
    ) throws(StatusError) {
        if !object.uid.isEmpty, object.uid != old.uid {
            throw .conflict(
                request.served.resource, request.name,
                "Precondition failed: UID in precondition: \(object.uid), UID in object meta: \(old.uid)")
        }
        var metadata = object.metadata
        for key in [
            "uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "generateName",
        ] { metadata[key] = old.metadata[key] }
        metadata["selfLink"] = nil
        if request.subresource == "status" {
            metadata["ownerReferences"] = old.metadata["ownerReferences"]
            metadata["finalizers"] = old.metadata["finalizers"]
        }
        object.metadata = metadata
        object.json["apiVersion"] = old.json["apiVersion"]
        object.json["kind"] = old.json["kind"]
    }

    /// The status changes only through `/status`, and nothing else through it.
    private func separateStatus(_ object: inout KubeObject, _ old: KubeObject, _ request: UpdateRequest) {
        guard request.served.hasStatus else { return }
        let members = request.served.behaviour.traits.statusMembers
        switch request.subresource {
        case "status":
            var merged = old
            merged.metadata = object.metadata
            for member in members { merged.json[member] = object.json[member] }
            object = merged
        case "": for member in members { object.json[member] = old.json[member] }
        default: break
        }
    }

    /// The parts whose changes are none of the object's wishes: what is so, and the node that the scheduler chose.
    private static let uncountedParts: Set<String> = ["status", "binding"]

    private func countGeneration(
        _ object: inout KubeObject, _ old: KubeObject, _ served: ServedResource, _ subresource: String
    ) {
        let traits = served.behaviour.traits
        guard traits.hasGeneration, !Self.uncountedParts.contains(subresource) else { return }
        func isCounted(_ key: String) -> Bool {
            key != "metadata" && key != "apiVersion" && key != "kind" && !traits.statusMembers.contains(key)
        }
        let keys = Set(object.json.members.keys + old.json.members.keys).filter(isCounted)
        let hasChanged =
            keys.contains { object.json[$0] != old.json[$0] }
            || (traits.generationCountsAnnotations
                && object.metadata["annotations"] != old.metadata["annotations"])
        if hasChanged { object.json["metadata", "generation"] = JSON(old.generation + 1) }
    }

    // MARK: Storing

    private func store(
        _ object: KubeObject, _ old: KubeObject, _ existing: StoredValue, _ request: UpdateRequest
    ) async throws -> Attempt {
        let served = request.served
        if Self.completesDeletion(object, served) {
            return try await remove(object, existing, request)
        }
        var unversioned = object
        unversioned.resourceVersion = old.resourceVersion
        if FieldOwnership.isSame(unversioned, old) {
            return .done(Written(object: old, bytes: existing.bytes))
        }
        let encoded = ObjectCodec.encode(object)
        if request.options.dryRun {
            return .done(Written(object: unversioned, bytes: encoded.bytes(at: existing.revision)))
        }
        let mutation = Mutation(
            key: existing.key, condition: .revision(existing.revision),
            change: .put(encoded.bytes, revisionOffset: encoded.revisionOffset))
        switch try await tryCommit(mutation) {
        case .lostRace(let current): return .lostRace(current)
        case .done(let value):
            unversioned.resourceVersion = String(value.revision)
            return .done(Written(object: unversioned, bytes: value.bytes))
        }
    }

    /// Whether an object that is being deleted has just lost its last reason to live.
    static func completesDeletion(_ object: KubeObject, _ served: ServedResource) -> Bool {
        object.isBeingDeleted && object.finalizers.isEmpty
            && (object.metadata["deletionGracePeriodSeconds"]?.int ?? 0) == 0
            && !served.behaviour.blocksRemoval(object)
    }

    private func remove(
        _ object: KubeObject, _ existing: StoredValue, _ request: UpdateRequest
    ) async throws -> Attempt {
        let encoded = ObjectCodec.encode(object)
        if request.options.dryRun {
            return .done(Written(object: object, bytes: encoded.bytes(at: existing.revision), isGone: true))
        }
        let mutation = Mutation(
            key: existing.key, condition: .revision(existing.revision),
            change: .delete(last: encoded.bytes, revisionOffset: encoded.revisionOffset))
        switch try await tryCommit(mutation) {
        case .lostRace(let current): return .lostRace(current)
        case .done(let value):
            var object = object
            object.resourceVersion = String(value.revision)
            return .done(Written(object: object, bytes: value.bytes, isGone: true))
        }
    }
}
