// SPDX-License-Identifier: Apache-2.0

import KubeAPI

/// Which options of lists and watches go together
/// (upstream: `apimachinery/pkg/apis/meta/internalversion/validation`).
enum ListRules {
    private static let match = "resourceVersionMatch"

    /// - Throws: `Invalid` (422) with all that is wrong.
    static func check(_ options: ListOptions) throws(StatusError) {
        let value = options.resourceVersionMatch
        guard !value.isEmpty else { return }
        var causes: [StatusError.Cause] = []
        if options.resourceVersion.isEmpty {
            causes.append(forbidden(match, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
        }
        causes += continued(options.continueToken)
        if value != "Exact", value != "NotOlderThan" {
            causes.append(unsupported(value, ["Exact", "NotOlderThan", ""]))
        }
        if value == "Exact", options.resourceVersion == "0" {
            causes.append(
                forbidden(match, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""))
        }
        if !causes.isEmpty { throw invalid(causes) }
    }

    /// - Throws: `Invalid` (422) with all that is wrong.
    static func checkWatch(
        match value: String, hasInitialEvents: Bool, continueToken: String
    ) throws(StatusError) {
        var causes: [StatusError.Cause] = []
        if hasInitialEvents, value != "NotOlderThan" {
            causes.append(forbidden(match, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
        }
        if !value.isEmpty {
            if !hasInitialEvents {
                causes.append(
                    forbidden(match, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
                )
            }
            if value != "NotOlderThan" { causes.append(unsupported(value, ["NotOlderThan"])) }
            causes += continued(continueToken)
        }
        if !causes.isEmpty { throw invalid(causes) }
    }

    private static func continued(_ token: String) -> [StatusError.Cause] {
        token.isEmpty ? [] : [forbidden(match, "resourceVersionMatch is forbidden when continue is provided")]
    }

    static func forbidden(_ field: String, _ why: String) -> StatusError.Cause {
        .init(reason: "FieldValueForbidden", message: "Forbidden: \(why)", field: field)
    }

    private static func unsupported(_ value: String, _ supported: [String]) -> StatusError.Cause {
        let list = supported.map { "\"\($0)\"" }.joined(separator: ", ")
        return .init(
            reason: "FieldValueNotSupported", message: "Unsupported value: \"\(value)\": supported values: \(list)",
            field: match)
    }

    static func invalid(_ causes: [StatusError.Cause]) -> StatusError {
        SchemaRules.invalid(GroupVersionKind("meta.k8s.io", "v1", "ListOptions"), name: "", causes)
    }
}
