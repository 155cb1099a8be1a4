// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Logging
import Storage

/// What the server does from time to time: forgets old events, and lists that nobody asks for.
struct Housekeeping: Sendable {
    let registry: Registry
    let lists: ListCache
    let logger: Logger

    /// Between two rounds.
    private static let interval = Duration.seconds(60)
    /// The life of an event (upstream: `--event-ttl`).
    private static let eventSeconds: Int64 = 3600
    /// Rounds between two looks at the events.
    private static let eventRounds = 5

    func run() async throws {
        var round = 0
        while true {
            try await Task.sleep(for: Self.interval, tolerance: .seconds(15))
            lists.clear()
            round += 1
            if round % Self.eventRounds == 0 { try await removeOldEvents() }
        }
    }

    /// Deletes the events that nothing has happened to for an hour; those that cannot be deleted now are left to the next round.
    ///
    /// - Throws: `CancellationError` alone: a full disk, or a store that has much to do, must not end the server.
    func removeOldEvents() async throws {
        guard let served = registry.catalogue[.init("", "v1", "events")] else { return }
        var old: [ObjectKey] = []
        let now = registry.clock.now
        registry.storage.snapshot().forEach(prefix: served.keyPrefix, after: nil) { value in
            // A damaged event is of no use to anyone.
            guard let event = try? StoredObjectDecoder.decode(value) else { return true }
            if now - Self.lastChange(event) > Self.eventSeconds { old.append(served.objectKey(ofKey: value.key)) }
            return true
        }
        let context = RequestContext(user: .loopback, defaultManager: "kube-apiserver")
        for key in old {
            do {
                _ = try await registry.delete(
                    served, namespace: key.namespace, name: key.name, options: .init(), context: context)
            } catch let error as StatusError where error.isNotFound {
                continue
            } catch let error as CancellationError {
                throw error
            } catch {
                return logger.debug("Old events are removed later", metadata: ["error": "\(error)"])
            }
        }
    }

    private static func lastChange(_ event: KubeObject) -> Int64 {
        let texts = [
            event.json["series"]?["lastObservedTime"]?.string, event.json["lastTimestamp"]?.string,
            event.json["eventTime"]?.string, event.creationTimestamp,
        ]
        return texts.compactMap { $0.flatMap { KubeTime($0) }.map { Int64($0.seconds) } }.max() ?? 0
    }
}
