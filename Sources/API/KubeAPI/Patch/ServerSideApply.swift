// SPDX-License-Identifier: Apache-2.0

package import JSON

/// Server-side apply: merges what a manager wants into an object, minds other owners, and removes what the manager
/// no longer wants (structured-merge-diff's Updater.Apply and the managers that upstream puts around it).
package struct ServerSideApply: Sendable {
    package var type: SchemaType?
    package var kind: GroupVersionKind
    package var manager: String
    /// Whether fields are taken over that others own with another value.
    package var force: Bool
    /// Empty for the object itself.
    package var subresource: String
    /// Now, RFC 3339 in seconds.
    package var time: String

    private static let lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
    /// The annotations of an object, all in all (validation.TotalAnnotationSizeLimitB).
    private static let maximumAnnotationBytes = 256 << 10

    package init(
        type: SchemaType?, kind: GroupVersionKind, manager: String, force: Bool = false, subresource: String = "",
        time: String
    ) {
        self.type = type
        self.kind = kind
        self.manager = manager
        self.force = force
        self.subresource = subresource
        self.time = time
    }

    private var owner: ManagedFieldsEntry {
        ManagedFieldsEntry(
            manager: manager, operation: .apply, apiVersion: kind.groupVersion.description, subresource: subresource,
            time: time)
    }

    /// The object that results, with its `managedFields`; defaults are the caller's to fill in.
    ///
    /// - Parameters:
    ///   - patch: the applied configuration.
    ///   - live: the stored object, nil if there is none yet.
    /// - Throws: 400 if the configuration is not one, 409 with a cause for each field if others own fields with other
    ///   values, 500 (as upstream) if it does not fit the schema.
    package func apply(_ patch: JSON, to live: JSON?) throws(StatusError) -> JSON {
        try check(patch)
        do {
            return try merge(patch, into: live, force: force)
        } catch {
            // kubectl may take over what it applied itself on the client's side.
            guard error.isConflict, manager == "kubectl", let live else { throw error }
            return try migrate(patch, live, conflict: error)
        }
    }

    private func check(_ patch: JSON) throws(StatusError) {
        guard patch.object != nil else { throw .badRequest("error decoding YAML: apply patch must be an object") }
        let version = patch["apiVersion"]?.string ?? ""
        guard version == kind.groupVersion.description else {
            throw .badRequest(
                "Incorrect version specified in apply patch. Specified patch version: \(version), expected: "
                    + "\(kind.groupVersion)")
        }
        if let fields = patch["metadata"]?["managedFields"], !fields.isNull {
            throw .badRequest("metadata.managedFields must be nil")
        }
        guard let problem = TypedMerge.problem(in: patch, type) else { return }
        let metadata = patch["metadata"]
        let name = metadata?["name"]?.string ?? ""
        let object = metadata?["namespace"]?.string.map { "\($0)/\(name)" } ?? "/\(name)"
        throw StatusError(
            code: 500, reason: "", message: "failed to create typed patch object (\(object); \(kind)): \(problem)")
    }

    private func merge(_ patch: JSON, into live: JSON?, force: Bool) throws(StatusError) -> JSON {
        var entries = ManagedFields.entriesBeforeApply(of: live, type: type, by: owner)
        var before = live ?? ["apiVersion": .string(kind.groupVersion.description), "kind": .string(kind.kind)]
        before["metadata", "managedFields"] = nil
        let wanted = ManagedFields.owned(FieldSet(applied: patch, type: type), subresource: subresource)
        let previous = entries.firstIndex { $0.isSame(as: owner) }.map { entries.remove(at: $0) }
        var merged = TypedMerge.merge(before, patch, type)
        if let previous {
            let others = entries.reduce(wanted) { $0.union($1.fields) }
            // Merging once more brings back the lists and objects that the configuration wants to be empty.
            merged = TypedMerge.merge(prune(merged, last: previous.fields, managed: others), patch, type)
        }
        let change = FieldComparison(old: before, new: merged, type: type)
            .ignoring(ManagedFields.ignoredFields(subresource: subresource))
        let conflicts = entries.filter { $0.intersects(change.set) }
        if !force, !conflicts.isEmpty { throw Self.conflict(conflicts, change.set) }
        ManagedFields.take(change.set.union(change.removed), from: &entries, except: owner)
        var entry = owner
        entry.fields = wanted
        // Applying the same again leaves the object as it is, to the letter.
        if change.isEmpty, let previous, previous.fields == wanted { entry.time = previous.time }
        if !wanted.isEmpty { entries.append(entry) }
        updateLastApplied(in: &merged, patch)
        ManagedFields.store(entries, in: &merged)
        return merged
    }

    /// Removes from the merged object what the manager owned, no longer wants, and nobody else owns.
    private func prune(_ merged: JSON, last: FieldSet, managed: FieldSet) -> JSON {
        let lastNamed = last.withNamedFields(type)
        func fieldsAfterRemoving(_ paths: FieldSet) -> FieldSet {
            let value = TypedMerge.remove(paths, from: merged, type, rest: .null) ?? .null
            return FieldSet(applied: value, type: type).withNamedFields(type)
        }
        let all = FieldSet(applied: merged, type: type).withNamedFields(type)
        // What the manager owned goes, and what lies below it; what somebody owns stays.
        let kept = fieldsAfterRemoving(lastNamed).union(managed.withNamedFields(type))
        // Of that, only what the manager owned goes in the end: unowned fields beside it stay.
        let gone = all.subtracting(fieldsAfterRemoving(all.subtracting(kept))).intersection(lastNamed)
        return TypedMerge.remove(gone, from: merged, type, rest: nil) ?? [:]
    }

    // MARK: - Conflicts

    private static func conflict(_ entries: [ManagedFieldsEntry], _ taken: FieldSet) -> StatusError {
        let conflicts = entries.sorted { $0.description < $1.description }.map { entry in
            (owner: entry.description, paths: entry.fields.intersection(taken).paths)
        }
        return conflict(conflicts)
    }

    private static func conflict(_ conflicts: [(owner: String, paths: [[PathElement]])]) -> StatusError {
        func text(_ path: [PathElement]) -> String { path.map(\.description).joined() }
        let all = conflicts.flatMap { conflict in conflict.paths.map { (owner: conflict.owner, path: text($0)) } }
        var error = StatusError(code: 409, reason: StatusError.Reason.conflict, message: "", details: .init())
        error.details?.causes = all.map {
            .init(reason: "FieldManagerConflict", message: "conflict with \($0.owner)", field: $0.path)
        }
        if all.count == 1 {
            error.message = "Apply failed with 1 conflict: conflict with \(all[0].owner): \(all[0].path)"
        } else {
            let parts = conflicts.map { conflict in
                "conflicts with \(conflict.owner):\n"
                    + conflict.paths.map { "- \(text($0))" }.joined(separator: "\n")
            }
            error.message = "Apply failed with \(all.count) conflicts: \(parts.joined(separator: "\n"))"
        }
        return error
    }

    // MARK: - From client-side to server-side apply

    /// Applies again where all conflicts are about fields that kubectl applied on the client's side.
    private func migrate(_ patch: JSON, _ live: JSON, conflict: StatusError) throws(StatusError) -> JSON {
        guard let text = live["metadata"]?["annotations"]?[Self.lastApplied]?.string,
            // An annotation that is no JSON allows nothing.
            let applied = try? JSON.parse(text), applied["apiVersion"]?.string == kind.groupVersion.description
        else { throw conflict }
        var allowed = FieldSet(applied: applied, type: type)
        allowed = allowed.union(FieldSet([["metadata", "annotations", Self.lastApplied]]))
        let paths = Set(allowed.paths.map { $0.map(\.description).joined() })
        let remaining = conflict.details?.causes.filter { !paths.contains($0.field) } ?? []
        guard remaining.isEmpty else {
            let owners = Dictionary(grouping: remaining) { String($0.message.dropFirst("conflict with ".count)) }
            var error = conflict
            error.details?.causes = remaining
            if remaining.count == 1 {
                error.message = "Apply failed with 1 conflict: \(remaining[0].message): \(remaining[0].field)"
            } else {
                let parts = owners.sorted { $0.key < $1.key }.map { owner, causes in
                    "conflicts with \(owner):\n" + causes.map { "- \($0.field)" }.joined(separator: "\n")
                }
                error.message =
                    "Apply failed with \(remaining.count) conflicts: \(parts.joined(separator: "\n"))"
            }
            throw error
        }
        return try merge(patch, into: live, force: true)
    }

    /// Keeps the annotation of client-side apply in step, so that one can go back to it.
    private func updateLastApplied(in object: inout JSON, _ patch: JSON) {
        guard manager == "kubectl", object["metadata"]?["annotations"]?[Self.lastApplied] != nil else { return }
        var applied = patch
        applied["metadata", "annotations", Self.lastApplied] = nil
        let text = applied.text() + "\n"
        let others = object["metadata"]?["annotations"]?.stringMap.filter { $0.key != Self.lastApplied } ?? [:]
        let size = others.reduce(Self.lastApplied.utf8.count + text.utf8.count) {
            $0 + $1.key.utf8.count + $1.value.utf8.count
        }
        object["metadata", "annotations", Self.lastApplied] = size <= Self.maximumAnnotationBytes ? .string(text) : nil
    }
}
