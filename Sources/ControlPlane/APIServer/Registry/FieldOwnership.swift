// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Keeps `metadata.managedFields` (structured-merge-diff, KEP-555).
enum FieldOwnership {
    /// Notes that a create, update or patch changed fields.
    static func recordWrite(
        _ object: inout KubeObject, live: KubeObject?, _ served: ServedResource, subresource: String,
        _ options: WriteOptions, _ context: RequestContext, now: Int64
    ) {
        ManagedFields.update(
            old: live?.json, new: &object.json, type: Schema.type(for: served.storedKind),
            apiVersion: served.storedKind.groupVersion.description,
            manager: ManagedFields.manager(fieldManager: options.fieldManager, userAgent: context.defaultManager),
            subresource: subresource, time: KubeTime(seconds: Int(now)).text)
    }

    /// Merges an applied configuration into the live object.
    static func apply(
        _ configuration: KubeObject, to live: KubeObject?, _ served: ServedResource, subresource: String,
        _ options: WriteOptions, now: Int64
    ) throws(StatusError) -> KubeObject {
        let apply = ServerSideApply(
            type: Schema.type(for: served.storedKind), kind: served.storedKind, manager: options.fieldManager,
            force: options.force, subresource: subresource, time: KubeTime(seconds: Int(now)).text)
        return KubeObject(try apply.apply(configuration.json, to: live?.json))
    }

    /// Whether a write changed nothing, not counting the times in `managedFields`.
    static func isSame(_ new: KubeObject, _ old: KubeObject) -> Bool {
        var left = new.json
        var right = old.json
        left["metadata", "managedFields"] = nil
        right["metadata", "managedFields"] = nil
        return left == right && entries(new) == entries(old)
    }

    private static func entries(_ object: KubeObject) -> [JSON] {
        (object.metadata["managedFields"]?.elements ?? []).map {
            var entry = $0
            entry["time"] = nil
            return entry
        }
    }
}
