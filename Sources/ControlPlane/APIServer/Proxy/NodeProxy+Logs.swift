// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOCore
import NIOHTTP1

/// `pods/log`: asked of the pod's kubelet, whose refusals become a `Status` here.
extension NodeProxy {
    func log(_ call: APICall) async throws -> HTTPResponse {
        let query = try PodLogQuery(call.query, pod: call.info.name)
        let pod = try await pod(call)
        let container = try Self.container(call, pod)
        guard !(pod.spec["nodeName"]?.string ?? "").isEmpty else {
            // Nobody has written anything yet (upstream: an empty location is an empty stream).
            return HTTPResponse(status: .noContent, body: .bytes(ByteBuffer()))
        }
        let target = try await nodeTarget(try Self.node(of: pod))
        let path = "/containerLogs/\(call.info.namespace)/\(call.info.name)/\(container)"
        let exchange = try await exchange(call, target, uri: query.text.isEmpty ? path : "\(path)?\(query.text)")
        if exchange.isUpgraded || (200...206).contains(exchange.status.code) { return exchange.response }
        let text = try await Self.text(of: exchange)
        throw KubeletRefusal.status(Int(exchange.status.code), text, of: "pods/log", call.info.name)
    }

    /// Bytes of a kubelet's refusal that are passed on (upstream: maxReadLength).
    private static let refusalLimit = 50_000

    private static func text(of exchange: HTTPUpgradeExchange) async throws -> String {
        var bytes: [UInt8] = []
        while bytes.count < refusalLimit, let piece = try await exchange.stream.read() {
            bytes += piece.readableBytesView
        }
        return String(decoding: bytes.prefix(refusalLimit), as: UTF8.self)
    }
}

/// What a kubelet's failed answer is to the API's client (upstream: `rest.GenericHttpResponseChecker` and
/// `errors.NewGenericServerResponse`).
enum KubeletRefusal {
    static func status(_ code: Int, _ text: String, of resource: String, _ name: String) -> StatusError {
        switch code {
        case 400: return .badRequest(text)
        case 500: return .internalError(text)
        default: break
        }
        let (reason, message) = words(code, text)
        return StatusError(
            code: code, reason: reason, message: "\(message) ( \(resource) \(name))",
            details: .init(name: name, kind: resource))
    }

    private static func words(_ code: Int, _ text: String) -> (reason: String, message: String) {
        switch code {
        case 401: (StatusError.Reason.unauthorized, "the server has asked for the client to provide credentials")
        case 403: (StatusError.Reason.forbidden, text)
        case 404: (StatusError.Reason.notFound, "the server could not find the requested resource")
        case 503:
            (StatusError.Reason.serviceUnavailable, "the server is currently unable to handle the request")
        case 504:
            (StatusError.Reason.timeout, "the server was unable to return a response in the time allotted")
        case 500...:
            (
                StatusError.Reason.internalError,
                "an error on the server (\"\(text)\") has prevented the request from succeeding"
            )
        default: ("", "the server responded with the status code \(code) but did not return more information")
        }
    }
}

/// What a request wants of a log (core/v1 PodLogOptions), checked, and in the form in which a kubelet takes it.
struct PodLogQuery: Hashable, Sendable {
    /// The query for the kubelet; empty for the whole log.
    let text: String

    private static let flags = ["follow", "previous", "timestamps"]
    private static let values = ["since", "sinceSeconds", "sinceTime", "tailLines", "limitBytes", "stream"]
    private static let streams = ["All", "Stderr", "Stdout"]

    /// - Parameter pod: The pod's name, for the refusal.
    /// - Throws: `BadRequest` for what is no number, `Invalid` as upstream's `ValidatePodLogOptions`.
    init(_ query: QueryParameters, pod: String) throws(StatusError) {
        let causes = try Self.problems(query)
        guard causes.isEmpty else {
            throw SchemaRules.invalid(GroupVersionKind("", "v1", "PodLogOptions"), name: pod, causes)
        }
        let set = Self.flags.filter { query.isTrue($0) }.map { "\($0)=true" }
        let given = Self.values.compactMap { name in
            query[name].map { "\(name)=\(PercentEncoding.encode($0))" }
        }
        text = (set + given).joined(separator: "&")
    }

    private static func number(_ query: QueryParameters, _ name: String) throws(StatusError) -> Int64? {
        guard let text = query[name] else { return nil }
        guard let number = Int64(text) else {
            throw .badRequest("strconv.ParseInt: parsing \"\(text)\": invalid syntax")
        }
        return number
    }

    private static func problems(_ query: QueryParameters) throws(StatusError) -> [StatusError.Cause] {
        var causes: [StatusError.Cause] = []
        func refuse(_ field: String, _ value: Int64, _ why: String) {
            causes.append(
                .init(reason: "FieldValueInvalid", message: "Invalid value: \(value): \(why)", field: field))
        }
        func forbid(_ why: String) {
            causes.append(.init(reason: "FieldValueForbidden", message: "Forbidden: \(why)"))
        }
        let lines = try number(query, "tailLines")
        if let lines, lines < 0 { refuse("tailLines", lines, "must be greater than or equal to 0") }
        if let bytes = try number(query, "limitBytes"), bytes < 1 {
            refuse("limitBytes", bytes, "must be greater than 0")
        }
        if let seconds = try number(query, "sinceSeconds") {
            if query["sinceTime"] != nil {
                forbid("at most one of `sinceTime` or `sinceSeconds` may be specified")
            } else if seconds < 1 {
                refuse("sinceSeconds", seconds, "must be greater than 0")
            }
        }
        let stream = query["stream"] ?? "All"
        if !streams.contains(stream) {
            let known = streams.map { "\"\($0)\"" }.joined(separator: ", ")
            causes.append(
                .init(
                    reason: "FieldValueNotSupported",
                    message: "Unsupported value: \"\(stream)\": supported values: \(known)", field: "stream"))
        }
        if stream != "All", lines != nil {
            forbid("`tailLines` and specific `stream` are mutually exclusive for now")
        }
        return causes
    }
}
