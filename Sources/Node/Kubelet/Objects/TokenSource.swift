// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Synchronization

/// Service account tokens for projected volumes, bound to their pod and renewed before they expire
/// (upstream: pkg/kubelet/token).
final class TokenSource: Sendable {
    /// What a token is asked for.
    struct Request: Hashable, Sendable {
        let namespace: String
        let serviceAccount: String
        let podName: String
        let podUID: String
        /// Empty for the API server's own.
        let audience: String
        /// Seconds.
        let lifetime: Int

        /// What its copy on disk is kept under.
        var keptName: String { "tokens/\(podUID)/\(serviceAccount)/\(audience)/\(lifetime)" }
    }

    private struct Token {
        let text: String
        /// Seconds since 1970 from which a new one is fetched.
        let renewAt: Int64
    }

    /// A token is renewed at latest after a day.
    private static let longestUse: Int64 = 24 * 3600
    /// Seconds after which a new one is asked for while the API does not answer.
    private static let patience: Int64 = 60

    private let client: any ResourceClient
    /// Copies for when the API does not answer; nil where it runs in this process.
    private let kept: KeptObjects?
    private let clock: Clock
    private let tokens = Mutex<[Request: Token]>([:])

    init(client: any ResourceClient, kept: KeptObjects?, clock: Clock) {
        self.client = client
        self.kept = kept
        self.clock = clock
    }

    /// The token, and when (seconds since 1970) to ask again. Where the API does not answer it is the last one, so that
    /// the pod can be started; expired or not, nobody is there to judge it.
    func token(_ request: Request) async throws -> (text: String, renewAt: Int64) {
        let now = clock.now().wallSeconds
        if let known = tokens.withLock({ $0[request] }), known.renewAt > now { return (known.text, known.renewAt) }
        do {
            let token = try await fetch(request, now)
            tokens.withLock { $0[request] = token }
            kept?.keep(request.keptName, .string(token.text))
            return (token.text, token.renewAt)
        } catch let error as ClientError {
            guard let copy = kept?.recall(request.keptName)?.string else { throw error }
            let token = Token(text: copy, renewAt: now + Self.patience)
            tokens.withLock { $0[request] = token }
            return (token.text, token.renewAt)
        }
    }

    private func fetch(_ request: Request, _ now: Int64) async throws -> Token {
        var object = KubeObject([
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": [:],
            "spec": [
                "expirationSeconds": JSON(request.lifetime),
                "boundObjectRef": [
                    "kind": "Pod", "apiVersion": "v1", "name": .string(request.podName), "uid": .string(request.podUID),
                ],
            ],
        ])
        object.json["spec", "audiences"] = request.audience.isEmpty ? .array([]) : [.string(request.audience)]
        let answer = try await client.create(
            .serviceAccounts, namespace: request.namespace, name: request.serviceAccount, subresource: "token",
            object: object, options: WriteOptions())
        guard let text = answer.status["token"]?.string else {
            throw ConfigurationError("the API server answered a TokenRequest without a token")
        }
        let expiry = answer.status["expirationTimestamp"]?.string.flatMap(WallClock.seconds) ?? now + 3600
        // From 80 % of its life on, with some jitter so that a node's pods do not ask all at once.
        let use = min((expiry - now) * 8 / 10, Self.longestUse) - Int64.random(in: 0...10)
        return Token(text: text, renewAt: now + max(10, use))
    }

    /// Forgets a pod's tokens.
    func forget(podUID: String) {
        let gone = tokens.withLock { tokens in
            let gone = tokens.keys.filter { $0.podUID == podUID }
            for request in gone { tokens[request] = nil }
            return gone
        }
        for request in gone { kept?.forget(request.keptName) }
    }
}
