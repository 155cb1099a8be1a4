// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Storage

extension Registry {
    /// Attempts at a free generated name.
    private static let generatedNameAttempts = 8

    /// Creates an object.
    ///
    /// - Throws: `AlreadyExists`, `Invalid`, `Forbidden` by admission, `NotFound` for a missing namespace.
    func create(
        _ served: ServedResource, namespace: String, object submitted: KubeObject, options: WriteOptions,
        context: RequestContext, recording: UpdateRequest.Recording = .update
    ) async throws -> Written {
        var template = served.servesStoredBytes ? submitted : ObjectConversion.convert(submitted, to: served.storedKind)
        try prepareIdentity(&template, served, namespace: namespace)
        let isGenerated = template.name.isEmpty
        for attempt in 1... {
            var object = template
            if isGenerated {
                object.name = ObjectNames.generate(from: object.metadata["generateName"]?.string ?? "")
            }
            do {
                return try await createOnce(served, namespace, object, options, context, recording)
            } catch let error as StatusError {
                guard error.isAlreadyExists, isGenerated, attempt < Self.generatedNameAttempts else { throw error }
            }
        }
        throw StatusError.internalError("unreachable")
    }

    private func createOnce(
        _ served: ServedResource, _ namespace: String, _ submitted: KubeObject, _ options: WriteOptions,
        _ context: RequestContext, _ recording: UpdateRequest.Recording
    ) async throws -> Written {
        let change = Change(
            operation: .create, served: served, subresource: "", old: nil, user: context.user,
            isDryRun: options.dryRun, isTrusted: context.isTrusted, warnings: context.warnings, registry: self)
        let snapshot = try await currentSnapshot()
        if served.isNamespaced {
            try namespaces.admitCreation(
                of: served.resource, named: submitted.name,
                in: snapshot.get(StorageKeys.prefix("", "namespaces") + namespace), namespace)
        }
        var object = submitted
        try SchemaRules.applyDefaults(&object, served)
        try NodeRestriction.check(change, object)
        try await served.behaviour.admit(change, &object)
        if case .update = recording {
            FieldOwnership.recordWrite(&object, live: nil, served, subresource: "", options, context, now: clock.now)
        }
        prepareMetadata(&object, served)
        ObjectRules.prepareForCreate(&object.json, kind: served.storedKind)
        do {
            try await served.behaviour.prepare(change, &object)
            try SchemaRules.validate(object, old: nil, served, extra: served.behaviour.problems(change, object))
            try PodSecurityAdmission.check(change, object)
            SchemaRules.warn(change, object)
            let written = try await store(new: object, served, options)
            await served.behaviour.written(change, written.object)
            return written
        } catch {
            await served.behaviour.abandoned(change, object)
            throw error
        }
    }

    /// Settles name and namespace, and refuses what only the server may set.
    private func prepareIdentity(
        _ object: inout KubeObject, _ served: ServedResource, namespace: String
    ) throws(StatusError) {
        guard object.resourceVersion.isEmpty else {
            throw .badRequest("resourceVersion should not be set on objects to be created")
        }
        try Self.settleNamespace(&object, served, namespace)
        if object.name.isEmpty, object.metadata["generateName"]?.string ?? "" == "" {
            throw SchemaRules.invalid(
                served.kind, name: "",
                [
                    .init(
                        reason: "FieldValueRequired", message: "Required value: name or generateName is required",
                        field: "metadata.name")
                ])
        }
    }

    /// The object is where the URL says.
    static func settleNamespace(
        _ object: inout KubeObject, _ served: ServedResource, _ namespace: String
    ) throws(StatusError) {
        guard served.isNamespaced else {
            object.namespace = ""
            return
        }
        if namespace.isEmpty {
            throw .badRequest("an empty namespace may not be set during creation")
        }
        guard object.namespace.isEmpty || object.namespace == namespace else {
            throw .badRequest("the namespace of the provided object does not match the namespace sent on the request")
        }
        object.namespace = namespace
    }

    /// Sets the metadata that a new object gets from the server, and clears the status that nobody has found out yet.
    private func prepareMetadata(_ object: inout KubeObject, _ served: ServedResource) {
        let traits = served.behaviour.traits
        var metadata = object.metadata
        for key in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"] { metadata[key] = nil }
        metadata["uid"] = .string(ObjectNames.uid())
        if traits.hasGeneration { metadata["generation"] = 1 }
        metadata["creationTimestamp"] = .string(clock.timestamp)
        object.metadata = metadata
        if served.hasStatus, !traits.keepsStatusOnCreate {
            for member in traits.statusMembers where object.json[member] != nil || member == "status" {
                object.json[member] = member == "status" ? ObjectRules.emptyStatus(of: served.storedKind) : JSON?.none
            }
        }
    }

    private func store(new object: KubeObject, _ served: ServedResource, _ options: WriteOptions) async throws
        -> Written
    {
        let encoded = ObjectCodec.encode(object)
        let key = served.key(namespace: object.namespace, name: object.name)
        if options.dryRun {
            if let existing = storage.snapshot().get(key) { throw Self.alreadyExists(served, object.name, existing) }
            return Written(object: object, bytes: encoded.bytes(at: nil), isNew: true)
        }
        let mutation = Mutation(
            key: key, condition: .absent, change: .put(encoded.bytes, revisionOffset: encoded.revisionOffset))
        switch try await tryCommit(mutation) {
        case .lostRace(let current): throw Self.alreadyExists(served, object.name, current)
        case .done(let value):
            var object = object
            object.resourceVersion = String(value.revision)
            return Written(object: object, bytes: value.bytes, isNew: true)
        }
    }

    /// The outcome of a conditional change.
    enum CommitOutcome: Sendable {
        case done(StoredValue)
        /// The condition did not hold; this is what is there.
        case lostRace(StoredValue?)
    }

    /// Makes a conditional change; that the condition does not hold is an outcome, not an error.
    func tryCommit(_ mutation: Mutation) async throws(StatusError) -> CommitOutcome {
        do throws(StorageError) {
            return .done(try await storage.commit(mutation))
        } catch {
            if case .conditionFailed(let current) = error { return .lostRace(current) }
            throw StatusTranslation.status(of: error)
        }
    }

    private static func alreadyExists(_ served: ServedResource, _ name: String, _ existing: StoredValue?) -> StatusError
    {
        var error = StatusError.alreadyExists(served.resource, name)
        // A damaged object exists all the same.
        if let existing, let object = try? StoredObjectDecoder.decode(existing), object.isBeingDeleted {
            error.message = "object is being deleted: " + error.message
        }
        return error
    }
}
