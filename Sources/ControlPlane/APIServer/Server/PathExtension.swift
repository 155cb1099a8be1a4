// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
package import JSON
package import KubeAPI
import NIOCore
import NIOHTTP1

/// Serves paths below a prefix of its own beside the API's, on the same port. It decides itself who may do what.
package protocol PathExtension: Sendable {
    /// `/example.io/v1/`.
    var prefix: String { get }

    /// Whether requests for a path take long for what they wait for: they count to none of the bounds for requests at work, so
    /// the extension must bound them itself.
    func isLongRunning(_ path: String) -> Bool

    /// Answers a request with a document; what it throws becomes a `Status`.
    func answer(_ request: ExtensionRequest) async throws -> JSON
}

/// A request to a ``PathExtension``.
package struct ExtensionRequest: Sendable {
    /// `GET`.
    package var method: String
    /// Without the query.
    package var path: String
    /// Nil where there is none.
    package var body: JSON?
    /// Who the client certificate says it is; anonymous without one, whatever token is shown.
    package var user: UserInfo
    /// The bearer token, not judged yet.
    package var token: String?

    package init(method: String, path: String, body: JSON? = nil, user: UserInfo = .anonymous, token: String? = nil) {
        self.method = method
        self.path = path
        self.body = body
        self.user = user
        self.token = token
    }
}

/// The extensions of a server.
struct PathExtensions: Sendable {
    let extensions: [any PathExtension]
    let authenticator: Authenticator

    /// Who serves a path; nil where it is not an extension's.
    func serving(_ path: String) -> (any PathExtension)? { extensions.first { path.hasPrefix($0.prefix) } }

    func answer(_ request: HTTPRequest, path: String, by served: any PathExtension) async throws -> HTTPResponse {
        var call = ExtensionRequest(method: request.method.rawValue, path: path)
        if let header = request.headers.first(name: "Authorization") {
            guard let token = Authenticator.bearerToken(header) else { throw Authenticator.unauthorized }
            call.token = token
        } else {
            call.user = try authenticator.authenticate(request)
        }
        if request.body.readableBytes > 0 {
            do {
                call.body = try request.body.withUnsafeReadableBytes { try JSON.parse($0) }
            } catch {
                throw StatusError.badRequest("the body is not JSON: \(error)")
            }
        }
        return Responses.json(try await served.answer(call))
    }
}
