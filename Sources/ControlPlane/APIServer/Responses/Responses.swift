// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOCore
import NIOHTTP1

/// Makes the server's answers.
enum Responses {
    private static let jsonHeaders: HTTPHeaders = [
        "Content-Type": "application/json", "Cache-Control": "no-cache, private",
    ]

    static func bytes(_ bytes: ByteBuffer, code: Int = 200, type: String = "application/json") -> HTTPResponse {
        var headers = jsonHeaders
        if type != "application/json" { headers.replaceOrAdd(name: "Content-Type", value: type) }
        return HTTPResponse(status: .init(statusCode: code), headers: headers, body: .bytes(bytes))
    }

    static func bytes(_ bytes: [UInt8], code: Int = 200, type: String = "application/json") -> HTTPResponse {
        self.bytes(ByteBuffer(bytes: bytes), code: code, type: type)
    }

    static func json(_ json: JSON, code: Int = 200, type: String = "application/json") -> HTTPResponse {
        bytes(json.serialized(), code: code, type: type)
    }

    static func text(_ text: String, code: Int = 200, type: String = "text/plain; charset=utf-8") -> HTTPResponse {
        bytes(ByteBuffer(string: text), code: code, type: type)
    }

    /// What Go's server says about a path that it does not know.
    static let pageNotFound = text("404 page not found\n", code: 404)

    /// A refusal.
    ///
    /// - Parameter accept: the forms that the client takes; JSON where it names none that there is.
    static func failure(_ error: StatusError, accept: String? = nil) -> HTTPResponse {
        // Whatever goes wrong with the form must not hide the refusal itself.
        let form = (try? Negotiated.choose(accept: accept, supportsProtobuf: true)) ?? .json
        var response = (try? object(error.json, code: error.code, in: form)) ?? json(error.json, code: error.code)
        if let seconds = error.details?.retryAfterSeconds, seconds > 0 {
            response.headers.add(name: "Retry-After", value: String(seconds))
        }
        if error.code == 401 {
            response.headers.add(name: "WWW-Authenticate", value: "Basic realm=\"kubernetes-master\"")
        }
        return response
    }

    /// A success that has no object to show.
    static func success(_ details: StatusError.Details?) -> JSON {
        var result: JSON = ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success"]
        if let details {
            var members: JSON = ["name": .string(details.name)]
            if !details.group.isEmpty { members["group"] = .string(details.group) }
            members["kind"] = .string(details.kind)
            if !details.uid.isEmpty { members["uid"] = .string(details.uid) }
            result["details"] = members
        }
        return result
    }
}

extension HTTPResponse {
    /// Adds a `Warning` header for each text (RFC 7234 section 5.5, as upstream writes them).
    mutating func add(warnings: [String]) {
        for text in warnings {
            let escaped = text.filter { $0 != "\n" && $0 != "\r" }
                .replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            headers.add(name: "Warning", value: "299 - \"\(escaped)\"")
        }
    }
}
