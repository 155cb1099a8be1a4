// SPDX-License-Identifier: Apache-2.0

package import JSON
package import KubeAPI

/// Access to the API: the one door through which the kubelet, the scheduler and the controllers see the cluster.
///
/// It is served in process or over HTTPS and the caller cannot tell which. Refusals are ``StatusError``; a connection
/// that fails is ``ClientError``. `namespace` is nil for cluster-scoped resources and for lists over all namespaces.
package protocol ResourceClient: Sendable {
    func get(_ resource: GroupVersionResource, namespace: String?, name: String) async throws -> KubeObject

    func list(_ resource: GroupVersionResource, namespace: String?, options: ListOptions) async throws -> KubeList

    /// Opens a watch; see ``WatchStream`` for how it ends.
    func watch(
        _ resource: GroupVersionResource, namespace: String?, options: WatchOptions
    ) async throws -> WatchStream

    /// Creates an object, or posts to a subresource (`binding`, `eviction`, `token`) of the object `name`.
    func create(
        _ resource: GroupVersionResource, namespace: String?, name: String?, subresource: String?, object: KubeObject,
        options: WriteOptions
    ) async throws -> KubeObject

    /// Replaces an object or one of its subresources (`status`, `scale`); `resourceVersion` guards against races.
    func update(
        _ resource: GroupVersionResource, subresource: String?, object: KubeObject, options: WriteOptions
    ) async throws -> KubeObject

    func patch(
        _ resource: GroupVersionResource, namespace: String?, name: String, subresource: String?, type: PatchType,
        patch: JSON, options: WriteOptions
    ) async throws -> KubeObject

    /// Deletes an object; gives its last state, which may live on until its finalizers and grace period are over.
    @discardableResult
    func delete(
        _ resource: GroupVersionResource, namespace: String?, name: String, options: DeleteOptions
    ) async throws -> KubeObject

    func deleteCollection(
        _ resource: GroupVersionResource, namespace: String?, selecting: ListOptions, options: DeleteOptions
    ) async throws
}

extension ResourceClient {
    package func create(
        _ resource: GroupVersionResource, object: KubeObject, options: WriteOptions = .init()
    ) async throws -> KubeObject {
        try await create(
            resource, namespace: object.namespace.isEmpty ? nil : object.namespace, name: nil, subresource: nil,
            object: object, options: options)
    }

    package func update(_ resource: GroupVersionResource, object: KubeObject) async throws -> KubeObject {
        try await update(resource, subresource: nil, object: object, options: .init())
    }

    package func updateStatus(_ resource: GroupVersionResource, object: KubeObject) async throws -> KubeObject {
        try await update(resource, subresource: "status", object: object, options: .init())
    }
}

/// A LIST's answer.
package struct KubeList: Sendable {
    package var items: [KubeObject]
    /// The revision at which the list is true: watch from here.
    package var resourceVersion: String
    /// Where to go on, empty on the last page.
    package var continueToken: String

    package init(items: [KubeObject], resourceVersion: String, continueToken: String = "") {
        self.items = items
        self.resourceVersion = resourceVersion
        self.continueToken = continueToken
    }
}

/// The events of one watch, for a single consumer.
///
/// It ends when the server closes the watch (reopen from the last revision seen) and throws a ``StatusError`` for which
/// `isExpired` is true when the revision is too old (list again). Cancelling the consuming task, or letting go of the
/// stream, ends the watch on the server as well.
package struct WatchStream: AsyncSequence, Sendable {
    package typealias Element = WatchEvent

    private let source: any WatchSource

    package init(_ source: any WatchSource) { self.source = source }

    package func makeAsyncIterator() -> Iterator { Iterator(source: source) }

    package struct Iterator: AsyncIteratorProtocol {
        fileprivate let source: any WatchSource

        package mutating func next() async throws -> WatchEvent? { try await source.next() }
    }
}

/// Where a ``WatchStream``'s events come from; a class that closes the watch when it is released.
package protocol WatchSource: AnyObject, Sendable {
    /// The next event, nil after the last; returns nil or throws `CancellationError` soon after cancellation.
    func next() async throws -> WatchEvent?
}

/// A request that got no answer from the API.
package struct ClientError: Error, Sendable, CustomStringConvertible {
    /// What was attempted: `GET https://10.0.0.1:16443/api/v1/nodes`.
    package let request: String
    /// Why it failed.
    package let reason: String

    package init(request: String, reason: String) {
        self.request = request
        self.reason = reason
    }

    package var description: String { "\(request): \(reason)" }
}
