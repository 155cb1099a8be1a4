// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import KubeAPI
import Logging
import NIOCore
import NIOHTTP1

/// Answers HTTP requests: authenticate, authorise, admit, registry, storage, in this order and readable here.
final class APIHandler: HTTPHandler {
    let authenticator: Authenticator
    let authorizer: Authorizer
    let impersonation: Impersonation
    let limits: InFlightLimits
    let objects: ObjectHandlers
    let paths: PathHandlers
    let extensions: PathExtensions
    let metrics: RequestMetrics
    let deadlines: RequestDeadlines
    let logger: Logger

    init(
        authenticator: Authenticator, authorizer: Authorizer, limits: InFlightLimits, objects: ObjectHandlers,
        paths: PathHandlers, extensions: [any PathExtension], metrics: RequestMetrics, deadlines: RequestDeadlines,
        logger: Logger
    ) {
        self.authenticator = authenticator
        self.authorizer = authorizer
        impersonation = Impersonation(authorizer: authorizer)
        self.limits = limits
        self.objects = objects
        self.paths = paths
        self.extensions = PathExtensions(extensions: extensions, authenticator: authenticator)
        self.metrics = metrics
        self.deadlines = deadlines
        self.logger = logger
    }

    func handle(_ request: HTTPRequest) async -> HTTPResponse {
        let id = RequestID(request.headers)
        var response = await RequestID.$current.withValue(id) { await answer(request) }
        response.headers.replaceOrAdd(name: RequestID.header, value: id.description)
        return response
    }

    private func answer(_ request: HTTPRequest) async -> HTTPResponse {
        let call = APICall(request)
        var response: HTTPResponse
        do {
            if let served = extensions.serving(call.info.path) {
                response = try await answer(request, path: call.info.path, by: served)
            } else {
                let limit = try call.isLongRunning ? nil : call.query.timeout()
                let actual = try authenticator.authenticate(request)
                let user = try impersonation.user(request, actual: actual)
                try authorizer.authorize(call.attributes(user))
                response = try await admitted(call, user, limit)
            }
        } catch {
            let status = StatusTranslation.status(of: error)
            response = Responses.failure(status, accept: request.headers.first(name: "Accept"))
            if status.code >= 500 { note(error, status, call) }
        }
        metrics.count(call.info, code: Int(response.status.code))
        return response
    }

    private func answer(
        _ request: HTTPRequest, path: String, by served: any PathExtension
    ) async throws -> HTTPResponse {
        guard !served.isLongRunning(path) else {
            return try await extensions.answer(request, path: path, by: served)
        }
        return try await limits.admit(isMutating: true) {
            try await extensions.answer(request, path: path, by: served)
        }
    }

    /// Says in the log that a request failed for no fault of its sender, who finds the entry by the answer's `Audit-Id`.
    private func note(_ error: any Error, _ status: StatusError, _ call: APICall) {
        // The store tells of its own faults once; a request that took too long is its client's to judge.
        logger.log(
            level: status.code == 500 ? .error : .debug, "A request failed",
            metadata: ["verb": "\(call.info.verb)", "path": "\(call.info.path)", "error": "\(error)"])
    }

    /// Works on a request whose sender may make it.
    ///
    /// - Parameter limit: how long the sender waits, if it says so.
    private func admitted(_ call: APICall, _ user: UserInfo, _ limit: Duration?) async throws -> HTTPResponse {
        if call.isLongRunning { return try await dispatch(call, user) }
        return try await limits.admit(isMutating: call.isMutating) {
            try await deadlines.hold(for: limit) { try await self.dispatch(call, user) }
        }
    }

    private func dispatch(_ call: APICall, _ user: UserInfo) async throws -> HTTPResponse {
        guard call.info.isResourceRequest else { return try await paths.answer(call, user) }
        var response = try await objects.answer(call, user)
        Self.warn(of: call, &response)
        return response
    }

    /// Adds the warning that belongs to a deprecated resource.
    private static func warn(of call: APICall, _ response: inout HTTPResponse) {
        guard let warning = Deprecations.warning(for: call.info.groupVersionResource) else { return }
        response.add(warnings: [warning])
    }

    /// GET of one object, straight from the store's cache.
    func handleImmediately(_ request: HTTPRequest) -> HTTPResponse? {
        guard request.method == .GET, objects.registry.snapshotsAreCurrent else { return nil }
        guard !request.headers.contains(name: "Impersonate-User") else { return nil }
        let call = APICall(request)
        guard call.info.isResourceRequest, call.query.isEmpty else { return nil }
        do {
            guard let answer = try objects.immediateAnswer(to: call) else { return nil }
            let user = try authenticator.authenticate(request)
            try authorizer.authorize(call.attributes(user))
            metrics.count(call.info, code: 200)
            var response = answer()
            response.headers.add(name: RequestID.header, value: RequestID(request.headers).description)
            Self.warn(of: call, &response)
            return response
        } catch {
            // The ordinary path finds the same error, and counts it.
            return nil
        }
    }
}
