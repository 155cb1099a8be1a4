// SPDX-License-Identifier: Apache-2.0

package import KubeAPI
package import KubeClient
package import Logging

/// Follows a collection by list and watch and tells what it sees; it keeps no copy itself.
package struct Reflector: Sendable {
    /// What a reflector saw, in order.
    package enum Sight: Sendable {
        /// The whole collection at a revision: what is not in it is gone.
        case replaced([KubeObject], resourceVersion: String)
        case changed(WatchEvent)
    }

    /// Objects asked for in one page of a list, so that no list is ever decoded as a whole.
    static let pageSize = 500

    package let resource: GroupVersionResource
    let namespace: String?
    let options: ListOptions
    let client: any ResourceClient
    let transform: @Sendable (KubeObject) -> KubeObject
    let logger: Logger

    /// - Parameters:
    ///   - namespace: Only this namespace; nil for all.
    ///   - options: Label and field selectors.
    ///   - transform: Reduces an object to what is needed before it is passed on.
    package init(
        _ resource: GroupVersionResource, client: any ResourceClient, namespace: String? = nil,
        options: ListOptions = .init(), logger: Logger, transform: @escaping @Sendable (KubeObject) -> KubeObject
    ) {
        self.resource = resource
        self.client = client
        self.namespace = namespace
        self.options = options
        self.logger = logger
        self.transform = transform
    }

    /// Lists and watches until the task is cancelled, with one call of `see` at a time. Failures are logged and retried
    /// with growing waits.
    package func run(_ see: @Sendable (Sight) -> Void) async throws {
        var machine = ListWatchMachine()
        while !Task.isCancelled {
            switch machine.action {
            case .list(let wait):
                if wait > .zero { try await Task.sleep(for: wait) }
                await list(&machine, see)
            case .watch(let revision, let wait):
                if wait > .zero { try await Task.sleep(for: wait) }
                await watch(from: revision, &machine, see)
            }
        }
    }

    private func list(_ machine: inout ListWatchMachine, _ see: @Sendable (Sight) -> Void) async {
        do {
            var options = options
            options.limit = Self.pageSize
            var items: [KubeObject] = []
            var page: KubeList
            repeat {
                page = try await client.list(resource, namespace: namespace, options: options)
                items += page.items.map(transform)
                options.continueToken = page.continueToken
            } while !page.continueToken.isEmpty
            see(.replaced(items, resourceVersion: page.resourceVersion))
            machine.listed(resourceVersion: page.resourceVersion)
        } catch {
            machine.failed(error)
            report(error, doing: "list")
        }
    }

    private func watch(
        from revision: String, _ machine: inout ListWatchMachine, _ see: @Sendable (Sight) -> Void
    ) async {
        var isEmpty = true
        do {
            let watchOptions = WatchOptions(
                labelSelector: options.labelSelector, fieldSelector: options.fieldSelector, resourceVersion: revision)
            let stream = try await client.watch(resource, namespace: namespace, options: watchOptions)
            for try await event in stream {
                isEmpty = false
                machine.received(resourceVersion: event.object.resourceVersion)
                see(.changed(event.mapObject(transform)))
            }
            machine.watchEnded(isEmpty: isEmpty)
        } catch {
            machine.failed(error)
            report(error, doing: "watch")
        }
    }

    private func report(_ error: any Error, doing verb: String) {
        if Task.isCancelled || error is CancellationError { return }
        if let status = error as? StatusError, status.isExpired { return }
        logger.warning(
            "The API could not be followed and will be asked again",
            metadata: ["verb": "\(verb)", "resource": "\(resource.groupResource)", "error": "\(error)"])
    }
}

extension WatchEvent {
    /// The event about a reduced object; a bookmark is left alone.
    fileprivate func mapObject(_ transform: (KubeObject) -> KubeObject) -> WatchEvent {
        switch self {
        case .added(let object): .added(transform(object))
        case .modified(let object): .modified(transform(object))
        case .deleted(let object): .deleted(transform(object))
        case .bookmark: self
        }
    }
}
