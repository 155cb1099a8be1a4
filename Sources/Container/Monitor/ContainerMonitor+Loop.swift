// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem

/// The poll loop.
extension ContainerMonitor {
    /// Milliseconds between attempts to write to a log that takes nothing.
    private static let logRetryTime: Int32 = 1000
    /// Milliseconds for which such a log is tried after the container's end. A container that never ends cannot be removed,
    /// and what fills the disk may be its own.
    private static let lastLogRetries: Int64 = 3000

    /// What an entry of the poll is about.
    private enum Source {
        case signals, control, attach, output, error, input
        case controlConnection(ControlConnection)
        case client(AttachClient)
    }

    /// Serves until the container has ended and everything it wrote is in the log, or the log has taken nothing for too long
    /// after that; then records the end.
    func loop() throws {
        var isDrained = false
        var giveUpAt: Int64?
        while !isDrained {
            let (sources, entries) = try wait()
            for (source, entry) in zip(sources, entries) where !entry.result.isEmpty {
                try handle(source, entry.result)
            }
            log.flush()
            if status != nil, !log.pending.isEmpty {
                let now = SystemFacts.uptimeMilliseconds
                let end = giveUpAt ?? now + Self.lastLogRetries
                giveUpAt = end
                if now >= end { log.giveUp() }
            }
            finishStart()
            controls.removeAll { !$0.isOpen }
            removeClients()
            let isQuiet = !entries.contains { !$0.result.isEmpty }
            if isQuiet, journal?.hasNews == true { journal?.tell(now: FileTime.now().seconds) }
            isDrained = status != nil && launcher == nil && log.pending.isEmpty && (hasEndedStreams || isQuiet)
        }
        journal?.tell(now: FileTime.now().seconds, isLast: true)
        try recordEnd()
    }

    private var hasEndedStreams: Bool { streams.output < 0 && streams.error < 0 }

    private func wait() throws(SystemError) -> ([Source], [Polling.Entry]) {
        var sources: [Source] = [.signals, .control, .attach]
        var entries = [
            Polling.Entry(signals.rawValue, .readable), Polling.Entry(control.rawValue, .readable),
            Polling.Entry(attach.rawValue, .readable),
        ]
        // While the log takes nothing, nothing is read: the container waits on its full pipe.
        if log.pending.isEmpty {
            if streams.output >= 0 {
                sources.append(.output)
                entries.append(.init(streams.output, .readable))
            }
            if streams.error >= 0 {
                sources.append(.error)
                entries.append(.init(streams.error, .readable))
            }
        }
        if streams.input >= 0, !pendingInput.isEmpty {
            sources.append(.input)
            entries.append(.init(streams.input, .writable))
        }
        for connection in controls {
            sources.append(.controlConnection(connection))
            entries.append(.init(connection.descriptor, .readable))
        }
        for client in clients {
            var events: PollEvents = pendingInput.count < Self.maximumPendingInput ? .readable : []
            if !client.outgoing.isEmpty { events.insert(.writable) }
            sources.append(.client(client))
            entries.append(.init(client.descriptor, events))
        }
        try Polling.wait(&entries, timeout: timeout)
        return (sources, entries)
    }

    /// Milliseconds until something is to be done although nothing happens.
    private var timeout: Int32? {
        if !log.pending.isEmpty { return Self.logRetryTime }
        if status != nil { return Self.drainTime }
        return journal?.hasNews == true ? Int32(JournalOutput.interval) * 1000 : nil
    }

    private func handle(_ source: Source, _ events: PollEvents) throws {
        switch source {
        case .signals: try handleSignals()
        case .control: try acceptControl()
        case .attach: try acceptClient()
        case .output: read(\.output, kind: .output, formatter: 0)
        case .error: read(\.error, kind: .error, formatter: 1)
        case .input: writeInput()
        case .controlConnection(let connection): receive(from: connection)
        case .client(let client):
            if events.contains(.writable) { client.flush() }
            if !events.isDisjoint(with: [.readable, .hangUp, .error]) { receive(from: client) }
        }
    }

    // MARK: Output

    private func read(_ stream: WritableKeyPath<ContainerStreams, CInt>, kind: AttachFrame.Kind, formatter: Int) {
        var buffer = [UInt8](repeating: 0, count: 16384)
        let number = streams[keyPath: stream]
        // A terminal whose other side is closed says EIO: that is its end.
        let count = buffer.withUnsafeMutableBytes { bytes in
            Result { () throws(SystemError) in try FileDescriptor.readSome(into: bytes, from: number) }
        }
        let time = FileTime.now()
        var lines: [UInt8] = []
        switch count {
        case .success(nil): return
        case .success(let count?) where count > 0:
            formatters[formatter].append(buffer[..<count], time: time, to: &lines)
            for client in clients { client.send(kind, Array(buffer[..<count])) }
        default:
            formatters[formatter].finish(time: time, to: &lines)
            end(stream)
        }
        log.append(lines)
        journal?.append(lines, isError: kind == .error, now: time.seconds)
    }

    private func end(_ stream: WritableKeyPath<ContainerStreams, CInt>) {
        // A terminal stays open for its size; the end of its output is the end of the program or near it.
        if streams.terminal == nil { _ = FileDescriptor(owning: streams[keyPath: stream]) }
        streams[keyPath: stream] = -1
    }

    // MARK: Input

    private func writeInput() {
        guard streams.input >= 0, !pendingInput.isEmpty else { return }
        do {
            let count = try pendingInput.withUnsafeBytes { bytes in
                Result { () throws(SystemError) in try FileDescriptor.writeSome(bytes, to: streams.input) }
            }.get()
            if let count { pendingInput.removeFirst(count) }
        } catch {
            // The container closed its input; nobody will read what is left.
            pendingInput = []
        }
    }

    private func acceptClient() throws {
        while let connection = try Sockets.accept(attach) {
            if clients.count < Self.maximumConnections { clients.append(try AttachClient(connection)) }
        }
    }

    private func receive(from client: AttachClient) {
        for frame in client.receive() {
            switch frame.kind {
            case .input where frame.payload.isEmpty: closeInput()
            case .input where streams.input >= 0:
                pendingInput += frame.payload
                writeInput()
            case .resize:
                if let size = frame.size { resize(rows: size.rows, columns: size.columns) }
            default: break
            }
        }
    }

    private func closeInput() {
        writeInput()
        pendingInput = []
        streams.closeInput()
    }

    private func removeClients() {
        let gone = clients.filter { !$0.isOpen }
        if gone.isEmpty { return }
        clients.removeAll { !$0.isOpen }
        if options.closesInputOnce, gone.contains(where: \.hasWritten) { closeInput() }
    }

    // MARK: Control

    private func acceptControl() throws {
        while let connection = try Sockets.accept(control) {
            if controls.count < Self.maximumConnections { controls.append(try ControlConnection(connection)) }
        }
    }

    private func receive(from connection: ControlConnection) {
        let bytes: [UInt8]
        do {
            bytes = try FileDescriptor.readPacket(from: connection.descriptor, limit: 64)
        } catch {
            if error.errno != Errno.EAGAIN { connection.isOpen = false }
            return
        }
        if bytes.isEmpty {
            connection.isOpen = false
            return
        }
        guard let request = ControlRequest(bytes) else { return connection.send(.failed("unknown request")) }
        answer(request, connection)
    }

    private func answer(_ request: ControlRequest, _ connection: ControlConnection) {
        switch request {
        case .start:
            guard launcher == nil else { return connection.send(.failed("the launcher is at work already")) }
            guard status == nil else { return connection.send(.failed("the container has ended")) }
            do {
                try beginStart()
                connection.awaitsStart = true
            } catch {
                connection.send(.failed("\(error)"))
            }
        case .reopenLog:
            do {
                try log.reopen()
                connection.send(.done)
            } catch {
                connection.send(.failed("\(error)"))
            }
        case .resize(let rows, let columns):
            guard streams.terminal != nil else { return connection.send(.failed("the container has no terminal")) }
            resize(rows: rows, columns: columns)
            connection.send(.done)
        case .closeInput:
            closeInput()
            connection.send(.done)
        case .subscribe: connection.isSubscribed = true
        }
    }

    private func resize(rows: UInt16, columns: UInt16) {
        guard let terminal = streams.terminal, let copy = try? FileDescriptor.duplicate(terminal) else { return }
        // The program may have closed its side; the size does not matter any more then.
        try? Terminal.setSize(of: copy, rows: rows, columns: columns)
    }

    /// Answers who asked for the start once the launcher is done.
    private func finishStart() {
        guard launcher == nil, let result = launcherResult else { return }
        for connection in controls where connection.awaitsStart {
            connection.awaitsStart = false
            connection.send(result == .exited(0) ? .done : .failed(launcherFailure("start")))
        }
    }

    // MARK: End

    private func recordEnd() throws {
        guard let status else { return }
        let time = FileTime.now()
        var lines: [UInt8] = []
        for index in formatters.indices { formatters[index].finish(time: time, to: &lines) }
        log.append(lines)
        let record = ExitRecord(status, oomKilled: countOutOfMemoryKills() > 0, finishedAt: finishedAt)
        try Files.replace(paths.exitRecord, with: record.json.serialized())
        finishStart()
        // The record stays; the sockets have nobody behind them any more.
        try Files.remove(paths.control)
        try Files.remove(paths.attach)
        // What was asked before the end is answered: a socket that is closed with something unread breaks instead.
        try acceptControl()
        for connection in controls { receive(from: connection) }
        for connection in controls where connection.isSubscribed { connection.send(.exited(record)) }
        for client in clients { client.flush() }
        try Files.remove(paths.monitorPID)
    }

    private func countOutOfMemoryKills() -> Int {
        guard let group = options.cgroup else { return 0 }
        do {
            return try Cgroups.current().outOfMemoryKills(in: group)
        } catch {
            // The exit status matters more; SIGKILL without a known cause is what is left.
            StandardError.write(Array("\(Self.programName): \(error)\n".utf8))
            return 0
        }
    }
}
