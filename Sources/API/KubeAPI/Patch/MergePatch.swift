// SPDX-License-Identifier: Apache-2.0

package import JSON

/// JSON merge patch (RFC 7386): objects are merged member by member, `null` removes, all else replaces.
package enum MergePatch {
    /// The document with the patch applied; no patch is refused, for none is malformed.
    package static func apply(_ patch: JSON, to document: JSON) -> JSON {
        guard case .object(let members) = patch else { return patch }
        var result = document.object ?? JSONObject()
        var removed: [String] = []
        for (key, value) in members {
            switch value {
            case .null: removed.append(key)
            case .object: result[key] = apply(value, to: result[key] ?? .null)
            default: result[key] = value
            }
        }
        result.removeValues(forKeys: removed)
        return .object(result)
    }
}
