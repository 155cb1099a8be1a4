// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

extension Registry {
    /// What a PATCH brings.
    struct PatchRequest: Sendable {
        var served: ServedResource
        var namespace: String
        var name: String
        /// Empty for the object itself.
        var subresource: String
        var type: PatchType
        var patch: JSON
        /// The members that occur twice in the patch.
        var duplicates: [JSON.DuplicateMember] = []
        var options: WriteOptions
    }

    /// Patches an object; server-side apply creates it when it is missing.
    func patch(_ request: PatchRequest, context: RequestContext) async throws -> Written {
        let isApply = request.type == .apply
        if isApply, request.options.fieldManager.isEmpty {
            throw SchemaRules.invalid(
                GroupVersionKind("meta.k8s.io", "v1", "PatchOptions"), name: "",
                [
                    .init(
                        reason: "FieldValueRequired", message: "Required value: is required for apply patch",
                        field: "fieldManager")
                ])
        }
        var update = UpdateRequest(
            served: request.served, namespace: request.namespace, name: request.name,
            subresource: request.subresource, options: request.options
        ) { [self] current in
            guard let current else { return try applied(request, to: nil, context) }
            if isApply { return try applied(request, to: current, context) }
            return try patched(request, current, context)
        }
        // There is no part of an object that is missing.
        update.createsIfMissing = isApply && request.subresource.isEmpty
        update.recording = isApply ? .done : .update
        return try await self.update(update, context: context)
    }

    /// The current object with the patch applied, checked against the schema.
    private func patched(
        _ request: PatchRequest, _ current: KubeObject, _ context: RequestContext
    ) throws(StatusError) -> KubeObject {
        let served = request.served
        // A patch is about the version that its URL names.
        let shown = served.servesStoredBytes ? current : ObjectConversion.convert(current, to: served.kind)
        var result = KubeObject(
            try PatchApplication.apply(request.type, request.patch, to: shown.json, schema: served.info.type))
        // The result keeps the version of what it was made from, which is an update's condition for some kinds.
        result = try SchemaRules.check(
            patched: result, as: served.kind, fieldValidation: request.options.fieldValidation,
            duplicates: request.duplicates, context.warnings)
        return served.servesStoredBytes
            ? result : ObjectConversion.convert(result, to: served.storedKind, over: current)
    }

    /// What is applied is YAML to upstream, whose decoder tells of keys that occur twice in words of its own.
    private static func checkDuplicates(_ request: PatchRequest, _ warnings: Warnings) throws(StatusError) {
        let problems = request.duplicates.map { "key \(JSON.string($0.key).text()) already set in map" }
        if problems.isEmpty || request.options.fieldValidation == "Ignore" { return }
        guard request.options.fieldValidation == "Strict" else { return problems.forEach(warnings.add) }
        throw .badRequest(
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  "
                + problems.joined(separator: "\n  "))
    }

    private func applied(
        _ request: PatchRequest, to current: KubeObject?, _ context: RequestContext
    ) throws(StatusError) -> KubeObject {
        let served = request.served
        // What is applied is taken as it stands: defaults must not come to belong to the manager.
        _ = try SchemaRules.check(
            KubeObject(request.patch), served, fieldValidation: request.options.fieldValidation, duplicates: [],
            context.warnings)
        let configuration = KubeObject(request.patch)
        let result = try FieldOwnership.apply(
            served.servesStoredBytes
                ? configuration : ObjectConversion.convert(configuration, to: served.storedKind),
            to: current, served, subresource: request.subresource, request.options, now: clock.now)
        try Self.checkDuplicates(request, context.warnings)
        return KubeObject(
            try ObjectRules.check(result.json, kind: served.storedKind, strictness: .ignore).json)
    }
}
