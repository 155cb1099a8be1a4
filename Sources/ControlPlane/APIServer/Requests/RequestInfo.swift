// SPDX-License-Identifier: Apache-2.0

package import KubeAPI

/// What a request asks for, read from its method and path (upstream: `k8s.io/apiserver/pkg/endpoints/request`).
package struct RequestInfo: Hashable, Sendable {
    /// The API verb (`get`, `list`, `watch`, `create`, …) or, for other paths, the HTTP method in lower case.
    package var verb: String
    /// The decoded path.
    package var path: String
    /// Whether the path names an API resource; if not, only ``verb`` and ``path`` mean anything.
    package var isResourceRequest = false
    package var groupVersion = GroupVersion("", "")
    package var namespace = ""
    package var resource = ""
    package var name = ""
    package var subresource = ""
    /// What follows the subresource: the path that a proxy request wants from its target, without a leading slash.
    package var remainder = ""

    package var groupVersionResource: GroupVersionResource { groupVersion.resource(resource) }

    /// Reads a request line's parts.
    package init(method: String, path: String, query: QueryParameters) {
        self.path = path
        verb = method.lowercased()
        var parts = path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        guard parts.count >= 3, Self.takeGroupVersion(&parts, into: &groupVersion) else { return }
        let isWatchPath = parts.first == "watch"
        if isWatchPath { parts.removeFirst() }
        guard !parts.isEmpty else { return }
        isResourceRequest = true
        verb = Self.verb(forMethod: method)
        readResource(parts)
        if !name.isEmpty, !isWatchPath { return }
        readCollectionVerb(query, isWatchPath: isWatchPath)
    }

    /// Takes `api/VERSION` or `apis/GROUP/VERSION` off the front; false if that is not how the path begins.
    private static func takeGroupVersion(_ parts: inout [String], into groupVersion: inout GroupVersion) -> Bool {
        if parts[0] == "api" {
            groupVersion = GroupVersion("", parts[1])
            parts.removeFirst(2)
            return true
        }
        guard parts[0] == "apis", parts.count >= 4 else { return false }
        groupVersion = GroupVersion(parts[1], parts[2])
        parts.removeFirst(3)
        return true
    }

    private static func verb(forMethod method: String) -> String {
        switch method {
        case "POST": "create"
        case "GET", "HEAD": "get"
        case "PUT": "update"
        case "PATCH": "patch"
        case "DELETE": "delete"
        default: ""
        }
    }

    private mutating func readResource(_ all: [String]) {
        var parts = all[...]
        if parts.first == "namespaces", parts.count > 1 {
            namespace = all[1]
            // A namespace's own subresources are not resources in that namespace.
            if parts.count > 2, all[2] != "status", all[2] != "finalize" { parts = parts.dropFirst(2) }
        }
        let base = parts.startIndex
        resource = parts[base]
        if parts.count > 1 { name = parts[base + 1] }
        if parts.count > 2 { subresource = parts[base + 2] }
        if parts.count > 3 { remainder = parts[(base + 3)...].joined(separator: "/") }
    }

    /// `get` and `delete` without a name are about the collection.
    private mutating func readCollectionVerb(_ query: QueryParameters, isWatchPath: Bool) {
        switch verb {
        case "get":
            let watches = isWatchPath || query.isTrue("watch")
            verb = watches ? "watch" : "list"
            // Access to one object of a collection may be granted by its name.
            if name.isEmpty, let selector = query["fieldSelector"], selector.hasPrefix("metadata.name=") {
                let wanted = selector.dropFirst("metadata.name=".count)
                if !wanted.contains(",") { name = wanted.hasPrefix("=") ? String(wanted.dropFirst()) : String(wanted) }
            }
        case "delete" where name.isEmpty: verb = "deletecollection"
        default: break
        }
    }
}
