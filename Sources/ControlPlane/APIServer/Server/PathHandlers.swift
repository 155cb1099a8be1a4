// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOCore
import NIOHTTP1
import Storage

/// Answers requests for what is not an API resource: health, version, discovery, schemas, keys, metrics.
struct PathHandlers: Sendable {
    let registry: Registry
    let health: HealthChecks
    let discovery: DiscoveryPaths
    let tokens: ServiceAccountTokens?
    let metrics: RequestMetrics
    let limits: InFlightLimits
    let version: ServerVersion
    /// The URL at which clients reach this server, for the discovery of the token issuer.
    let externalURL: @Sendable () -> String

    func answer(_ call: APICall, _ user: UserInfo) async throws -> HTTPResponse {
        guard call.request.method == .GET || call.request.method == .HEAD else {
            throw discovery.knows(call.info.path) ? ObjectHandlers.methodNotAllowed : Registry.noSuchResource
        }
        let path = call.info.path
        if let checked = await health.answer(path, call.query) { return checked }
        switch path {
        case "/version", "/version/": return Responses.json(version.json)
        case "/metrics":
            return Responses.text(
                metrics.text(inFlight: limits.current, revision: registry.storage.snapshot().revision),
                type: "text/plain; version=0.0.4; charset=utf-8")
        case "/openid/v1/jwks", "/openid/v1/jwks/":
            guard let tokens else { return Responses.pageNotFound }
            return Responses.json(try tokens.jsonWebKeySet(), type: "application/jwk-set+json")
        case "/.well-known/openid-configuration", "/.well-known/openid-configuration/":
            guard let tokens else { return Responses.pageNotFound }
            return Responses.json(issuerMetadata(tokens))
        default: return try discovery.answer(call) ?? Responses.pageNotFound
        }
    }

    private func issuerMetadata(_ tokens: ServiceAccountTokens) -> JSON {
        [
            "issuer": .string(tokens.issuer), "jwks_uri": .string("\(externalURL())/openid/v1/jwks"),
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        ]
    }
}

/// What `/version` tells (apimachinery `version.Info`).
package struct ServerVersion: Sendable {
    package var gitVersion: String
    package var gitCommit: String
    package var buildDate: String
    package var compiler: String

    package init(
        gitVersion: String = "v1.36.0+swiftlet", gitCommit: String = "", buildDate: String = "",
        compiler: String = "swift"
    ) {
        self.gitVersion = gitVersion
        self.gitCommit = gitCommit
        self.buildDate = buildDate
        self.compiler = compiler
    }

    private static var platform: String {
        #if arch(arm64)
            "linux/arm64"
        #elseif arch(x86_64)
            "linux/amd64"
        #else
            "linux/arm"
        #endif
    }

    var json: JSON {
        [
            "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36",
            "minCompatibilityMajor": "1", "minCompatibilityMinor": "35", "gitVersion": .string(gitVersion),
            "gitCommit": .string(gitCommit), "gitTreeState": "clean", "buildDate": .string(buildDate),
            "goVersion": "", "compiler": .string(compiler), "platform": .string(Self.platform),
        ]
    }
}
