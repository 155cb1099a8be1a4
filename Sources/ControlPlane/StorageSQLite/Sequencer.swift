// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Logging
import Storage
import Synchronization

/// The one writer: takes the mutations that have come while the last transaction was being synced, and makes them one
/// transaction.
///
/// It works on a serial dispatch queue, so it may block for the disk without holding up anybody's tasks, and has no
/// thread while there is nothing to do. All state but the inbox is confined to that queue.
final class Sequencer: @unchecked Sendable {
    private struct Request {
        let mutation: Mutation
        let continuation: CheckedContinuation<Result<StoredValue, StorageError>, Never>

        var bytes: Int {
            switch mutation.change {
            case .put(let bytes, _), .delete(let bytes, _): bytes.count
            }
        }
    }

    private struct Inbox {
        var requests: [Request] = []
        var isDraining = false
        var isClosed = false
    }

    /// So many writers at once will come back at once: the next batch waits for them for a moment, and the disk syncs less often
    /// (as PostgreSQL's `commit_delay` and `commit_siblings`).
    private static let crowd = 3
    private static let gatheringTime = DispatchTimeInterval.microseconds(1_000)
    /// How many revisions of volatile keys one write to the disk allows.
    private static let reservation: Revision = 10_000
    /// Pages in the write-ahead log from which it is folded into the database beside the writer (4 MiB) ...
    private static let checkpointPages = 1_024
    /// ... and from which the writer does it itself, lest the log grow under uninterrupted load (16 MiB).
    private static let blockingCheckpointPages = 4_096

    private let queue = DispatchQueue(label: "swiftlet.store", qos: .userInitiated)
    private let checkpointQueue = DispatchQueue(label: "swiftlet.store.checkpoint", qos: .utility)
    private let inbox = Mutex(Inbox())
    private let core: StorageCore
    private let logger: Logger
    private let checkpointInterval: Duration

    private let file: StoreFile
    private var volatile: VolatileValues
    /// The disk's floor: no acknowledged revision of a volatile key is above it.
    private var floor: Revision
    private var revision: Revision
    private var logPages = 0
    private var isCheckpointing = false
    private var volatileCheckpointIsDue = false
    private var isWriteFailing = false
    private var isClosed = false

    init(
        file: StoreFile, core: StorageCore, reservedRevision: Revision, volatile: VolatileValues,
        checkpointInterval: Duration, logger: Logger
    ) {
        self.file = file
        self.core = core
        self.floor = reservedRevision
        self.revision = reservedRevision
        self.volatile = volatile
        self.checkpointInterval = checkpointInterval
        self.logger = logger
    }

    // MARK: From any thread

    func commit(_ mutation: Mutation) async -> Result<StoredValue, StorageError> {
        await withCheckedContinuation { continuation in
            let request = Request(mutation: mutation, continuation: continuation)
            let (refusal, mustStart) = inbox.withLock { inbox -> (StorageError?, Bool) in
                if inbox.isClosed { return (.closed, false) }
                guard inbox.requests.count < core.limits.queuedWrites else {
                    return (.unavailable("too many writes wait for the disk; try again later"), false)
                }
                inbox.requests.append(request)
                defer { inbox.isDraining = true }
                return (nil, !inbox.isDraining)
            }
            if let refusal { continuation.resume(returning: .failure(refusal)) }
            if mustStart { queue.async { self.drain() } }
        }
    }

    func close() async {
        inbox.withLock { $0.isClosed = true }
        await withCheckedContinuation { continuation in
            queue.async {
                self.drain(gathering: false)
                self.closeFile()
                continuation.resume()
            }
        }
    }

    // MARK: On the queue

    private func drain(gathering: Bool = true) {
        while true {
            let batch = takeBatch()
            if batch.isEmpty { return }
            commit(batch)
            checkpointLogIfNeeded()
            if gathering, batch.count >= Self.crowd {
                return queue.asyncAfter(deadline: .now() + Self.gatheringTime) { self.drain() }
            }
        }
    }

    private func takeBatch() -> [Request] {
        inbox.withLock { inbox in
            var bytes = 0
            var count = 0
            for request in inbox.requests.prefix(core.limits.batchWrites) {
                bytes += request.bytes
                if count > 0, bytes > core.limits.batchBytes { break }
                count += 1
            }
            if count == 0 { inbox.isDraining = false }
            defer { inbox.requests.removeFirst(count) }
            return Array(inbox.requests.prefix(count))
        }
    }

    private func commit(_ batch: [Request]) {
        var plan = core.plan()
        var results: [Result<StoredValue, StorageError>] = []
        results.reserveCapacity(batch.count)
        for request in batch {
            do throws(StorageError) {
                results.append(.success(try plan.apply(request.mutation).value))
            } catch {
                results.append(.failure(error))
            }
        }
        do throws(StoreFault) {
            try makeDurable(plan)
            for event in plan.events where volatile.contains(event.value.key) { volatile.note(event) }
            revision = plan.revision
            core.publish(plan)
            isWriteFailing = false
        } catch {
            report(error)
            results = results.map { _ in .failure(error.storageError) }
        }
        for (request, result) in zip(batch, results) { request.continuation.resume(returning: result) }
        if volatile.isDirty { scheduleVolatileCheckpoint() }
    }

    private func makeDurable(_ plan: MutationPlan) throws(StoreFault) {
        var changes: [StoreFile.RowChange] = []
        var newFloor = floor
        for event in plan.events {
            if volatile.contains(event.value.key) {
                if event.revision > newFloor { newFloor = event.revision + Self.reservation }
                continue
            }
            switch event.kind {
            case .created: changes.append(.put(event.value))
            case .modified: changes.append(.update(event.value))
            case .deleted: changes.append(.delete(created: event.value.created))
            }
        }
        // A deletion leaves no row that could tell its revision.
        if let last = plan.events.last, last.kind == .deleted, last.revision > newFloor { newFloor = last.revision }
        guard !changes.isEmpty || newFloor > floor else { return }
        try file.write(changes, floor: newFloor > floor ? newFloor : nil)
        floor = newFloor
        logPages += changes.reduce(1) { $0 + $1.pages }
    }

    /// Says once that writes fail, and not for each of them.
    private func report(_ fault: StoreFault) {
        guard !isWriteFailing else { return }
        isWriteFailing = true
        logger.error(
            "Cannot write to the store",
            metadata: ["path": "\(fault.path)", "reason": "\(fault.cause); \(fault.remedy)"])
    }

    // MARK: Checkpoints

    private func checkpointLogIfNeeded() {
        if logPages >= Self.blockingCheckpointPages {
            measureLog { try file.checkpoint() }
        } else if logPages >= Self.checkpointPages, !isCheckpointing, file.path != ":memory:" {
            isCheckpointing = true
            checkpointQueue.async { [file] in
                let result = Result { try file.checkpointBesideWriter() }
                self.queue.async {
                    self.isCheckpointing = false
                    self.measureLog { try result.get() }
                }
            }
        }
    }

    private func measureLog(_ checkpoint: () throws -> StoreFile.LogState) {
        guard !isClosed else { return }
        do {
            let state = try checkpoint()
            logPages = state.checkpointed >= state.pages ? 0 : state.pages
        } catch {
            // The log goes on growing and the next write tries again.
            report(StoreFault(error, path: file.path))
            logPages /= 2
        }
    }

    private func scheduleVolatileCheckpoint() {
        guard !volatileCheckpointIsDue else { return }
        volatileCheckpointIsDue = true
        let seconds = Double(checkpointInterval.components.seconds)
        queue.asyncAfter(deadline: .now() + seconds, qos: .utility) { [weak self] in
            guard let self, !isClosed else { return }
            volatileCheckpointIsDue = false
            writeVolatileValues()
            if volatile.isDirty { scheduleVolatileCheckpoint() }
        }
    }

    private func writeVolatileValues() {
        guard volatile.isDirty else { return }
        do throws(StoreFault) {
            let changes = volatile.changes
            try file.write(changes, floor: nil)
            logPages += changes.reduce(1) { $0 + $1.pages }
            volatile.markStored()
        } catch {
            report(error)
        }
    }

    private func closeFile() {
        guard !isClosed else { return }
        writeVolatileValues()
        isClosed = true
        do {
            // The store knows its exact revision again.
            if floor != revision, !isWriteFailing { try file.write([], floor: revision) }
            try file.close()
        } catch {
            logger.error("Cannot close the store in good order", metadata: ["reason": "\(error)"])
        }
    }
}
