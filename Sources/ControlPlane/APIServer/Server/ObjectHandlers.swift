// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOCore
import NIOHTTP1
import Storage

/// Answers requests for API resources: reads what the request says, calls the registry, presents what comes back.
struct ObjectHandlers: Sendable {
    let registry: Registry
    let subresources: Subresources
    let reviews: AccessReviews
    let proxy: NodeProxy
    let lists = ListCache()

    func answer(_ call: APICall, _ user: UserInfo) async throws -> HTTPResponse {
        let info = call.info
        let group = registry.catalogue.table.group(info.groupVersion.group)
        guard group?.versions.contains(info.groupVersion.version) ?? false else { return Responses.pageNotFound }
        if call.request.method == .POST, AccessReviews.resources.contains(info.resource), info.name.isEmpty,
            registry.catalogue.table[info.groupVersionResource] != nil
        {
            return try review(call, user)
        }
        guard info.subresource.isEmpty else { return try await answerPart(call, user) }
        guard let served = registry.catalogue[info.groupVersionResource] else {
            return try await answerUnstored(call, user)
        }
        try Self.requireScope(call, served)
        switch info.verb {
        case "get": return try await get(call, served)
        case "list": return try await list(call, served)
        case "watch": return try await watch(call, served)
        case "create": return try await create(call, served, user)
        case "update": return try await update(call, served, user)
        case "patch": return try await patch(call, served, user)
        case "delete": return try await delete(call, served, user)
        case "deletecollection": return try await deleteCollection(call, served, user)
        default: throw Self.methodNotAllowed
        }
    }

    static let methodNotAllowed = StatusError(
        code: 405, reason: StatusError.Reason.methodNotAllowed,
        message: "the server does not allow this method on the requested resource", details: .init())

    /// Cluster-scoped objects have no namespace, and one object of a namespaced resource needs one.
    private static func requireScope(_ call: APICall, _ served: ServedResource) throws(StatusError) {
        let info = call.info
        let isNamespacesItself = served.resource == GroupVersionResource("", "v1", "namespaces")
        if !served.isNamespaced, !info.namespace.isEmpty, !isNamespacesItself { throw Registry.noSuchResource }
        guard served.isNamespaced, info.namespace.isEmpty else { return }
        let needsNamespace = ["get", "update", "patch", "delete", "create"].contains(info.verb)
        if needsNamespace { throw info.name.isEmpty ? methodNotAllowed : Registry.noSuchResource }
    }

    // MARK: Reading

    private func presentation(_ call: APICall, _ served: ServedResource) throws(StatusError) -> Presentation {
        Presentation(
            negotiated: try call.form(of: served.kind), served: served,
            includeObject: call.query["includeObject"] ?? "", now: registry.clock.now)
    }

    private func get(_ call: APICall, _ served: ServedResource) async throws -> HTTPResponse {
        let presentation = try presentation(call, served)
        if let version = call.query["resourceVersion"], !version.isEmpty, version != "0" {
            guard let revision = Revision(version) else { throw Registry.invalidVersion(version) }
            _ = try await registry.snapshot(notOlderThan: revision)
        }
        let value = try await registry.value(served, namespace: call.info.namespace, name: call.info.name)
        if presentation.isVerbatim {
            return Responses.bytes(value.bytes, type: presentation.negotiated.contentType)
        }
        return try presentation.response(try registry.decode(value, as: served), stored: nil, code: 200)
    }

    /// The answer to a GET of one stored object in its stored form, nil where that is not what is wanted.
    func immediateAnswer(to call: APICall) throws -> (() -> HTTPResponse)? {
        let info = call.info
        guard info.verb == "get", info.subresource.isEmpty,
            let served = registry.catalogue[info.groupVersionResource], served.servesStoredBytes,
            served.isNamespaced != info.namespace.isEmpty || info.resource == "namespaces",
            try call.form(of: served.kind) == .json,
            let value = registry.storage.snapshot().get(served.key(namespace: info.namespace, name: info.name))
        else { return nil }
        return { Responses.bytes(value.bytes) }
    }

    private func list(_ call: APICall, _ served: ServedResource) async throws -> HTTPResponse {
        let presentation = try presentation(call, served)
        let options = try call.listOptions()
        guard presentation.isVerbatim, options == ListOptions() else {
            let page = try await registry.list(served, namespace: call.info.namespace, options: options)
            return Responses.bytes(
                try presentation.list(page, registry), type: presentation.negotiated.contentType)
        }
        let prefix = served.keyPrefix(namespace: call.info.namespace)
        let revision = try await registry.currentSnapshot().revision
        if let known = lists.body(prefix, revision, served.kind) { return Responses.bytes(known) }
        let page = try await registry.list(served, namespace: call.info.namespace, options: options)
        let body = ListBody.assemble(page, served)
        lists.remember(body, prefix, page.revision, served.kind)
        return Responses.bytes(body)
    }

    /// The shortest and longest life of a watch that names none, in seconds (upstream: `--min-request-timeout`).
    private static let watchSeconds = 1800...3600

    private func watch(_ call: APICall, _ served: ServedResource) async throws -> HTTPResponse {
        let presentation = try presentation(call, served)
        var options = try call.query.watchOptions()
        options.fieldSelector = try call.selector(options.fieldSelector)
        let watch: ObjectWatch
        do {
            watch = try await registry.watch(served, namespace: call.info.namespace, options: options)
        } catch let error as StatusError where error.isExpired {
            // Upstream opens the watch and says so in its first event; clients expect it there.
            return Self.stream(type: presentation.negotiated.streamType) { writer in
                try await writer.write(WatchEventEncoder.failure(error, presentation.negotiated))
            }
        }
        let wanted = options.timeoutSeconds ?? 0
        let seconds = wanted > 0 ? wanted : Int.random(in: Self.watchSeconds)
        let body = WatchBody(
            watch: watch, presentation: presentation, registry: registry,
            allowsBookmarks: options.allowBookmarks, duration: .seconds(seconds))
        return Self.stream(type: presentation.negotiated.streamType) { try await body.write(to: $0) }
    }

    private static func stream(
        type: String, _ write: @escaping @Sendable (any HTTPBodyWriter) async throws -> Void
    ) -> HTTPResponse {
        HTTPResponse(
            status: .ok, headers: ["Content-Type": type, "Cache-Control": "no-cache, private"], body: .stream(write))
    }

    // MARK: Writing

    private func create(_ call: APICall, _ served: ServedResource, _ user: UserInfo) async throws -> HTTPResponse {
        guard call.info.name.isEmpty else { throw Self.methodNotAllowed }
        let presentation = try presentation(call, served)
        let options = try call.query.writeOptions("CreateOptions")
        let context = call.context(user)
        let object = try Self.submitted(call, served.kind, options, context)
        let written = try await registry.create(
            served, namespace: call.info.namespace, object: object, options: options, context: context)
        return try respond(written, presentation, code: 201, context)
    }

    private func update(_ call: APICall, _ served: ServedResource, _ user: UserInfo) async throws -> HTTPResponse {
        let presentation = try presentation(call, served)
        let options = try call.query.writeOptions("UpdateOptions")
        let context = call.context(user)
        let object = try Self.submitted(call, served.kind, options, context)
        let written = try await subresources.replace(
            call.subresourceRequest(options), served, with: object, context)
        return try respond(written, presentation, code: written.isNew ? 201 : 200, context)
    }

    private func patch(_ call: APICall, _ served: ServedResource, _ user: UserInfo) async throws -> HTTPResponse {
        let presentation = try presentation(call, served)
        let options = try call.query.writeOptions("PatchOptions")
        let context = call.context(user)
        let (type, patch, duplicates) = try call.patch()
        let written = try await registry.patch(
            .init(
                served: served, namespace: call.info.namespace, name: call.info.name, subresource: "", type: type,
                patch: patch, duplicates: duplicates, options: options), context: context)
        return try respond(written, presentation, code: written.isNew ? 201 : 200, context)
    }

    func respond(
        _ written: Written, _ presentation: Presentation, code: Int, _ context: RequestContext
    ) throws(StatusError) -> HTTPResponse {
        var response = try presentation.response(
            written.object(as: presentation.served), stored: written.bytes, code: code)
        response.add(warnings: context.warnings.all)
        return response
    }

    /// The object in the body, of the type that the URL names and checked against its schema.
    static func submitted(
        _ call: APICall, _ kind: GroupVersionKind, _ options: WriteOptions, _ context: RequestContext
    ) throws(StatusError) -> KubeObject {
        let body = try RequestBody(call.request, expecting: kind)
        let object = try typed(body.json, as: kind)
        return try SchemaRules.check(
            object, as: kind, fieldValidation: options.fieldValidation, duplicates: body.duplicates, context.warnings)
    }

    /// The object with its type, which the URL implies where the object itself says nothing.
    static func typed(_ json: JSON, as kind: GroupVersionKind) throws(StatusError) -> KubeObject {
        guard json.object != nil else {
            throw .badRequest("the body of the request must be a JSON object, not \(json.typeName)")
        }
        var object = KubeObject(json)
        if object.apiVersion.isEmpty { object.json["apiVersion"] = .string(kind.groupVersion.description) }
        if object.kind.isEmpty { object.json["kind"] = .string(kind.kind) }
        guard object.apiVersion == kind.groupVersion.description else {
            throw .badRequest(
                "the API version in the data (\(object.apiVersion)) does not match the expected API version "
                    + "(\(kind.groupVersion))")
        }
        guard object.kind == kind.kind else {
            throw .badRequest(
                "\(object.kind) in version \"\(kind.version)\" cannot be handled as a \(kind.kind): "
                    + "no kind \"\(object.kind)\" is registered")
        }
        return object
    }

    // MARK: Deleting

    private func delete(_ call: APICall, _ served: ServedResource, _ user: UserInfo) async throws -> HTTPResponse {
        let presentation = try presentation(call, served)
        let options = try DeleteOptions(call.request, call.query)
        let context = call.context(user)
        let written = try await registry.delete(
            served, namespace: call.info.namespace, name: call.info.name, options: options, context: context)
        guard written.isGone, !served.behaviour.traits.returnsDeletedObject else {
            return try respond(written, presentation, code: 200, context)
        }
        var details = StatusError.Details(
            name: call.info.name, group: served.resource.group, kind: served.resource.resource)
        details.uid = written.object.uid
        return try Responses.object(Responses.success(details), in: presentation.negotiated)
    }

    private func deleteCollection(
        _ call: APICall, _ served: ServedResource, _ user: UserInfo
    ) async throws -> HTTPResponse {
        guard served.info.allows("deletecollection") else { throw Self.methodNotAllowed }
        let presentation = try presentation(call, served)
        let page = try await registry.deleteCollection(
            served, namespace: call.info.namespace, selecting: try call.listOptions(),
            options: try DeleteOptions(call.request, call.query), context: call.context(user))
        return Responses.bytes(try presentation.list(page, registry), type: presentation.negotiated.contentType)
    }

    // MARK: What is not stored

    private func review(_ call: APICall, _ user: UserInfo) throws -> HTTPResponse {
        guard let info = registry.catalogue.table[call.info.groupVersionResource] else {
            throw Registry.noSuchResource
        }
        let form = try call.formWithoutTable(of: info.groupVersionKind)
        let object = try Self.typed(
            try RequestBody(call.request, expecting: info.groupVersionKind).json, as: info.groupVersionKind)
        let answer = try reviews.answer(
            call.info.groupVersionResource, namespace: call.info.namespace, object, user: user)
        return try Responses.object(answer.json, code: 201, in: form)
    }

    private func answerUnstored(_ call: APICall, _ user: UserInfo) async throws -> HTTPResponse {
        let resource = call.info.groupVersionResource
        if resource == GroupVersionResource("", "v1", "bindings"), call.info.verb == "create" {
            let binding = GroupVersionKind("", "v1", "Binding")
            let object = try Self.typed(try RequestBody(call.request, expecting: binding).json, as: binding)
            let options = try call.query.writeOptions("CreateOptions")
            let request = SubresourceRequest(
                resource: .init("", "v1", "pods"), namespace: call.info.namespace, name: object.name,
                subresource: "binding", options: options)
            let answer = try await subresources.create(request, object: object, context: call.context(user))
            return try Responses.object(answer.json, code: 201, in: call.form(of: binding))
        }
        if resource == GroupVersionResource("", "v1", "componentstatuses"), call.info.verb == "list" {
            return Responses.json(["kind": "ComponentStatusList", "apiVersion": "v1", "metadata": [:], "items": []])
        }
        throw registry.catalogue.table[resource] == nil ? Registry.noSuchResource : Self.methodNotAllowed
    }
}
