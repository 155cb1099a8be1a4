// SPDX-License-Identifier: Apache-2.0

package import JSON

/// A request that the API refused: the `Status` object (meta/v1) that tells the client why.
package struct StatusError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The HTTP status code.
    package var code: Int
    /// The machine-readable reason, `NotFound`; see ``Reason``.
    package var reason: String
    package var message: String
    package var details: Details?
    /// Where a list may go on although its pages no longer fit together; empty mostly (`metadata.continue`).
    package var continueToken = ""

    /// What the error is about (meta/v1 StatusDetails).
    package struct Details: Hashable, Sendable {
        package var name = ""
        package var group = ""
        /// The resource or kind.
        package var kind = ""
        package var uid = ""
        package var causes: [Cause] = []
        package var retryAfterSeconds = 0

        package init(name: String = "", group: String = "", kind: String = "") {
            self.name = name
            self.group = group
            self.kind = kind
        }
    }

    /// One of several causes, mostly a field (meta/v1 StatusCause).
    package struct Cause: Hashable, Sendable {
        package var reason: String
        package var message: String
        package var field: String

        package init(reason: String, message: String, field: String = "") {
            self.reason = reason
            self.message = message
            self.field = field
        }
    }

    /// The values of `reason` that clients act on (meta/v1 StatusReason).
    package enum Reason {
        package static let unauthorized = "Unauthorized"
        package static let forbidden = "Forbidden"
        package static let notFound = "NotFound"
        package static let alreadyExists = "AlreadyExists"
        package static let conflict = "Conflict"
        package static let gone = "Gone"
        package static let expired = "Expired"
        package static let invalid = "Invalid"
        package static let serverTimeout = "ServerTimeout"
        package static let timeout = "Timeout"
        package static let tooManyRequests = "TooManyRequests"
        package static let badRequest = "BadRequest"
        package static let methodNotAllowed = "MethodNotAllowed"
        package static let notAcceptable = "NotAcceptable"
        package static let requestEntityTooLarge = "RequestEntityTooLarge"
        package static let unsupportedMediaType = "UnsupportedMediaType"
        package static let internalError = "InternalError"
        package static let serviceUnavailable = "ServiceUnavailable"
    }

    package init(code: Int, reason: String, message: String, details: Details? = nil) {
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
    }

    package var description: String { message }
    package var isNotFound: Bool { reason == Reason.notFound }
    package var isConflict: Bool { reason == Reason.conflict }
    package var isAlreadyExists: Bool { reason == Reason.alreadyExists }
    /// The revision that a list or watch wanted is no longer there: list again.
    package var isExpired: Bool { code == 410 }
}

// MARK: - The errors that the API machinery raises, worded as upstream

extension StatusError {
    package static func notFound(_ resource: GroupVersionResource, _ name: String) -> StatusError {
        .init(
            code: 404, reason: Reason.notFound, message: "\(resource.groupResource) \"\(name)\" not found",
            details: .init(name: name, group: resource.group, kind: resource.resource))
    }

    package static func alreadyExists(_ resource: GroupVersionResource, _ name: String) -> StatusError {
        .init(
            code: 409, reason: Reason.alreadyExists, message: "\(resource.groupResource) \"\(name)\" already exists",
            details: .init(name: name, group: resource.group, kind: resource.resource))
    }

    package static func conflict(
        _ resource: GroupVersionResource, _ name: String,
        _ why: String = "the object has been modified; please apply your changes to the latest version and try again"
    ) -> StatusError {
        .init(
            code: 409, reason: Reason.conflict,
            message: "Operation cannot be fulfilled on \(resource.groupResource) \"\(name)\": \(why)",
            details: .init(name: name, group: resource.group, kind: resource.resource))
    }

    package static func forbidden(_ resource: GroupVersionResource, _ name: String, _ why: String) -> StatusError {
        let subject = name.isEmpty ? "\(resource.groupResource)" : "\(resource.groupResource) \"\(name)\""
        return .init(
            code: 403, reason: Reason.forbidden, message: "\(subject) is forbidden: \(why)",
            details: .init(name: name, group: resource.group, kind: resource.resource))
    }

    package static func badRequest(_ message: String) -> StatusError {
        .init(code: 400, reason: Reason.badRequest, message: message)
    }

    package static func expired(_ message: String) -> StatusError {
        .init(code: 410, reason: Reason.expired, message: message)
    }

    package static func methodNotSupported(_ resource: GroupVersionResource, _ action: String) -> StatusError {
        .init(
            code: 405, reason: Reason.methodNotAllowed,
            message: "\(action) is not supported on resources of kind \"\(resource.groupResource)\"",
            details: .init(group: resource.group, kind: resource.resource))
    }

    package static func internalError(_ message: String) -> StatusError {
        .init(code: 500, reason: Reason.internalError, message: "Internal error occurred: \(message)")
    }
}

// MARK: - Wire form

extension StatusError {
    /// The `Status` object.
    package var json: JSON {
        var result: JSON = [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure",
            "message": .string(message), "reason": .string(reason),
        ]
        if !continueToken.isEmpty { result["metadata"] = ["continue": .string(continueToken)] }
        if let details { result["details"] = details.json }
        result["code"] = JSON(code)
        return result
    }

    /// Reads a `Status` object; nil if this is not one.
    package init?(_ json: JSON) {
        guard json["kind"]?.string == "Status", json["status"]?.string != "Success" else { return nil }
        code = json["code"]?.int ?? 500
        reason = json["reason"]?.string ?? ""
        message = json["message"]?.string ?? ""
        details = json["details"].map(Details.init)
        continueToken = json["metadata"]?["continue"]?.string ?? ""
    }
}

extension StatusError.Details {
    var json: JSON {
        var result: JSON = .object([:])
        for (key, value) in [("name", name), ("group", group), ("kind", kind), ("uid", uid)] where !value.isEmpty {
            result[key] = .string(value)
        }
        if !causes.isEmpty {
            result["causes"] = .array(
                causes.map { cause in
                    var result: JSON = ["reason": .string(cause.reason), "message": .string(cause.message)]
                    if !cause.field.isEmpty { result["field"] = .string(cause.field) }
                    return result
                })
        }
        if retryAfterSeconds > 0 { result["retryAfterSeconds"] = JSON(retryAfterSeconds) }
        return result
    }

    init(_ json: JSON) {
        name = json["name"]?.string ?? ""
        group = json["group"]?.string ?? ""
        kind = json["kind"]?.string ?? ""
        uid = json["uid"]?.string ?? ""
        causes = (json["causes"]?.elements ?? []).map {
            .init(
                reason: $0["reason"]?.string ?? "", message: $0["message"]?.string ?? "",
                field: $0["field"]?.string ?? "")
        }
        retryAfterSeconds = json["retryAfterSeconds"]?.int ?? 0
    }
}
