// SPDX-License-Identifier: Apache-2.0

/// What a LIST asks for (meta/v1 ListOptions).
package struct ListOptions: Hashable, Sendable {
    /// A label selector in its text form; empty selects everything.
    package var labelSelector = ""
    /// A field selector in its text form; empty selects everything.
    package var fieldSelector = ""
    /// At most so many objects; 0 means no limit.
    package var limit = 0
    /// Where an earlier page ended.
    package var continueToken = ""
    /// Empty: most recent; `0`: any; a revision: at least it, or as ``resourceVersionMatch`` says.
    package var resourceVersion = ""
    /// `NotOlderThan` or `Exact`; empty for the default.
    package var resourceVersionMatch = ""

    package init(labelSelector: String = "", fieldSelector: String = "") {
        self.labelSelector = labelSelector
        self.fieldSelector = fieldSelector
    }
}

/// What a WATCH asks for.
package struct WatchOptions: Hashable, Sendable {
    package var labelSelector = ""
    package var fieldSelector = ""
    /// Events after this revision; empty or `0` begins with the objects that exist, as ADDED.
    package var resourceVersion = ""
    package var allowBookmarks = true
    /// Begin with all objects, followed by a bookmark (streaming list, KEP-3157); false begins with later changes alone,
    /// nil with what ``resourceVersion`` says.
    package var sendInitialEvents: Bool?
    /// The server ends the watch after so many seconds; nil leaves it to the server.
    package var timeoutSeconds: Int?

    package init(labelSelector: String = "", fieldSelector: String = "", resourceVersion: String = "") {
        self.labelSelector = labelSelector
        self.fieldSelector = fieldSelector
        self.resourceVersion = resourceVersion
    }
}

/// Options of create, update and patch.
package struct WriteOptions: Hashable, Sendable {
    /// Who owns the fields that this request sets; the client's name where empty.
    package var fieldManager = ""
    /// Whether nothing is stored.
    package var dryRun = false
    /// `Ignore`, `Warn` or `Strict`; empty for the server's default, `Warn`.
    package var fieldValidation = ""
    /// Server-side apply takes over fields that others own.
    package var force = false

    package init(fieldManager: String = "") { self.fieldManager = fieldManager }
}

/// How dependants of a deleted object are treated.
package enum PropagationPolicy: String, Sendable, Hashable {
    case orphan = "Orphan"
    case background = "Background"
    case foreground = "Foreground"
}

/// Options of a deletion (meta/v1 DeleteOptions).
package struct DeleteOptions: Hashable, Sendable {
    /// Seconds; nil for the object's own default, 0 deletes at once.
    package var gracePeriodSeconds: Int?
    package var propagationPolicy: PropagationPolicy?
    package var preconditionUID: String?
    package var preconditionResourceVersion: String?
    package var dryRun = false

    package init(gracePeriodSeconds: Int? = nil, propagationPolicy: PropagationPolicy? = nil) {
        self.gracePeriodSeconds = gracePeriodSeconds
        self.propagationPolicy = propagationPolicy
    }
}

/// The four ways to patch, by media type.
package enum PatchType: String, Sendable, Hashable {
    /// RFC 6902.
    case json = "application/json-patch+json"
    /// RFC 7386.
    case merge = "application/merge-patch+json"
    /// Kubernetes' strategic merge patch.
    case strategic = "application/strategic-merge-patch+json"
    /// Server-side apply.
    case apply = "application/apply-patch+yaml"
}
