// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOCore
import NIOHTTP1
import Storage

/// Requests for the parts of objects.
extension ObjectHandlers {
    func answerPart(_ call: APICall, _ user: UserInfo) async throws -> HTTPResponse {
        let info = call.info
        guard let served = registry.catalogue[info.groupVersionResource],
            let part = served.info.subresource(info.subresource)
        else { throw Registry.noSuchResource }
        guard part.verbs.contains(info.verb) || call.asksProxyForOptions else { throw Self.methodNotAllowed }
        if APICall.streamingSubresources.contains(info.subresource), let proxied = try await proxy.answer(call, user) {
            return proxied
        }
        let presentation = Presentation(
            negotiated: try call.form(of: served.kind), served: served,
            includeObject: call.query["includeObject"] ?? "", now: registry.clock.now)
        let context = call.context(user)
        switch info.verb {
        case "get": return try await getPart(call, served, presentation)
        case "create":
            let options = try call.query.writeOptions("CreateOptions")
            let form = try call.formWithoutTable(of: part.kind)
            let object = try Self.submitted(call, part.kind, options, context)
            let answer = try await subresources.create(
                call.subresourceRequest(options), object: object, context: context)
            return try Responses.object(answer.json, code: 201, in: form)
        case "update": return try await updatePart(call, served, part, presentation, context)
        case "patch": return try await patchPart(call, presentation, context)
        default: throw Self.methodNotAllowed
        }
    }

    private func getPart(
        _ call: APICall, _ served: ServedResource, _ presentation: Presentation
    ) async throws -> HTTPResponse {
        if call.info.subresource == "scale" {
            let scale = try await ScaleSubresource(registry).get(call.subresourceRequest(.init()))
            return try Responses.object(scale.json, in: call.form(of: ScaleSubresource.kind))
        }
        let value = try await registry.value(served, namespace: call.info.namespace, name: call.info.name)
        return try presentation.response(
            try registry.decode(value, as: served), stored: value.bytes, code: 200)
    }

    private func updatePart(
        _ call: APICall, _ served: ServedResource, _ part: ResourceInfo.Subresource, _ presentation: Presentation,
        _ context: RequestContext
    ) async throws -> HTTPResponse {
        let options = try call.query.writeOptions("UpdateOptions")
        let object = try Self.submitted(call, part.kind, options, context)
        let answer = try await subresources.update(
            call.subresourceRequest(options), object: object, context: context)
        var response =
            part.kind == served.kind
            ? try presentation.response(answer, stored: nil, code: 200)
            : try Responses.object(answer.json, in: call.form(of: part.kind))
        response.add(warnings: context.warnings.all)
        return response
    }

    private func patchPart(
        _ call: APICall, _ presentation: Presentation, _ context: RequestContext
    ) async throws -> HTTPResponse {
        let options = try call.query.writeOptions("PatchOptions")
        let (type, patch, duplicates) = try call.patch()
        let answer = try await subresources.patch(
            call.subresourceRequest(options), type: type, patch: patch, duplicates: duplicates, context: context)
        var response =
            answer.object.kind == presentation.served.kind.kind
            ? try presentation.response(answer.object, stored: nil, code: 200)
            : try Responses.object(
                answer.object.json, in: call.form(of: answer.object.groupVersionKind ?? presentation.served.kind))
        response.add(warnings: context.warnings.all)
        return response
    }
}

extension APICall {
    /// Whether this is an OPTIONS for what lies behind a proxy: discovery has no verb for it.
    fileprivate var asksProxyForOptions: Bool { info.subresource == "proxy" && request.method == .OPTIONS }

    func subresourceRequest(_ options: WriteOptions) -> SubresourceRequest {
        SubresourceRequest(
            resource: info.groupVersionResource, namespace: info.namespace, name: info.name,
            subresource: info.subresource, options: options)
    }

    /// The patch in the body, how it is to be applied, and what occurs twice in it.
    func patch() throws(StatusError) -> (PatchType, JSON, [JSON.DuplicateMember]) {
        let type = MediaType(request.headers.first(name: "Content-Type") ?? "")
        guard let patchType = PatchType(rawValue: type.type) else {
            throw StatusError(
                code: 415, reason: StatusError.Reason.unsupportedMediaType,
                message: "the body of the request was in an unknown format - accepted media types include: "
                    + "application/json-patch+json, application/merge-patch+json, "
                    + "application/strategic-merge-patch+json, application/apply-patch+yaml")
        }
        if patchType == .apply {
            let body = try RequestBody(yaml: request.body)
            return (patchType, body.json, body.duplicates)
        }
        guard query["force"] == nil else {
            throw SchemaRules.invalid(
                GroupVersionKind("meta.k8s.io", "v1", "PatchOptions"), name: "",
                [
                    .init(
                        reason: "FieldValueForbidden",
                        message: "Forbidden: may not be specified for non-apply patch", field: "force")
                ])
        }
        return try plainPatch(patchType)
    }

    private func plainPatch(_ type: PatchType) throws(StatusError) -> (PatchType, JSON, [JSON.DuplicateMember]) {
        var options = JSON.ParseOptions()
        // A JSON patch is a list of operations, which upstream takes as it comes.
        options.reportsDuplicates = type != .json
        var found: [JSON.DuplicateMember] = []
        do throws(JSONError) {
            let patch = try JSON.parse(Array(request.body.readableBytesView), options: options, duplicates: &found)
            return (type, patch, found)
        } catch {
            throw .badRequest("error decoding patch: \(error.reason)")
        }
    }
}
