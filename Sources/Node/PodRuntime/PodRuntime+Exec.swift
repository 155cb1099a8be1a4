// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import NIOCore
import NIOPosix
import OCISpec
import PKI
import Synchronization

/// Running more processes in a container.
extension PodRuntime {
    /// The bytes of a probe's or hook's output that are kept.
    private static let outputLimit = 10 << 10
    /// How long output may still come after the process has ended, held open by a child of it.
    private static let drainTime = Duration.milliseconds(500)

    /// Runs a command and collects what it prints; it is killed when the task is cancelled.
    package func execute(_ id: String, command: [String]) async throws -> CommandResult {
        let collector = OutputCollector(limit: Self.outputLimit)
        let code = try await exec(
            id, command: command, options: ProcessStreamOptions(stdout: true, stderr: true), client: collector)
        return CommandResult(exitCode: code, output: collector.bytes)
    }

    /// Runs a command with a client's streams and gives its exit code.
    package func exec(
        _ id: String, command: [String], options: ProcessStreamOptions, client: any ProcessClient
    ) async throws -> Int {
        guard let record = record(id), record.exit == nil else {
            throw RuntimeError(.notFound, "exec in container", "container \(id) is not running")
        }
        let name = "exec-\(hexadecimal(try randomBytes(count: 8)))"
        let directory = configuration.containerDirectory(id)
        let processFile = "\(directory)/\(name).json"
        let pidFile = "\(directory)/\(name).pid"
        defer {
            for path in [processFile, pidFile] {
                // Left behind it goes with the container's directory.
                _ = try? Files.remove(path)
            }
        }
        let exec = try await blocking {
            try self.writeProcess(processFile, record, command, tty: options.tty)
            return try self.spawnExec(record, processFile: processFile, pidFile: pidFile, options)
        }
        return try await serve(exec, pidFile: pidFile, options, client)
    }

    /// The container's own process with another command line.
    private func writeProcess(_ path: String, _ record: ContainerRecord, _ command: [String], tty: Bool) throws {
        let config = try Files.read("\(configuration.containerDirectory(record.id))/config.json")
        guard var process = try RuntimeSpec(parsing: config).process else {
            throw RuntimeError(.other, "exec in container \(record.id)", "its configuration has no process")
        }
        process.args = command
        process.terminal = tty
        if tty, !process.env.contains(where: { $0.hasPrefix("TERM=") }) { process.env.append("TERM=xterm") }
        try Files.replace(path, with: process.serialized(), durable: false)
    }

    // MARK: Spawning

    private func spawnExec(
        _ record: ContainerRecord, processFile: String, pidFile: String, _ options: ProcessStreamOptions
    ) throws -> ExecProcess {
        let arguments = [
            "swiftlet-launcher", "--root", configuration.launcherRoot, "exec", "--process", processFile, "--pid-file",
            pidFile,
        ]
        // Ends that only the launcher keeps; ours are given to the process's record.
        var theirs = OpenDescriptors()
        defer { theirs.closeAll() }
        let null = theirs.add(try FileDescriptor.open("/dev/null", .readWrite).release())
        var exec = ExecProcess()
        do {
            let alive = try RawPipe()
            exec.alive = alive.read
            theirs.add(alive.write)
            let errors = try RawPipe()
            exec.errors = errors.read
            theirs.add(errors.write)
            if options.tty {
                try spawnWithTerminal(
                    &exec, arguments, record.id, processFile,
                    [(null, 0), (null, 1), (errors.write, 2), (alive.write, 3)])
                return exec
            }
            let output = try RawPipe()
            exec.output = output.read
            theirs.add(output.write)
            var stdin = null
            if options.stdin {
                let input = try RawPipe()
                exec.input = input.write
                stdin = theirs.add(input.read)
            }
            exec.process = try spawn(
                arguments + [record.id], [(stdin, 0), (output.write, 1), (errors.write, 2), (alive.write, 3)])
            return exec
        } catch {
            exec.closeAll()
            throw error
        }
    }

    /// Starts the launcher and waits until it hands over the terminal's other end (runtime-spec: `--console-socket`).
    private func spawnWithTerminal(
        _ exec: inout ExecProcess, _ arguments: [String], _ id: String, _ processFile: String,
        _ descriptors: [(from: CInt, to: CInt)]
    ) throws {
        let path = "\(processFile).console"
        let listener = try Sockets.listen(at: path)
        defer {
            // It is of no use after the one connection; left behind it goes with the container's directory.
            _ = try? Files.remove(path)
        }
        exec.process = try spawn(arguments + ["--console-socket", path, id], descriptors)
        var entries = [Polling.Entry(listener.rawValue, .readable), Polling.Entry(exec.process, .readable)]
        let count = try Polling.wait(&entries, timeout: 10_000)
        var handed: [CInt] = []
        if count > 0, entries[0].result.contains(.readable), let connection = try Sockets.accept(listener) {
            _ = try Sockets.receive(limit: 256, descriptors: &handed, on: connection)
        }
        guard let terminal = handed.first else {
            throw RuntimeError(.start, "exec", try pendingText(exec.errors) ?? "the launcher gave no terminal")
        }
        exec.terminal = terminal
    }

    /// What the launcher has printed so far.
    private func pendingText(_ descriptor: CInt) throws -> String? {
        var entries = [Polling.Entry(descriptor, .readable)]
        guard try Polling.wait(&entries, timeout: 100) > 0 else { return nil }
        let copy = try LinuxSystem.FileDescriptor.duplicate(descriptor)
        let bytes = try copy.bytes(fromPipe: 4096)
        let text = String(decoding: bytes, as: UTF8.self)
        return text.isEmpty ? nil : text
    }

    /// The started program's descriptor, which is readable when it has ended.
    private func spawn(_ arguments: [String], _ descriptors: [(from: CInt, to: CInt)]) throws -> CInt {
        var spawner = ProcessSpawner(path: configuration.launcher, arguments: arguments)
        spawner.descriptors = descriptors
        let child = try spawner.start()
        return try child.process.duplicated().release()
    }

    // MARK: Streams

    private func serve(
        _ exec: ExecProcess, pidFile: String, _ options: ProcessStreamOptions, _ client: any ProcessClient
    ) async throws -> Int {
        let pump = DescriptorPump(client: client)
        let life = ExecLife(exec, pidFile: pidFile) { await pump.drain(exec.alive) }
        return try await withThrowingTaskGroup(of: PumpEnd.self) { group in
            group.addTask {
                await life.waitForEnd()
                return .process
            }
            group.addTask {
                await life.endWhenCancelled()
                return .input
            }
            var outputs = 0
            if exec.terminal >= 0 {
                outputs = 1
                group.addTask {
                    // The launcher's own words; the terminal has the process's.
                    await pump.drain(exec.errors)
                    return .input
                }
                group.addTask {
                    await pump.terminal(exec.terminal)
                    return .output
                }
            } else {
                for (descriptor, isError) in [(exec.output, false), (exec.errors, true)] {
                    outputs += 1
                    group.addTask {
                        await pump.output(descriptor, isError: isError)
                        return .output
                    }
                }
                if exec.input >= 0 {
                    group.addTask {
                        await pump.input(exec.input)
                        return .input
                    }
                }
            }
            try await Self.waitForEnd(&group, outputs: outputs)
            group.cancelAll()
            try await group.waitForAll()
            // The launcher has ended, or is just about to. It is waited for in a task of its own: work of one that is cancelled
            // is not begun.
            return try await Task { try await self.blocking { try exec.exitCode() } }.value
        }
    }

    private enum PumpEnd { case process, output, input, time }

    /// Waits for the process and then, for a little while, for the rest of its output.
    private static func waitForEnd(_ group: inout ThrowingTaskGroup<PumpEnd, any Error>, outputs: Int) async throws {
        var left = outputs
        var hasEnded = false
        while let end = try await group.next() {
            switch end {
            case .process:
                hasEnded = true
                group.addTask {
                    // Cancelled with the group when all output has come.
                    try? await Task.sleep(for: drainTime)
                    return .time
                }
            case .output: left -= 1
            case .input: break
            case .time: return
            }
            if hasEnded, left == 0 { return }
        }
    }
}

/// A launcher that runs a process in a container, and our ends of its descriptors (-1 where there is none).
struct ExecProcess: Sendable {
    var terminal: CInt = -1
    var input: CInt = -1
    var output: CInt = -1
    var errors: CInt = -1
    /// Ends with the launcher, whoever else holds its output.
    var alive: CInt = -1
    /// The launcher's own descriptor.
    var process: CInt = -1

    func exitCode() throws -> Int {
        let descriptor = LinuxSystem.FileDescriptor(owning: process)
        return Int(try Processes.wait(for: descriptor).shellCode)
    }

    func closeAll() {
        for number in [terminal, input, output, errors, alive, process] where number >= 0 {
            LinuxSystem.FileDescriptor(owning: number).close()
        }
    }
}

/// A pipe by the numbers of its ends.
struct RawPipe {
    let read: CInt
    let write: CInt

    init() throws {
        let pair = try Sockets.pipe()
        read = try pair.first.duplicated().release()
        write = try pair.second.duplicated().release()
    }
}

/// Descriptors that are closed together.
struct OpenDescriptors {
    private var numbers: [CInt] = []

    @discardableResult
    mutating func add(_ number: CInt) -> CInt {
        numbers.append(number)
        return number
    }

    mutating func closeAll() {
        for number in numbers { LinuxSystem.FileDescriptor(owning: number).close() }
        numbers = []
    }
}

extension LinuxSystem.FileDescriptor {
    /// What one read(2) of a pipe gives.
    fileprivate func bytes(fromPipe limit: Int) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: limit)
        let count = try buffer.withUnsafeMutableBytes { try read(into: $0, "pipe") }
        return Array(buffer.prefix(count))
    }
}

/// Collects output up to a limit.
final class OutputCollector: ProcessClient {
    private let limit: Int
    private let collected = Mutex<[UInt8]>([])

    init(limit: Int) { self.limit = limit }

    var bytes: [UInt8] { collected.withLock { $0 } }

    func receive() async throws -> ProcessInput? { nil }

    func send(_ bytes: [UInt8], isError: Bool) async throws {
        collected.withLock { $0 += bytes.prefix(limit - $0.count) }
    }
}
