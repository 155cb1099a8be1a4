// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem

/// Stays with one container from its creation to its end: owns its streams, writes its log, serves attach, and records
/// how it ended.
///
/// One thread, one poll loop. It is the container's parent (as subreaper), so it learns the exit status whatever
/// becomes of the agent, and it holds nothing of the agent's.
package final class ContainerMonitor {
    let options: MonitorOptions
    let paths: MonitorPaths
    let signals: FileDescriptor
    let log: LogFile
    var journal: JournalOutput?
    let control: FileDescriptor
    let attach: FileDescriptor
    var streams = ContainerStreams()
    var formatters = [LogFormatter(stream: "stdout"), LogFormatter(stream: "stderr")]
    var controls: [ControlConnection] = []
    var clients: [AttachClient] = []
    /// Client bytes that the container has not taken yet.
    var pendingInput: [UInt8] = []
    /// The container's first process; 0 before it exists.
    var container: Int32 = 0
    var status: ExitStatus?
    var finishedAt = ""
    /// The running launcher (create or start), and who waits for it.
    var launcher: Int32?
    var launcherResult: ExitStatus?
    var record: ExitRecord?

    /// Connections at one time of each socket; more are refused.
    static let maximumConnections = 64
    /// Input that is kept for a container that does not read; clients are not read then.
    static let maximumPendingInput = 64 * 1024
    /// Milliseconds for which output may still come after the container's end: from processes that outlive it.
    static let drainTime: Int32 = 200

    /// What a monitor's first argument is, by which the file that it shares with the launcher knows what to be.
    package static let programName = "swiftlet-monitor"

    /// Runs a monitor to the container's end; returns the exit code of the program.
    package static func run(_ arguments: [String]) -> Int32 {
        do {
            let options = try MonitorOptions(arguments)
            do {
                let monitor = try ContainerMonitor(options)
                if let descriptor = options.waitDescriptor { try waitForStarter(descriptor) }
                try monitor.createContainer()
                report(.created(pid: monitor.container), to: options.syncDescriptor)
                try monitor.loop()
                return 0
            } catch {
                report(.failed("\(error)"), to: options.syncDescriptor)
                throw error
            }
        } catch {
            StandardError.write(Array("\(programName): \(error)\n".utf8))
            return 1
        }
    }

    /// Waits until the one that started this program has put it where it belongs; what it starts is born there.
    private static func waitForStarter(_ descriptor: CInt) throws {
        let gate = FileDescriptor(owning: descriptor)
        var byte: [UInt8] = [0]
        let count = try byte.withUnsafeMutableBytes { try gate.read(into: $0, "the starter's pipe") }
        if count == 0 { throw MonitorError("the program that started this one has gone") }
    }

    private static func report(_ report: CreateReport, to descriptor: CInt?) {
        guard let descriptor else { return }
        let pipe = FileDescriptor(owning: descriptor)
        // An agent that died meanwhile finds the container by the files.
        try? pipe.writeAll(report.json.serialized())
    }

    private init(_ options: MonitorOptions) throws {
        self.options = options
        paths = MonitorPaths(directory: options.directory)
        if let descriptor = options.syncDescriptor {
            // The launcher and the container must not hold the agent's pipe open.
            let pipe = try FileDescriptor.duplicate(descriptor)
            try pipe.place(at: descriptor)
            try Self.setCloseOnExec(descriptor)
        }
        try Signals.ignore(Signals.pipe)
        try Signals.block([Signals.child, Signals.terminate, Signals.interrupt, Signals.hangUp])
        signals = try Signals.descriptor([Signals.child, Signals.terminate, Signals.interrupt, Signals.hangUp])
        try Processes.becomeSubreaper()
        Processes.setName(Self.programName)
        log = try LogFile(path: options.log)
        journal = options.journal.map {
            JournalOutput(path: $0, fields: options.journalFields, limit: options.journalLimit)
        }
        control = try Sockets.listen(at: paths.control, kind: .packets)
        attach = try Sockets.listen(at: paths.attach)
        try control.setNonBlocking(true)
        try attach.setNonBlocking(true)
        let start = try Processes.startTime(of: Processes.current) ?? 0
        try Files.replace(paths.monitorPID, with: Array("\(Processes.current) \(start)".utf8), durable: false)
    }

    private static func setCloseOnExec(_ descriptor: CInt) throws(SystemError) {
        // ProcessSpawner passes on what it is told only; this is for the descriptor table between the two.
        let file = FileDescriptor(owning: descriptor)
        do {
            try file.setCloseOnExec(true)
        } catch {
            _ = file.release()
            throw error
        }
        _ = file.release()
    }
}

/// One connection of the control socket.
final class ControlConnection {
    let descriptor: CInt
    var isOpen = true
    var isSubscribed = false
    /// Whether it waits for the launcher's `start`.
    var awaitsStart = false

    init(_ connection: consuming FileDescriptor) throws(SystemError) {
        try connection.setNonBlocking(true)
        descriptor = connection.release()
    }

    deinit { _ = FileDescriptor(owning: descriptor) }

    func send(_ reply: ControlReply) {
        do {
            try Sockets.send(reply.bytes, descriptors: [], on: descriptor)
        } catch {
            // A client that does not read its few answers, or is gone.
            isOpen = false
        }
    }
}
