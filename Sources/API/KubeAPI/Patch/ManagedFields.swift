// SPDX-License-Identifier: Apache-2.0

package import JSON

/// Who owns which fields of an object: upkeep of `metadata.managedFields`
/// (https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management).
package enum ManagedFields {
    /// Entries of operation Update that an object may have; the oldest are joined beyond.
    static let maximumUpdateEntries = 10
    /// The manager in whose name the oldest updates are joined.
    static let ancientChanges = "ancient-changes"
    /// The manager of what was there before the first apply.
    static let beforeFirstApply = "before-first-apply"
    /// How long a manager's name may be.
    package static let maximumManagerLength = 128

    /// What nobody owns: what the server sets, and what names the object.
    private static let unowned = FieldSet([
        ["apiVersion"], ["kind"], ["metadata"], ["metadata", "name"], ["metadata", "namespace"],
        ["metadata", "creationTimestamp"], ["metadata", "selfLink"], ["metadata", "uid"], ["metadata", "clusterName"],
        ["metadata", "generation"], ["metadata", "managedFields"], ["metadata", "resourceVersion"],
    ])
    private static let statusFields = FieldSet([["status"]])
    private static let specFields = FieldSet([["spec"]])

    /// Who makes a write: the field manager that the request names, or the first part of the client's name.
    package static func manager(fieldManager: String, userAgent: String) -> String {
        if !fieldManager.isEmpty { return fieldManager }
        let plain = userAgent.utf8.prefix { $0 != UInt8(ascii: "/") }
        if 1...maximumManagerLength ~= plain.count, plain.allSatisfy({ 0x20..<0x7F ~= $0 }) {
            return String(Substring(plain))
        }
        let name = userAgent.unicodeScalars.prefix { $0 != "/" }.filter { $0.value >= 0x20 && $0.value != 0x7F }
        var result = ""
        for scalar in name {
            guard result.utf8.count + UTF8.width(scalar) <= maximumManagerLength else { break }
            result.unicodeScalars.append(scalar)
        }
        return result.isEmpty ? "unknown" : result
    }

    /// The fields that a write by this way cannot change, so that it does not come to own them.
    package static func ignoredFields(subresource: String) -> FieldSet {
        switch subresource {
        case "": statusFields
        case "status": specFields
        default: FieldSet()
        }
    }

    /// Sets the `managedFields` of an object that a create, update or patch is about to store.
    ///
    /// - Parameters:
    ///   - old: the stored object, nil when it is created.
    ///   - new: the object as it will be stored, defaults included; its `managedFields` are what the client sent.
    ///   - type: the type of the object.
    ///   - apiVersion: the version in which the client wrote.
    ///   - subresource: empty for the object itself.
    ///   - time: now, RFC 3339 in seconds.
    package static func update(
        old: JSON?, new: inout JSON, type: SchemaType?, apiVersion: String, manager: String, subresource: String = "",
        time: String
    ) {
        let sent = new["metadata"]?["managedFields"]
        var entries = entries(sent: sent, old: old, isSubresource: !subresource.isEmpty)
        // An object without managed fields stays without until someone applies it.
        guard old == nil || !entries.isEmpty else {
            new["metadata", "managedFields"] = nil
            return
        }
        new["metadata", "managedFields"] = nil
        var before = old ?? [:]
        before["metadata", "managedFields"] = nil
        let change = FieldComparison(old: before, new: new, type: type)
            .ignoring(ignoredFields(subresource: subresource))
        record(
            change, in: &entries,
            by: ManagedFieldsEntry(
                manager: manager, operation: .update, apiVersion: apiVersion, subresource: subresource, time: time))
        cap(&entries)
        store(entries, in: &new)
    }

    /// The entries to start from: those that the client sent, unless it knows nothing of them (none sent, or malformed
    /// ones) or writes a subresource. One empty entry asks to forget them all.
    private static func entries(sent: JSON?, old: JSON?, isSubresource: Bool) -> [ManagedFieldsEntry] {
        if !isSubresource, let sent = sent?.array, !sent.isEmpty {
            if sent.count == 1, sent[0].object?.isEmpty == true { return [] }
            if let entries = decode(sent) { return entries }
        }
        return entries(of: old)
    }

    /// The entries of an object; none if they are malformed.
    package static func entries(of object: JSON?) -> [ManagedFieldsEntry] {
        decode(object?["metadata"]?["managedFields"]?.elements ?? []) ?? []
    }

    private static func decode(_ list: [JSON]) -> [ManagedFieldsEntry]? {
        let entries = list.compactMap(ManagedFieldsEntry.init)
        return entries.count == list.count ? entries : nil
    }

    /// Gives the fields that changed to their new owner, and takes them and those removed from everybody.
    private static func record(
        _ change: FieldComparison, in entries: inout [ManagedFieldsEntry], by owner: ManagedFieldsEntry
    ) {
        let taken = change.set
        for index in entries.indices where !(entries[index].isSame(as: owner) && entries[index].contains(taken)) {
            if entries[index].intersects(taken) {
                entries[index].fields = entries[index].fields.subtracting(taken)
            }
        }
        release(change.removed, in: &entries)
        entries.removeAll(where: \.isEmpty)
        let owned = taken.subtracting(unowned)
        guard !owned.isEmpty else { return }
        if let index = entries.firstIndex(where: { $0.isSame(as: owner) }) {
            if !entries[index].contains(owned) { entries[index].fields = entries[index].fields.union(owned) }
            entries[index].time = owner.time
        } else {
            var entry = owner
            entry.fields = owned
            entries.append(entry)
        }
    }

    private static func release(_ removed: FieldSet, in entries: inout [ManagedFieldsEntry]) {
        for index in entries.indices where entries[index].intersects(removed) {
            entries[index].fields = entries[index].fields.subtracting(removed)
        }
    }

    /// Joins the oldest updates of each version until there are few enough.
    private static func cap(_ entries: inout [ManagedFieldsEntry]) {
        var updates = entries.filter { $0.operation == .update }
        guard updates.count > maximumUpdateEntries else { return }
        entries.removeAll { $0.operation == .update }
        updates.sort(by: ManagedFieldsEntry.isBefore)
        var count = updates.count
        var buckets: [String: ManagedFieldsEntry] = [:]
        var isJoined: Set<String> = []
        var rest: [ManagedFieldsEntry] = []
        for entry in updates {
            if count <= maximumUpdateEntries {
                rest.append(entry)
            } else if var bucket = buckets[entry.apiVersion] {
                bucket.fields = bucket.fields.union(entry.fields)
                bucket.manager = ancientChanges
                bucket.subresource = ""
                bucket.time = entry.time
                buckets[entry.apiVersion] = bucket
                isJoined.insert(entry.apiVersion)
                count -= 1
            } else {
                buckets[entry.apiVersion] = entry
            }
        }
        entries += rest + buckets.values
    }

    static func store(_ entries: [ManagedFieldsEntry], in object: inout JSON) {
        guard !entries.isEmpty else {
            object["metadata", "managedFields"] = nil
            return
        }
        object["metadata", "managedFields"] = .array(entries.sorted(by: ManagedFieldsEntry.isBefore).map(\.json))
    }

    // MARK: - For apply

    /// The entries of a live object that is applied to; what an object without any has belongs to nobody in particular.
    static func entriesBeforeApply(
        of live: JSON?, type: SchemaType?, by applier: ManagedFieldsEntry
    ) -> [ManagedFieldsEntry] {
        let entries = entries(of: live)
        guard entries.isEmpty, var live else { return entries }
        live["metadata", "managedFields"] = nil
        var entry = applier
        entry.manager = beforeFirstApply
        entry.operation = .update
        entry.fields = owned(
            FieldComparison(old: [:], new: live, type: type).set, subresource: applier.subresource)
        return entry.isEmpty ? [] : [entry]
    }

    /// A set without what nobody owns and what this way of writing cannot change.
    static func owned(_ set: FieldSet, subresource: String) -> FieldSet {
        set.subtractingBelow(ignoredFields(subresource: subresource)).subtracting(unowned)
    }

    /// Takes fields from all entries but one.
    static func take(_ set: FieldSet, from entries: inout [ManagedFieldsEntry], except owner: ManagedFieldsEntry) {
        for index in entries.indices where !entries[index].isSame(as: owner) && entries[index].intersects(set) {
            entries[index].fields = entries[index].fields.subtracting(set)
        }
        entries.removeAll(where: \.isEmpty)
    }
}
