// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import KubeAPI
import NIOHTTP1

/// A request with what its line and headers say.
struct APICall: Sendable {
    let request: HTTPRequest
    let info: RequestInfo
    let query: QueryParameters

    init(_ request: HTTPRequest) {
        self.request = request
        let uri = request.uri
        let path: Substring
        if let mark = uri.utf8.firstIndex(of: UInt8(ascii: "?")) {
            path = uri[..<mark]
            query = QueryParameters(uri[uri.utf8.index(after: mark)...])
        } else {
            path = uri[...]
            query = QueryParameters()
        }
        info = RequestInfo(method: request.method.rawValue, path: PercentEncoding.decode(path), query: query)
    }

    /// What the caller must be allowed to do.
    func attributes(_ user: UserInfo) -> AccessAttributes {
        guard info.isResourceRequest else { return AccessAttributes(user: user, verb: info.verb, path: info.path) }
        var attributes = AccessAttributes(
            user: user, verb: info.verb, group: info.groupVersion.group, resource: info.resource,
            subresource: info.subresource, namespace: info.namespace, name: info.name)
        // Only decisions on nodes look at selectors; a malformed one is refused when the list is read.
        if user.nodeName != nil, let text = query["fieldSelector"], let selector = try? FieldSelector(parsing: text) {
            for term in selector.terms where !term.isNegated { attributes.requiredFields[term.field] = term.value }
        }
        return attributes
    }

    /// The ListOptions of a request for a collection, or for the one object of it that it names.
    func listOptions() throws(StatusError) -> ListOptions {
        var options = try query.listOptions()
        options.fieldSelector = try selector(options.fieldSelector)
        return options
    }

    /// A field selector that selects nothing but the object for which the request was authorised, where it was for one
    /// (upstream: `ListResource` in `handlers/get.go`).
    func selector(_ text: String) throws(StatusError) -> String {
        guard !info.name.isEmpty else { return text }
        let selector = try FieldSelector(parsing: text)
        if selector.isEverything { return "metadata.name=\(FieldSelector.escape(info.name))" }
        guard selector.requiredValue(of: "metadata.name") == info.name else {
            throw .badRequest("fieldSelector metadata.name doesn't match requested name")
        }
        return text
    }

    /// Whether the request may last: it is not counted or timed like the others.
    var isLongRunning: Bool {
        guard info.isResourceRequest else { return false }
        return info.verb == "watch" || Self.streamingSubresources.contains(info.subresource)
    }

    static let streamingSubresources: Set<String> = ["exec", "attach", "portforward", "log", "proxy"]

    var isMutating: Bool { !["get", "list", "watch", "head", "options"].contains(info.verb) }

    func context(_ user: UserInfo) -> RequestContext {
        RequestContext(
            user: user, defaultManager: RequestContext.manager(ofUserAgent: request.headers.first(name: "User-Agent")))
    }
}
