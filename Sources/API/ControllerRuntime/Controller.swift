// SPDX-License-Identifier: Apache-2.0

package import KubeAPI
package import Logging

/// Reconciles keys: brings the state of the world closer to what the object of that key wants.
///
/// Reconciliation is level-based: it looks at the state now, not at what happened, so it may run at any time and twice.
/// - Returns: When to look again without a change, or nil.
package typealias Reconcile<Key: Hashable & Sendable> = @Sendable (Key) async throws -> Duration?

/// A work queue and the workers that reconcile its keys.
///
/// A key is never reconciled twice at the same time. A failure is retried with growing waits; conflicts, which only mean
/// that the local copy was old, are retried quietly.
package final class Controller<Key: Hashable & Sendable>: Sendable {
    package let queue: WorkQueue<Key>
    private let name: String
    private let workers: Int
    private let subject: String
    private let logger: Logger
    private let reconcile: Reconcile<Key>

    /// - Parameters:
    ///   - name: For logs, `deployment-controller`.
    ///   - workers: How many keys are reconciled at once.
    ///   - subject: What a key names in logs: `pod`, `node`.
    package init(
        _ name: String, workers: Int = 2, queue: WorkQueue<Key> = .init(), subject: String = "object",
        logger: Logger, reconcile: @escaping Reconcile<Key>
    ) {
        self.name = name
        self.workers = workers
        self.queue = queue
        self.subject = subject
        self.logger = logger
        self.reconcile = reconcile
    }

    /// Works until the task is cancelled.
    package func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.queue.run() }
            for _ in 0..<workers { group.addTask { await self.work() } }
        }
    }

    private func work() async {
        while let key = await queue.next() {
            await reconcileOnce(key)
            queue.done(key)
        }
    }

    private func reconcileOnce(_ key: Key) async {
        do {
            let delay = try await reconcile(key)
            queue.forget(key)
            if let delay { queue.add(key, after: delay) }
        } catch is CancellationError {
            return
        } catch {
            let isConflict = (error as? StatusError)?.isConflict ?? false
            logger(of: key).log(
                level: isConflict ? .debug : .warning, "Reconciliation failed and will be tried again",
                metadata: ["component": "\(name)", "error": "\(error)"])
            queue.addAfterFailure(key)
        }
    }

    private func logger(of key: Key) -> Logger {
        var logger: Logger = self.logger
        if let object = key as? ObjectKey {
            if !object.namespace.isEmpty { logger[metadataKey: "namespace"] = .string(object.namespace) }
            logger[metadataKey: subject] = .string(object.name)
        } else {
            logger[metadataKey: subject] = "\(key)"
        }
        return logger
    }
}

extension WorkQueue where Key == ObjectKey {
    /// Adds the key of every object that changes in an informer; call before the informer runs.
    package func addChanges(of informer: Informer) {
        informer.addHandler { event in self.add(event.object.key) }
    }

    /// Adds the key of the controlling owner, of this kind, of every object that changes; both owners when it changes.
    package func addOwners(ofChangesIn informer: Informer, ownerKind: String) {
        informer.addHandler { event in
            func addOwner(of object: KubeObject) {
                guard let owner = object.controller, owner.kind == ownerKind else { return }
                self.add(ObjectKey(namespace: object.namespace, name: owner.name))
            }
            if case .updated(let old, _) = event { addOwner(of: old) }
            addOwner(of: event.object)
        }
    }
}
