// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Logging
import Monitor
import NIOCore
import NIOPosix
import Synchronization

/// Dealing with the monitors: one per container, which outlives the agent.
extension PodRuntime {
    /// Milliseconds that a monitor may take for the creation or the start of a container.
    private static let answerTimeout: Int32 = 60_000

    func monitorPaths(_ id: String) -> MonitorPaths { MonitorPaths(directory: configuration.containerDirectory(id)) }

    /// Starts a container's monitor, which creates the container, and waits until it has.
    func launch(_ record: ContainerRecord, _ spec: ContainerSpec, in sandbox: Sandbox) throws {
        let directory = configuration.containerDirectory(record.id)
        var arguments = [
            ContainerMonitor.programName, "--id", record.id, "--bundle", directory, "--directory", directory, "--log",
            record.logPath, "--launcher", configuration.launcher, "--launcher-option",
            "--root=\(configuration.launcherRoot)", "--cgroup", record.cgroupPath, "--sync-fd", "3",
        ]
        if spec.tty { arguments.append("--terminal") }
        if spec.stdin { arguments.append("--stdin") }
        if spec.stdinOnce { arguments.append("--stdin-once") }
        if spec.logsToJournal { arguments += journalOptions(record) }
        var theirs = OpenDescriptors()
        defer { theirs.closeAll() }
        let null = theirs.add(try FileDescriptor.open("/dev/null", .readWrite).release())
        let report = try RawPipe()
        let reader = FileDescriptor(owning: report.read)
        theirs.add(report.write)
        let scope = PodScope(path: sandbox.cgroupPath)
        // What the monitor starts is born where the monitor is, so it waits until it is in the pod's scope.
        let gate = scope == nil ? nil : try RawPipe()
        if let gate {
            theirs.add(gate.read)
            arguments += ["--wait-fd", "4"]
        }
        var spawner = ProcessSpawner(path: configuration.launcher, arguments: arguments)
        spawner.descriptors = [(null, 0), (null, 1), (2, 2), (report.write, 3)]
        if let gate { spawner.descriptors.append((gate.read, 4)) }
        spawner.startsSession = true
        var ours = OpenDescriptors()
        defer { ours.closeAll() }
        if let gate { ours.add(gate.write) }
        let child = try spawner.start()
        theirs.closeAll()
        do {
            if let scope, let gate { try admit(child.pid, to: scope, record, sandbox, gate: gate.write) }
        } catch {
            // Its starter having gone, it ends.
            ours.closeAll()
            _ = try Processes.wait(for: child.process)
            throw error
        }
        let answer = CreateReport(parsing: try reader.readAll(limit: 16 << 10))
        if case .failed(let why) = answer {
            _ = try Processes.wait(for: child.process)
            // As with containerd, which has its runtime make the container when it is started.
            var failure = RuntimeError(.start, "create container \(record.name)", why)
            failure.containerID = record.id
            throw failure
        }
        let process = try child.process.duplicated().release()
        state.withLock { $0.monitors[record.id] = process }
    }

    /// Puts a monitor into its pod's scope and lets it begin.
    private func admit(
        _ monitor: Int32, to scope: PodScope, _ record: ContainerRecord, _ sandbox: Sandbox, gate: CInt
    ) throws {
        do {
            try scope.admit(
                monitor, limits: sandbox.limits, description: "Pod \(record.pod.namespace)/\(record.pod.name)",
                stopsAfter: [configuration.serviceUnit])
        } catch {
            throw RuntimeError(.create, "make the scope of container \(record.name)", "\(error)")
        }
        let writer = try LinuxSystem.FileDescriptor.duplicate(gate)
        try writer.writeAll([1])
    }

    /// What the monitor puts into each message: the fields of the agent's own entries, and a name that `journalctl -t` selects.
    private func journalOptions(_ record: ContainerRecord) -> [String] {
        let journal = configuration.journal
        let fields = [
            "SYSLOG_IDENTIFIER=\(record.pod.name)/\(record.name)", "SWIFTLET_COMPONENT=container",
            "SWIFTLET_NODE=\(journal.node)", "SWIFTLET_NAMESPACE=\(record.pod.namespace)",
            "SWIFTLET_POD=\(record.pod.name)", "SWIFTLET_POD_UID=\(record.pod.uid)",
            "SWIFTLET_CONTAINER=\(record.name)", "SWIFTLET_CONTAINER_ID=\(record.id)",
        ]
        return ["--journal", journal.socket, "--journal-limit", "\(journal.limit)"]
            + fields.flatMap { ["--journal-field", $0] }
    }

    /// Has the monitor start the container's program; throws what the launcher says when it cannot.
    func startProgram(_ record: ContainerRecord) throws {
        try ask(.start, of: record, timeout: Self.answerTimeout, .start, "start container \(record.name)")
    }

    /// Asks a container's monitor for something, and waits until it is done.
    ///
    /// - Parameter timeout: Milliseconds.
    private func ask(
        _ request: ControlRequest, of record: ContainerRecord, timeout: Int32, _ kind: RuntimeError.Kind,
        _ operation: String
    ) throws {
        let socket = try Sockets.connect(to: monitorPaths(record.id).control, kind: .packets)
        try Sockets.send(request.bytes, on: socket)
        guard try Polling.wait(socket, .readable, timeout: timeout) else {
            throw RuntimeError(kind, operation, "its monitor does not answer")
        }
        switch ControlReply(try Sockets.receive(limit: 16 << 10, on: socket)) {
        case .done?, .exited?: return
        case .failed(let why)?: throw RuntimeError(kind, operation, why)
        case nil: throw RuntimeError(kind, operation, "its monitor has died")
        }
    }

    /// The number of a container's own process, in the agent's numbers; nil where the launcher told none.
    func firstProcess(of record: ContainerRecord) throws -> Int32? {
        Int32(try Files.readText(monitorPaths(record.id).containerPID))
    }

    // MARK: Ends

    /// Has a container's end told by its monitor, through a connection that stays open and costs nothing.
    func subscribe(_ record: ContainerRecord) throws {
        let id = record.id
        let descriptor: CInt
        do {
            let socket = try Sockets.connect(to: monitorPaths(id).control, kind: .packets)
            try Sockets.send(ControlRequest.subscribe.bytes, on: socket)
            descriptor = socket.release()
        } catch {
            // The monitor is gone: it left the record, or died.
            return finishWithoutMonitor(id)
        }
        ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ExitListener { self.ended(id) })
                }
            }
            .withConnectedSocket(descriptor)
            .whenFailure { error in
                self.logger(of: record).warning("A monitor cannot be listened to", metadata: ["error": "\(error)"])
                self.ended(id)
            }
    }

    /// Called on an event loop when a monitor has told of the end, or its connection broke.
    private func ended(_ id: String) {
        NIOThreadPool.singleton.submit { _ in self.finishWithoutMonitor(id) }
    }

    /// Takes in how a container ended from the record that its monitor left; without one nobody knows.
    func finishWithoutMonitor(_ id: String) {
        let paths = monitorPaths(id)
        let exit: ContainerExitStatus
        // A record that cannot be read tells as little as none.
        if let found = try? paths.readExitRecord() {
            let written = (try? Files.status(paths.exitRecord))??.modified.seconds ?? FileTime.now().seconds
            exit = ContainerExitStatus(
                exitCode: Int(found.exitCode), signal: Int(found.signal ?? 0), isOutOfMemory: found.oomKilled,
                finishedAt: written)
        } else {
            exit = ContainerExitStatus(exitCode: 255, isUnknown: true, finishedAt: FileTime.now().seconds)
        }
        reapMonitor(id)
        containerEnded(id, exit)
    }

    private func reapMonitor(_ id: String) {
        guard let process = state.withLock({ $0.monitors.removeValue(forKey: id) }) else { return }
        // It ends right after its last word.
        _ = try? Processes.wait(for: FileDescriptor(owning: process))
    }

    /// Takes over a container that an earlier run of the agent started.
    func adopt(_ record: ContainerRecord) async throws {
        let isAlive = try await blocking { try self.monitorPaths(record.id).runningMonitor() != nil }
        try await blocking {
            if isAlive {
                try self.subscribe(record)
            } else {
                self.finishWithoutMonitor(record.id)
            }
        }
    }

    // MARK: Running

    /// Rotates logs while the task runs, and writes what could not be written before.
    package func run() async throws {
        while !Task.isCancelled {
            try await Task.sleep(for: .seconds(10))
            for id in state.withLock({ $0.unwritten }) { keep(id) }
            await tendLogs()
        }
    }

    /// Rotates the logs of running containers that have grown too long. What goes wrong with one keeps no other from it.
    func tendLogs() async {
        for record in allRecords() where record.exit == nil && record.startedAt > 0 {
            do {
                try await blocking { try self.tendLog(of: record) }
            } catch {
                // One that has just ended has nobody to answer.
                if self.record(record.id)?.exit != nil { continue }
                logger(of: record).warning("A log could not be rotated", metadata: ["error": "\(error)"])
            }
        }
    }

    private func tendLog(of record: ContainerRecord) throws {
        // Without a file its monitor missed, or could not do, what it was asked for at the last rotation.
        guard let status = try Files.status(record.logPath) else { return try reopenLog(of: record) }
        if status.size > UInt64(configuration.logSizeLimit) { try rotate(record) }
    }

    /// Renames a log, removes the oldest beyond the limit, and has the monitor begin a new one.
    private func rotate(_ record: ContainerRecord) throws {
        let now = FileTime.now()
        // As upstream, names sort by time.
        try Files.rename(record.logPath, to: "\(record.logPath).\(now.seconds)\(now.nanoseconds / 1_000_000 + 1000)")
        let directory = Files.directory(of: record.logPath)
        let name = record.logPath.split(separator: "/").last.map(String.init) ?? ""
        let old = try Files.names(in: directory).filter { $0.hasPrefix("\(name).") }.sorted()
        // Before the new one is made: on a full disk that needs the room.
        for stale in old.dropLast(max(0, configuration.logFileLimit - 1)) { try Files.remove("\(directory)/\(stale)") }
        try reopenLog(of: record)
    }

    private func reopenLog(of record: ContainerRecord) throws {
        try ask(.reopenLog, of: record, timeout: 1000, .other, "begin a new log of container \(record.name)")
    }

    // MARK: Attach

    /// Connects a client with the streams of a container's own process until one of them goes.
    package func attach(_ id: String, options: ProcessStreamOptions, client: any ProcessClient) async throws {
        guard let record = record(id), record.exit == nil else {
            throw RuntimeError(.notFound, "attach to container", "container \(id) is not running")
        }
        let path = monitorPaths(id).attach
        let descriptor = try await blocking { try Sockets.connect(to: path).release() }
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .withConnectedSocket(descriptor) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        try await channel.executeThenClose { inbound, outbound in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await Self.forward(inbound, options, to: client) }
                group.addTask { try await Self.forward(client, options, to: outbound) }
                try await group.next()
                group.cancelAll()
            }
        }
    }

    private static func forward(
        _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ options: ProcessStreamOptions,
        to client: any ProcessClient
    ) async throws {
        var buffer: [UInt8] = []
        for try await bytes in inbound {
            buffer += bytes.readableBytesView
            while let frame = try AttachFrame.take(from: &buffer) {
                switch frame.kind {
                case .output where options.stdout: try await client.send(frame.payload, isError: false)
                case .error where options.stderr: try await client.send(frame.payload, isError: true)
                default: break
                }
            }
        }
    }

    private static func forward(
        _ client: any ProcessClient, _ options: ProcessStreamOptions,
        to outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) async throws {
        while let input = try await client.receive() {
            switch input {
            case .stdin(let bytes):
                for start in stride(from: 0, to: bytes.count, by: AttachFrame.maximumLength) {
                    let piece = bytes[start..<min(start + AttachFrame.maximumLength, bytes.count)]
                    try await outbound.write(ByteBuffer(bytes: AttachFrame(.input, Array(piece)).bytes))
                }
            // The end of a client's input is not the end of the container's: others may attach (stdinOnce: the monitor).
            case .stdinClosed:
                if !options.tty { try await outbound.write(ByteBuffer(bytes: AttachFrame(.input, []).bytes)) }
            case .resize(let width, let height):
                try await outbound.write(ByteBuffer(bytes: AttachFrame.resize(rows: height, columns: width).bytes))
            }
        }
        // The client has gone silent, or away: then its other direction ends the session.
        try await Task.sleep(for: .seconds(1 << 30))
    }
}

/// Waits for a monitor's last word, or its death.
private final class ExitListener: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let ended: () -> Void
    private var isOver = false

    init(_ ended: @escaping () -> Void) { self.ended = ended }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        finish()
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) { finish() }

    private func finish() {
        if !isOver { ended() }
        isOver = true
    }
}
