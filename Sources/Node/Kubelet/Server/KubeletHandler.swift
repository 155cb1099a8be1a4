// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOCore
import NIOHTTP1
import PKI
import PodRuntime

/// Answers the kubelet's own API (upstream: pkg/kubelet/server).
struct KubeletHandler: HTTPHandler {
    let context: KubeletContext
    let director: PodDirector
    /// Whom to let in: those whose verified certificate names one of these users or groups.
    let access: KubeletAccess

    func handleImmediately(_ request: HTTPRequest) -> HTTPResponse? { nil }

    func handle(_ request: HTTPRequest) async -> HTTPResponse {
        let target = RequestTarget(request.uri)
        if target.path == ["healthz"] { return .text("ok") }
        guard let user = access.user(of: request.peer) else {
            return .status(StatusError(code: 401, reason: "Unauthorized", message: "Unauthorized"))
        }
        guard access.allows(user) else {
            let message = "Forbidden (user=\(user.name), verb=\(request.method.rawValue.lowercased()), resource=nodes)"
            return .text(message, status: .forbidden)
        }
        do {
            return try await route(request, target)
        } catch let error as StatusError {
            return .text(error.message, status: HTTPResponseStatus(statusCode: error.code))
        } catch {
            return .text("\(error)", status: .internalServerError)
        }
    }

    private func route(_ request: HTTPRequest, _ target: RequestTarget) async throws -> HTTPResponse {
        let path = target.path
        switch (path.first, path.count) {
        case ("pods", 1): return podList()
        case ("containerLogs", 4):
            return try logs(request, target, ObjectKey(namespace: path[1], name: path[2]), path[3])
        case ("exec", 4), ("exec", 5), ("attach", 4), ("attach", 5), ("run", 4), ("run", 5):
            let container = path[path.count - 1]
            let uid = path.count == 5 ? path[3] : nil
            return try remoteCommand(request, target, ObjectKey(namespace: path[1], name: path[2]), uid, container)
        case ("portForward", 3), ("portForward", 4):
            return try portForward(request, target, ObjectKey(namespace: path[1], name: path[2]))
        case ("stats", 2) where path[1] == "summary": return .json(StatsSummary(context, director).json)
        case ("metrics", 1): return .text(StatsSummary(context, director).metrics)
        case ("metrics", 2) where path[1] == "resource":
            return .text(StatsSummary(context, director).resourceMetrics)
        default: return try await routeDebugging(request, path)
        }
    }

    private func podList() -> HTTPResponse {
        let pods = director.workers.map { worker -> JSON in
            var json = worker.pod.object.json
            json["status"] = worker.status
            return json
        }
        return .json(["kind": "PodList", "apiVersion": "v1", "metadata": [:], "items": .array(pods)])
    }

    // MARK: Finding containers

    func worker(_ key: ObjectKey, uid: String? = nil) throws -> PodWorker {
        guard let worker = uid.map({ director.worker(uid: $0) }) ?? director.worker(key) else {
            throw StatusError(code: 404, reason: "NotFound", message: "pod \"\(key.name)\" not found")
        }
        return worker
    }

    func runningContainer(_ worker: PodWorker, _ name: String) throws -> String {
        guard worker.pod.container(named: name) != nil else {
            throw StatusError(code: 404, reason: "NotFound", message: "container not found (\"\(name)\")")
        }
        guard let instance = worker.instance(of: name), instance.exit == nil else {
            throw StatusError(code: 404, reason: "NotFound", message: "container not found (\"\(name)\")")
        }
        return instance.id
    }

    // MARK: Logs

    private func logs(
        _ request: HTTPRequest, _ target: RequestTarget, _ key: ObjectKey, _ name: String
    ) throws -> HTTPResponse {
        let worker = try worker(key)
        guard worker.pod.container(named: name) != nil else {
            throw StatusError.badRequest("container \(name) is not valid for pod \(key.name)")
        }
        let previous = target.flag("previous")
        let instance = previous ? worker.previousOrEnded(name) : worker.instance(of: name)
        guard let instance, !instance.id.isEmpty else { throw Self.noLog(worker, name, previous: previous) }
        let options = try Self.logOptions(target, now: context.clock.now().wallSeconds)
        let runtime = context.runtime
        guard runtime.record(instance.id) != nil else {
            throw StatusError.badRequest("unable to retrieve container logs for swiftlet://\(instance.id)")
        }
        let read: LogSource = { send in
            try await runtime.readLog(instance.id, options, parseTime: WallClock.nanoseconds, send: send)
        }
        if request.wantsWebSocket { return try webSocketLog(request, read) }
        return HTTPResponse(
            status: .ok, headers: ["Content-Type": "text/plain"],
            body: .stream { writer in
                try await read { bytes in try await writer.write(ByteBuffer(bytes: bytes)) }
            })
    }

    private static func noLog(_ worker: PodWorker, _ name: String, previous: Bool) -> StatusError {
        let pod = worker.pod
        if previous {
            return .badRequest("previous terminated container \"\(name)\" in pod \"\(pod.name)\" not found")
        }
        let reason = worker.state(of: name)?["waiting"]?["reason"]?.string ?? "ContainerCreating"
        // Upstream's words (kubelet_pods.go: validateContainerLogStatus).
        let why =
            switch reason {
            case "ErrImagePull": "image can't be pulled"
            case "ImagePullBackOff": "trying and failing to pull image"
            default: reason
            }
        return .badRequest("container \"\(name)\" in pod \"\(pod.name)\" is waiting to start: \(why)")
    }

    private static func logOptions(_ target: RequestTarget, now: Int64) throws -> LogOptions {
        var options = LogOptions()
        options.follow = target.flag("follow")
        options.timestamps = target.flag("timestamps")
        if let text = target.value("tailLines") {
            guard let lines = Int(text), lines >= 0 else { throw StatusError.badRequest("invalid tailLines") }
            options.tailLines = lines
        }
        if let text = target.value("limitBytes") {
            guard let limit = Int(text), limit > 0 else { throw StatusError.badRequest("invalid limitBytes") }
            options.limitBytes = limit
        }
        if let text = target.value("sinceSeconds") {
            guard let seconds = Int64(text), seconds > 0 else { throw StatusError.badRequest("invalid sinceSeconds") }
            options.sinceNanoseconds = (now - seconds) * 1_000_000_000
        }
        if let text = target.value("sinceTime") {
            guard let time = WallClock.nanoseconds(text) else { throw StatusError.badRequest("invalid sinceTime") }
            options.sinceNanoseconds = time
        }
        switch target.value("stream") {
        case "Stdout": options.stream = .stdout
        case "Stderr": options.stream = .stderr
        default: break
        }
        return options
    }
}

extension PodWorker {
    /// The instance that the status shows as the last one: the one before the present, or the present one if it has ended
    /// and waits for its restart. One that has ended for good is no previous one (upstream: validateContainerLogStatus).
    func previousOrEnded(_ name: String) -> ContainerInstance? {
        if let current = instance(of: name), current.exit != nil, state(of: name)?["terminated"] == nil {
            return current
        }
        return previousInstance(of: name)
    }

    /// A container's `state` in the newest status.
    fileprivate func state(of name: String) -> JSON? {
        ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"]
            .flatMap { status[$0]?.elements ?? [] }
            .first { $0["name"]?.string == name }?["state"]
    }
}

extension HTTPResponse {
    static func text(_ text: String, status: HTTPResponseStatus = .ok) -> HTTPResponse {
        HTTPResponse(
            status: status, headers: ["Content-Type": "text/plain; charset=utf-8"],
            body: .bytes(ByteBuffer(string: text)))
    }

    static func json(_ json: JSON) -> HTTPResponse {
        HTTPResponse(
            status: .ok, headers: ["Content-Type": "application/json"],
            body: .bytes(ByteBuffer(bytes: json.serialized())))
    }

    static func status(_ error: StatusError) -> HTTPResponse {
        HTTPResponse(
            status: HTTPResponseStatus(statusCode: error.code), headers: ["Content-Type": "application/json"],
            body: .bytes(ByteBuffer(bytes: error.json.serialized())))
    }
}
