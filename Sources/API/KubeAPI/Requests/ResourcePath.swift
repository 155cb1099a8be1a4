// SPDX-License-Identifier: Apache-2.0

/// Where the API serves a collection, an object or a subresource, and how options travel in the query.
///
/// The forms are those of the API conventions ("Resources and URLs"): `/api/v1/...` for the core group,
/// `/apis/GROUP/VERSION/...` for the others.
package struct ResourcePath: Hashable, Sendable {
    package var resource: GroupVersionResource
    /// Nil for cluster-scoped resources and for collections over all namespaces.
    package var namespace: String?
    /// Nil for the collection.
    package var name: String?
    package var subresource: String?

    package init(
        _ resource: GroupVersionResource, namespace: String? = nil, name: String? = nil, subresource: String? = nil
    ) {
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.subresource = subresource
    }

    /// The path with a query: `/api/v1/namespaces/default/pods?limit=500`.
    package func url(_ query: QueryString = QueryString()) -> String {
        var segments = resource.group.isEmpty ? ["api"] : ["apis", resource.group]
        segments.append(resource.version)
        if let namespace { segments += ["namespaces", namespace] }
        segments.append(resource.resource)
        if let name { segments.append(name) }
        // A subresource may have a path of its own behind it (`proxy/metrics`).
        if let subresource { segments += subresource.split(separator: "/").map(String.init) }
        let path = segments.map { "/" + PercentEncoding.segment($0) }.joined()
        return query.isEmpty ? path : "\(path)?\(query)"
    }
}

/// A query in the making: names and values, percent-encoded.
package struct QueryString: Hashable, Sendable, CustomStringConvertible {
    private var items: [String] = []

    package init() {}

    package var isEmpty: Bool { items.isEmpty }
    package var description: String { items.joined(separator: "&") }

    /// Adds a value.
    package mutating func add(_ name: String, _ value: String) {
        items.append("\(PercentEncoding.queryItem(name))=\(PercentEncoding.queryItem(value))")
    }

    /// Adds a value that is left out where it is empty.
    package mutating func addUnlessEmpty(_ name: String, _ value: String) {
        if !value.isEmpty { add(name, value) }
    }
}

extension ListOptions {
    package var query: QueryString {
        var query = QueryString()
        query.addUnlessEmpty("labelSelector", labelSelector)
        query.addUnlessEmpty("fieldSelector", fieldSelector)
        if limit > 0 { query.add("limit", String(limit)) }
        query.addUnlessEmpty("continue", continueToken)
        query.addUnlessEmpty("resourceVersion", resourceVersion)
        query.addUnlessEmpty("resourceVersionMatch", resourceVersionMatch)
        return query
    }
}

extension WatchOptions {
    package var query: QueryString {
        var query = QueryString()
        query.add("watch", "true")
        query.addUnlessEmpty("labelSelector", labelSelector)
        query.addUnlessEmpty("fieldSelector", fieldSelector)
        query.addUnlessEmpty("resourceVersion", resourceVersion)
        if allowBookmarks { query.add("allowWatchBookmarks", "true") }
        if let sendInitialEvents {
            query.add("sendInitialEvents", sendInitialEvents ? "true" : "false")
            query.add("resourceVersionMatch", "NotOlderThan")
        }
        if let timeoutSeconds { query.add("timeoutSeconds", String(timeoutSeconds)) }
        return query
    }
}

extension WriteOptions {
    package var query: QueryString {
        var query = QueryString()
        query.addUnlessEmpty("fieldManager", fieldManager)
        if dryRun { query.add("dryRun", "All") }
        query.addUnlessEmpty("fieldValidation", fieldValidation)
        if force { query.add("force", "true") }
        return query
    }
}

/// Percent-encoding (RFC 3986, section 2).
private enum PercentEncoding {
    private static let unreserved = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
    /// What a path segment may hold besides (section 3.3); names such as `system:node` stay readable.
    private static let segmentBytes = unreserved.union(":@!$&'()*+,;=".utf8)

    static func segment(_ text: String) -> String { encode(text, keeping: segmentBytes) }
    static func queryItem(_ text: String) -> String { encode(text, keeping: unreserved) }

    private static func encode(_ text: String, keeping kept: Set<UInt8>) -> String {
        guard !text.utf8.allSatisfy(kept.contains) else { return text }
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if kept.contains(byte) {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
