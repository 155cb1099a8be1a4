// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOCore

extension DeleteOptions {
    /// The options of a DELETE: the body's if it has one, else the query's.
    init(_ request: HTTPRequest, _ query: QueryParameters) throws(StatusError) {
        self.init()
        if request.body.readableBytes > 0 {
            try read(try RequestBody(request).json)
        } else {
            gracePeriodSeconds = try query.seconds("gracePeriodSeconds")
            propagationPolicy = try Self.policy(query["propagationPolicy"], query["orphanDependents"])
            preconditionUID = query["preconditions.uid"]
            preconditionResourceVersion = query["preconditions.resourceVersion"]
        }
        let isDryRun = try query.dryRun("DeleteOptions")
        dryRun = dryRun || isDryRun
    }

    private mutating func read(_ json: JSON) throws(StatusError) {
        guard json.object != nil else { throw .badRequest("DeleteOptions must be a JSON object, not \(json.typeName)") }
        if let kind = json["kind"]?.string, kind != "DeleteOptions" {
            throw .badRequest("no kind \"\(kind)\" is registered for DeleteOptions in scheme \"v1\"")
        }
        gracePeriodSeconds = json["gracePeriodSeconds"]?.boundedInt
        propagationPolicy = try Self.policy(
            json["propagationPolicy"]?.string, json["orphanDependents"]?.bool.map { $0 ? "true" : "false" })
        preconditionUID = json["preconditions"]?["uid"]?.string
        preconditionResourceVersion = json["preconditions"]?["resourceVersion"]?.string
        for value in json["dryRun"]?.elements ?? [] {
            guard value.string == "All" else {
                throw Self.invalid("dryRun", "Unsupported value: \(value): supported values: \"All\"")
            }
            dryRun = true
        }
    }

    private static func policy(_ policy: String?, _ orphan: String?) throws(StatusError) -> PropagationPolicy? {
        if let policy, !policy.isEmpty {
            guard orphan == nil else {
                throw invalid(
                    "propagationPolicy",
                    "Invalid value: \"\(policy)\": orphanDependents and "
                        + "deletionPropagation cannot be both set")
            }
            guard let known = PropagationPolicy(rawValue: policy) else {
                throw invalid(
                    "propagationPolicy",
                    "Unsupported value: \"\(policy)\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
                )
            }
            return known
        }
        return orphan.map { $0 == "true" ? .orphan : .background }
    }

    private static func invalid(_ field: String, _ problem: String) -> StatusError {
        SchemaRules.invalid(
            GroupVersionKind("meta.k8s.io", "v1", "DeleteOptions"), name: "",
            [.init(reason: "FieldValueInvalid", message: problem, field: field)])
    }
}
