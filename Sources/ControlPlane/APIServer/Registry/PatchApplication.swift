// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Applies the three patches that know nothing of field owners.
enum PatchApplication {
    /// - Throws: `BadRequest`, `Invalid` when the patch cannot be applied.
    static func apply(
        _ type: PatchType, _ patch: JSON, to document: JSON, schema: SchemaType?
    ) throws(StatusError) -> JSON {
        switch type {
        case .json: return try JSONPatch(patch).apply(to: document)
        case .merge:
            try requireObject(patch)
            return MergePatch.apply(patch, to: document)
        case .strategic:
            return try StrategicMergePatch.apply(patch, to: document, type: schema)
        case .apply: throw .internalError("server-side apply is not a plain patch")
        }
    }

    private static func requireObject(_ patch: JSON) throws(StatusError) {
        guard patch.object != nil else { throw .badRequest("patch must be a JSON object, not \(patch.typeName)") }
    }
}
