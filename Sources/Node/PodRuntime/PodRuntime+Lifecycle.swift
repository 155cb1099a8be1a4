// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import Logging
import Synchronization

/// Starting, stopping and removing containers.
extension PodRuntime {
    /// Starts a created container's program.
    ///
    /// - Throws: ``RuntimeError`` of kind `start` where the program cannot be run; the container is then removed but for
    ///   what its status needs.
    package func startContainer(_ id: String) async throws -> ContainerRecord {
        guard let record = record(id) else {
            throw RuntimeError(.notFound, "start container", "there is no container \(id)")
        }
        let link = logLink(record)
        let logPath = record.logPath
        do {
            try await blocking {
                try Files.remove(link)
                try Files.makeLink(link, to: logPath)
                try self.startProgram(record)
            }
        } catch {
            let failure = error as? RuntimeError
            await unconditionally { await self.removeContainer(id) }
            var wrapped = RuntimeError(.start, "start container \(record.name)", failure?.reason ?? "\(error)")
            wrapped.containerID = id
            throw wrapped
        }
        let now = FileTime.now().seconds
        let started = state.withLock { state -> ContainerRecord in
            state.records[id]?.startedAt = now
            return state.records[id] ?? record
        }
        // It runs now: that this cannot be written must not have another one started beside it.
        keep(id)
        logger(of: started).info("A container started")
        return started
    }

    /// Runs the launcher to its end; what it prints when it fails becomes the error's reason.
    func runLauncher(_ arguments: [String], _ kind: RuntimeError.Kind, _ operation: String) throws {
        var theirs = OpenDescriptors()
        defer { theirs.closeAll() }
        let null = theirs.add(try FileDescriptor.open("/dev/null", .readWrite).release())
        let errors = try RawPipe()
        let reader = FileDescriptor(owning: errors.read)
        theirs.add(errors.write)
        var spawner = ProcessSpawner(
            path: configuration.launcher,
            arguments: ["swiftlet-launcher", "--root", configuration.launcherRoot] + arguments)
        spawner.descriptors = [(null, 0), (null, 1), (errors.write, 2)]
        let child = try spawner.start()
        theirs.closeAll()
        let text = try reader.readAll(limit: 16 << 10)
        guard case .exited(0) = try Processes.wait(for: child.process) else {
            throw RuntimeError(kind, operation, Self.reason(String(decoding: text, as: UTF8.self)))
        }
    }

    /// The last line of what the launcher printed, without its name.
    private static func reason(_ text: String) -> String {
        let last = text.split(separator: "\n").last.map(String.init) ?? "the launcher failed without a word"
        for prefix in ["swiftlet-launcher: ", "error: "] where last.hasPrefix(prefix) {
            return String(last.dropFirst(prefix.count))
        }
        return last
    }

    // MARK: Stopping

    /// Asks a container to stop, and kills it when the grace (seconds) is over; returns when it has ended.
    package func stopContainer(_ id: String, grace: Int) async {
        guard let record = record(id), record.exit == nil else { return }
        if grace > 0 {
            await signal(record, record.stopSignal, all: false)
            if await waitForExit(id, within: .seconds(grace)) { return }
        }
        await signal(record, Signals.kill, all: true)
        // The kernel ends it; only a process stuck in the kernel takes longer, and is asked again.
        while !(await waitForExit(id, within: .seconds(10))), !Task.isCancelled {
            await signal(record, Signals.kill, all: true)
        }
    }

    private func signal(_ record: ContainerRecord, _ number: Int32, all: Bool) async {
        do {
            let options = all ? ["--all"] : []
            try await blocking {
                try self.runLauncher(
                    ["kill"] + options + [record.id, "\(number)"], .other, "signal container \(record.name)")
            }
        } catch {
            // Most often it has just ended.
            logger(of: record).debug("A container was not signalled", metadata: ["error": "\(error)"])
        }
    }

    /// Whether the container ends in time.
    private func waitForExit(_ id: String, within time: Duration) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask { await self.waitForExit(id) }
            group.addTask {
                // Cancelled as soon as the container has ended.
                try? await Task.sleep(for: time)
                return false
            }
            let ended = await group.next() ?? false
            if !ended { forgetWaiters(of: id) }
            group.cancelAll()
            return ended
        }
    }

    private func waitForExit(_ id: String) async -> Bool {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                guard let record = state.records[id], record.exit == nil else { return true }
                state.waiters[id, default: []].append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
        return state.withLock { state in state.records[id].map { $0.exit != nil } ?? true }
    }

    /// Lets those who waited for an exit in vain go on; they find out by themselves.
    private func forgetWaiters(of id: String) {
        let waiters = state.withLock { $0.waiters.removeValue(forKey: id) ?? [] }
        for waiter in waiters { waiter.resume() }
    }

    // MARK: Exits

    /// Calls the handler once when the container has ended, at once if it has already.
    package func watchExit(_ id: String, _ handler: @escaping ExitHandler) {
        let ended = state.withLock { state -> ContainerRecord? in
            guard let record = state.records[id] else { return nil }
            if record.exit != nil { return record }
            state.watchers[id] = handler
            return nil
        }
        if let ended { handler(ended) }
    }

    /// Takes in that a container has ended: remembers it, cleans up after the process and tells who wants to know.
    func containerEnded(_ id: String, _ exit: ContainerExitStatus) {
        guard var record = record(id), record.exit == nil else { return }
        var exit = exit
        exit.isOutOfMemory = exit.isOutOfMemory || cgroups.outOfMemoryKills(record.cgroupPath) > 0
        let log = logger(of: record)
        log.info("A container ended", metadata: ["exit-code": "\(exit.exitCode)", "reason": "\(exit.reason)"])
        do { try runLauncher(["delete", "--force", id], .other, "delete container \(record.name)") } catch {
            log.warning("A container could not be deleted", metadata: ["error": "\(error)"])
        }
        // What is told of its start meanwhile stays; until this is on disk, the monitor's own record is.
        record.exit = exit
        let ended = state.withLock { [record] state in
            state.records[id]?.exit = exit
            return state.records[id] ?? record
        }
        keep(id)
        let (watcher, waiters) = state.withLock { state -> (ExitHandler?, [CheckedContinuation<Void, Never>]) in
            (state.watchers.removeValue(forKey: id), state.waiters.removeValue(forKey: id) ?? [])
        }
        for waiter in waiters { waiter.resume() }
        watcher?(ended)
    }

    // MARK: Removing

    /// Removes an ended container with its file system and its log.
    package func removeContainer(_ id: String) async {
        guard let record = record(id) else { return }
        if record.exit == nil { await stopContainer(id, grace: 0) }
        await removeLog(at: record.logPath, link: logLink(record))
        await discard(id)
    }

    /// Removes all containers and logs of a pod.
    package func removePod(_ pod: PodIdentity) async {
        for record in everyRecord(of: pod.uid) { await removeContainer(record.id) }
        let directory = configuration.logDirectory(pod)
        do { try await blocking { try Files.removeTree(directory) } } catch {
            logger.warning(
                "A pod's logs could not be removed",
                metadata: [
                    "namespace": "\(pod.namespace)", "pod": "\(pod.name)", "path": "\(directory)", "error": "\(error)",
                ])
        }
    }
}
