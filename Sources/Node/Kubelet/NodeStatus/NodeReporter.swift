// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Keeps the Node object and its lease: registers the node where that is its business, writes the status when it changes or
/// has not been written for five minutes, renews the lease every ten seconds (upstream: pkg/kubelet/nodestatus,
/// component-helpers lease).
final class NodeReporter: Sendable {
    private static let leaseInterval = Duration.seconds(10)
    private static let leaseSeconds = 40
    private static let statusInterval = Duration.seconds(10)
    /// Seconds after which an unchanged status is written again.
    private static let heartbeatInterval: Int64 = 300
    private static let longestRetry = Duration.seconds(7)
    private static let leases = "kube-node-lease"
    /// A lease that somebody else has renewed so many times in a row is another machine's too.
    private static let conflictsOfTwins = 3

    private struct State {
        var lastStatus: JSON = .null
        var lastWrite: Int64 = 0
        var node: KubeObject?
        /// Whether the Node was deleted, and this node must not make another.
        var isRemoved = false
    }

    private let client: any ResourceClient
    private let writer: @Sendable () -> NodeStatusWriter
    private let health: @Sendable () async -> NodeStatusWriter.Health
    private let images: @Sendable () async -> JSON
    private let registers: Bool
    private let taints: [JSON]
    private let extraLabels: [String: String]
    private let clock: Clock
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameter registers: Whether the node makes its Node; otherwise it waits for it (upstream: registerNode).
    init(
        client: any ResourceClient, registers: Bool, writer: @escaping @Sendable () -> NodeStatusWriter,
        health: @escaping @Sendable () async -> NodeStatusWriter.Health,
        images: @escaping @Sendable () async -> JSON, taints: [JSON], extraLabels: [String: String], clock: Clock,
        logger: Logger
    ) {
        self.client = client
        self.registers = registers
        self.writer = writer
        self.health = health
        self.images = images
        self.taints = taints
        self.extraLabels = extraLabels
        self.clock = clock
        self.logger = logger
    }

    /// The Node object as last seen; nil before the registration.
    var node: KubeObject? { state.withLock { $0.node } }

    /// What others have given the node and pods may use, in units.
    var extendedResources: [String: Int64] {
        writer().extended(node?.status["allocatable"]).compactMapValues { ResourceAmount.units($0) }
    }

    /// Registers the node, waiting for the API as long as it takes.
    func register() async throws {
        var wait = Duration.milliseconds(50)
        while true {
            do {
                try await registerOnce()
                return
            } catch is CancellationError {
                throw CancellationError()
            } catch let error as StatusError where error.isNotFound && !registers {
                tellRemoval()
            } catch {
                logger.warning("The node could not be registered and will be again", metadata: ["error": "\(error)"])
            }
            try await Task.sleep(for: wait)
            wait = min(wait * 2, Self.longestRetry)
        }
    }

    private func tellRemoval() {
        let wasTold = state.withLock { state in
            defer { state.isRemoved = true }
            return state.isRemoved
        }
        guard !wasTold else { return }
        logger.error("The cluster has removed this node; it has to leave the cluster and join it again to come back")
    }

    private func registerOnce() async throws {
        let now = clock.now().wallSeconds
        let writer = writer()
        let fresh = writer.node(
            health: await health(), images: await images(), taints: taints, extraLabels: extraLabels, now: now)
        guard registers else {
            try await adopt(fresh)
            return try await writeStatus()
        }
        do {
            let created = try await client.create(.nodes, object: fresh)
            // A server may drop the status of what is created: then it is written like any change.
            if !NodeStatusWriter.isChanged(created.status, fresh.status) {
                state.withLock { $0 = State(lastStatus: created.status, lastWrite: now, node: created) }
                return
            }
            state.withLock { $0.node = created }
        } catch let error as StatusError where error.isAlreadyExists {
            try await adopt(fresh)
        }
        try await writeStatus()
    }

    /// Brings the labels of a Node that exists up to date; what others put there stays.
    private func adopt(_ fresh: KubeObject) async throws {
        var node = try await client.get(.nodes, namespace: nil, name: fresh.name)
        let wanted = fresh.labels.filter { node.labels[$0.key] != $0.value }
        if !wanted.isEmpty {
            node = try await client.patch(
                .nodes, namespace: nil, name: fresh.name, subresource: nil, type: .strategic,
                patch: ["metadata": ["labels": JSON(wanted)]], options: WriteOptions())
        }
        let known = node
        state.withLock { $0 = State(lastStatus: known.status, lastWrite: 0, node: known) }
    }

    /// Writes the status if it changed or is old.
    private func writeStatus() async throws {
        let now = clock.now().wallSeconds
        let writer = writer()
        let (health, images) = (await health(), await images())
        let (last, lastWrite, node) = state.withLock { ($0.lastStatus, $0.lastWrite, $0.node) }
        let status = writer.status(
            health: health, images: images, previous: last["conditions"] ?? .null,
            extended: writer.extended(node?.status["capacity"]), now: now)
        guard
            NodeStatusWriter.isChanged(last, status) || now - lastWrite >= Self.heartbeatInterval
                || !(node.map(writer.countsExtended) ?? true)
        else { return }
        var body = status
        for name in writer.extended(node?.status["allocatable"]).keys where status["allocatable"]?[name] == nil {
            body["allocatable", name] = .null
        }
        if last["addresses"] != status["addresses"] {
            // The list merges by type, which is not unique: replace it as a whole.
            body["addresses"] = .array([["$patch": "replace"]] + (status["addresses"]?.elements ?? []))
        } else {
            body["addresses"] = nil
        }
        let written = try await client.patch(
            .nodes, namespace: nil, name: writer.nodeName, subresource: "status", type: .strategic,
            patch: ["status": body], options: WriteOptions())
        state.withLock { $0 = State(lastStatus: status, lastWrite: now, node: written) }
    }

    /// Takes in what the Node object has become; whether the status has to say something else because of it.
    func observe(_ node: KubeObject) -> Bool {
        let isRegistered = state.withLock { state in
            guard state.node != nil else { return false }
            state.node = node
            return true
        }
        return isRegistered && !writer().countsExtended(node)
    }

    /// Takes in that somebody deleted the Node: the next status, which is written whatever it says, finds out what follows.
    func deleted() { state.withLock { $0.lastWrite = 0 } }

    /// Writes the status now if it changed; what fails is written at the next interval.
    func refresh() async {
        guard node != nil else { return }
        do {
            try await writeStatus()
        } catch {
            logger.info("The node's status will be written later", metadata: ["error": "\(error)"])
        }
    }

    /// Writes the status while the task runs.
    func runStatus() async throws {
        while !Task.isCancelled {
            try await Task.sleep(for: Self.statusInterval)
            do {
                try await writeStatus()
            } catch let error as StatusError where error.isNotFound {
                // Somebody deleted the Node: where the node makes it, it comes back, as with upstream's kubelet after a restart.
                try await register()
            } catch {
                if error is CancellationError { throw error }
                logger.warning("The node's status could not be written", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Renews the lease while the task runs.
    func runLease() async throws {
        var lease: KubeObject?
        var lastRenewal = ContinuousClock.now
        var failures = 0
        var conflicts = 0
        while !Task.isCancelled {
            if state.withLock({ $0.isRemoved }) {
                lease = nil
                try await Task.sleep(for: Self.leaseInterval)
                continue
            }
            do {
                let renewed = try await renew(lease)
                lease = renewed.lease
                conflicts = renewed.isOthers ? conflicts + 1 : 0
                if conflicts == Self.conflictsOfTwins { tellTwin() }
                // After such a pause the control plane may have reported the node as lost, which only a status undoes.
                if ContinuousClock.now - lastRenewal > .seconds(Self.leaseSeconds) {
                    state.withLock { $0.lastWrite = 0 }
                }
                lastRenewal = .now
                failures = 0
            } catch {
                if error is CancellationError { throw error }
                lease = nil
                failures += 1
                logger.warning("The node's lease could not be renewed", metadata: ["error": "\(error)"])
            }
            // A server that was lost is looked for soon, before the node counts as lost.
            try await Task.sleep(
                for: failures == 0 ? Self.leaseInterval : min(Self.leaseInterval, .seconds(1 << min(failures - 1, 6))))
        }
    }

    private func tellTwin() {
        logger.error(
            """
            Another machine renews this node's lease: two boards work under one name, perhaps because an SD card was copied. \
            Stop the agent on one of them; to use both, run 'swiftlet reset' on the copy, give it a machine-id and a host name \
            of its own, and join again
            """)
    }

    /// - Returns: the lease, and whether somebody else has changed it since `known`.
    private func renew(_ known: KubeObject?) async throws -> (lease: KubeObject, isOthers: Bool) {
        var isOthers = false
        let time = JSON.string(WallClock.text(microseconds: clock.now().wallSeconds * 1_000_000))
        let name = writer().nodeName
        if var lease = known {
            lease.spec["renewTime"] = time
            do { return (try await client.update(.leases, object: lease), false) } catch let error as StatusError {
                // Changed or deleted by somebody else: take what is there.
                guard error.isConflict || error.isNotFound else { throw error }
                isOthers = error.isConflict
            }
        }
        do {
            var lease = try await client.get(.leases, namespace: Self.leases, name: name)
            lease.spec["renewTime"] = time
            lease.spec["holderIdentity"] = .string(name)
            return (try await client.update(.leases, object: lease), isOthers)
        } catch let error as StatusError where error.isNotFound {
            return (try await client.create(.leases, object: newLease(name, time)), false)
        }
    }

    private func newLease(_ name: String, _ time: JSON) -> KubeObject {
        var lease = KubeObject(.init("coordination.k8s.io", "v1", "Lease"), namespace: Self.leases, name: name)
        lease.spec = [
            "holderIdentity": .string(name), "leaseDurationSeconds": JSON(Self.leaseSeconds), "renewTime": time,
        ]
        if let node {
            lease.metadata["ownerReferences"] = [
                ["apiVersion": "v1", "kind": "Node", "name": .string(name), "uid": .string(node.uid)]
            ]
        }
        return lease
    }
}
