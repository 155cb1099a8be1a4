// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import KubeAPI
import Synchronization

/// Answers `/healthz`, `/livez` and `/readyz`, whole or check by check, as upstream words them.
final class HealthChecks: Sendable {
    private struct State {
        var isReady = false
        var isShuttingDown = false
    }

    private let state = Mutex(State())
    private let storageIsHealthy: @Sendable () async -> Bool

    init(storageIsHealthy: @escaping @Sendable () async -> Bool) { self.storageIsHealthy = storageIsHealthy }

    func becomeReady() { state.withLock { $0.isReady = true } }
    func beginShutdown() { state.withLock { $0.isShuttingDown = true } }

    /// The answer to a health path; nil for any other path.
    func answer(_ path: String, _ query: QueryParameters) async -> HTTPResponse? {
        let parts = path.split(separator: "/").map(String.init)
        guard let endpoint = parts.first, ["healthz", "livez", "readyz"].contains(endpoint) else { return nil }
        let excluded = Set(query.all("exclude"))
        let checks = await results(endpoint)
        if parts.count > 1 {
            let name = parts[1...].joined(separator: "/")
            guard let check = checks.first(where: { $0.name == name }) else { return Responses.pageNotFound }
            return check.isHealthy
                ? Responses.text("ok") : Responses.text("internal server error: \(name) failed\n", code: 500)
        }
        let counted = checks.filter { !excluded.contains($0.name) }
        let isHealthy = counted.allSatisfy(\.isHealthy)
        guard query["verbose"] != nil || !isHealthy else { return Responses.text("ok") }
        var text = ""
        for check in checks {
            if excluded.contains(check.name) {
                text += "[+]\(check.name) excluded: ok\n"
            } else {
                text += check.isHealthy ? "[+]\(check.name) ok\n" : "[-]\(check.name) failed: reason withheld\n"
            }
        }
        text += "\(endpoint) check \(isHealthy ? "passed" : "failed")\n"
        return Responses.text(text, code: isHealthy ? 200 : 500)
    }

    private func results(_ endpoint: String) async -> [(name: String, isHealthy: Bool)] {
        let state = state.withLock { $0 }
        var checks = [(name: "ping", isHealthy: true), (name: "log", isHealthy: true)]
        checks.append(("etcd", await storageIsHealthy()))
        guard endpoint != "livez" else { return checks }
        if endpoint == "readyz" { checks.append(("informer-sync", state.isReady)) }
        checks.append(("poststarthook/rbac/bootstrap-roles", state.isReady))
        checks.append(("poststarthook/start-system-namespaces-controller", state.isReady))
        if endpoint == "readyz" { checks.append(("shutdown", !state.isShuttingDown)) }
        return checks
    }
}
