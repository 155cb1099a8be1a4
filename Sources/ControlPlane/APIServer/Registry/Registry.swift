// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
package import Logging
package import Storage

/// Creates, reads, changes, deletes, lists and watches the objects of every resource: one generic path, with the
/// particular in a ``ResourceBehaviour``.
///
/// It knows nothing of HTTP and authentication; whoever calls it has been let in. What only the store can tell, that an
/// update or patch creates its object, it asks the authoriser for itself. Its errors are ``StatusError``.
package final class Registry: Sendable {
    let storage: any Storage
    let clock: any WallClock
    let logger: Logger
    let decoder = StoredObjectDecoder()
    let settings: RegistrySettings
    let authorizer: Authorizer
    let catalogue: ResourceCatalogue
    let namespaces = NamespaceStates()
    /// Whether a snapshot of the store is always the newest state, as in an embedded store.
    let snapshotsAreCurrent: Bool

    /// How often a change is tried anew when others change the same object at the same time.
    static let maximumAttempts = 100

    package init(
        storage: any Storage, settings: RegistrySettings, clock: any WallClock = SystemClock(), logger: Logger
    ) {
        self.storage = storage
        self.clock = clock
        self.logger = logger
        self.settings = settings
        authorizer = Authorizer(storage: storage, logger: logger)
        snapshotsAreCurrent = settings.snapshotsAreCurrent
        catalogue = ResourceCatalogue(settings: settings, authorizer: authorizer)
    }

    /// The newest state of the store.
    func currentSnapshot() async throws -> any StorageSnapshot {
        if !snapshotsAreCurrent { try await storage.readBarrier() }
        return storage.snapshot()
    }

    /// The resource of this name.
    ///
    /// - Throws: `NotFound` when no such resource is served.
    func served(_ resource: GroupVersionResource) throws(StatusError) -> ServedResource {
        guard let served = catalogue[resource] else { throw Self.noSuchResource }
        return served
    }

    static let noSuchResource = StatusError(
        code: 404, reason: StatusError.Reason.notFound, message: "the server could not find the requested resource",
        details: .init())

    // MARK: Reading

    /// The newest bytes of an object.
    func value(_ served: ServedResource, namespace: String, name: String) async throws -> StoredValue {
        guard let value = try await currentSnapshot().get(served.key(namespace: namespace, name: name)) else {
            throw StatusError.notFound(served.resource, name)
        }
        return value
    }

    /// An object as the store's cache has it, for decisions; nil if it is missing or damaged.
    func cachedObject(_ resource: GroupVersionResource, _ namespace: String, _ name: String) -> KubeObject? {
        guard let served = catalogue[resource],
            let value = storage.snapshot().get(served.key(namespace: namespace, name: name))
        else { return nil }
        do {
            return try decoder.decodeShared(value)
        } catch {
            logger.error("Cannot decode a stored object", metadata: ["object": "\(value.key)", "error": "\(error)"])
            return nil
        }
    }

    /// All objects of a resource (in a namespace, unless it is empty) as the store's cache has them, for decisions.
    func cachedObjects(_ resource: GroupVersionResource, _ namespace: String = "") -> [KubeObject] {
        guard let served = catalogue[resource] else { return [] }
        var objects: [KubeObject] = []
        storage.snapshot().forEach(prefix: served.keyPrefix(namespace: namespace), after: nil) { value in
            do {
                objects.append(try StoredObjectDecoder.decode(value))
            } catch {
                logger.error(
                    "Cannot decode a stored object", metadata: ["object": "\(value.key)", "error": "\(error)"])
            }
            return true
        }
        return objects
    }
}

/// What the registry is told about the cluster.
package struct RegistrySettings: Sendable {
    /// Whether a snapshot of the store is always the newest state, as in an embedded store; otherwise reads wait for
    /// it.
    package var snapshotsAreCurrent = true
    /// The range that services get their addresses from, in CIDR notation.
    package var serviceRange = "10.152.0.0/16"
    /// The ports that NodePort services get.
    package var nodePorts: ClosedRange<Int> = 30000...32767

    package init() {}
}

/// What a write left behind.
struct Written: Sendable {
    /// The new state, with its revision.
    var object: KubeObject
    /// The bytes of the new state.
    var bytes: [UInt8]
    /// Whether the object did not exist before.
    var isNew = false
    /// Whether the object is gone.
    var isGone = false
}

extension Written {
    /// The object in the version that a resource serves.
    func object(as served: ServedResource) -> KubeObject {
        served.servesStoredBytes ? object : ObjectConversion.convert(object, to: served.kind)
    }
}
