// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// What `exec` is told beside the container's name.
struct ExecOptions {
    var process: RuntimeSpec.Process
    var pidFile: String?
    var preservedDescriptors = 0
    var ignoresPaused = false
    /// A group below the container's to run in.
    var subgroup: String?
}

/// Another process in a running container.
struct ExecCreation {
    let launcher: ContainerLauncher
    let id: String
    let options: ExecOptions
    let consoleSocket: CInt?

    /// Starts the process and returns its number once it runs its program.
    func start() throws(LauncherError) -> Int32 {
        let record = try launcher.store.require(id)
        let cgroups = try launcher.cgroups()
        try checkRunning(record, cgroups)
        guard let container = record.pid else { throw LauncherError("container \"\(id)\" is not running") }
        let config = try launcher.store.loadConfig(of: id)
        let pair = try attempting("creating a socket pair") { try Sockets.pair(.packets) }
        let target = try attempting("opening process \(container)") { try Processes.open(container).release() }
        let kinds = try namespacesToJoin(container)
        if kinds.contains(.pid) {
            try attempting("joining the PID namespace") { try Namespaces.join(target, .pid) }
        }
        let child = try attempting("creating the process") { try Processes.fork() }
        if child == 0 {
            ExecProcess(
                setup: ProcessSetup(
                    process: options.process, seccomp: config.linux.seccomp,
                    preservedDescriptors: options.preservedDescriptors),
                kinds: kinds.subtracting(.pid), consoleSocket: consoleSocket, log: launcher.log
            ).run(pair.takeSecond().release(), target)
        }
        do {
            try prepare(child, record, cgroups)
            try follow(SyncChannel(pair.takeFirst()))
            try writePIDFile(child)
        } catch {
            try? Processes.kill(child, Signals.kill)
            _ = try? Processes.wait(for: child)
            throw error
        }
        return child
    }

    private func checkRunning(_ record: ContainerRecord, _ cgroups: Cgroups?) throws(LauncherError) {
        let status = try launcher.store.status(of: record, cgroups: cgroups)
        switch status {
        case .running, .created: return
        case .paused:
            if options.ignoresPaused { return }
            throw LauncherError("cannot exec in a paused container (use --ignore-paused to override)")
        case .creating, .stopped: throw LauncherError("cannot exec in a \(status.rawValue) container")
        }
    }

    /// The kinds of namespaces in which the container differs; the own user namespace cannot be joined again.
    private func namespacesToJoin(_ pid: Int32) throws(LauncherError) -> NamespaceKinds {
        let files: [(String, NamespaceKinds)] = [
            ("mnt", .mount), ("pid", .pid), ("net", .network), ("ipc", .ipc), ("uts", .uts), ("cgroup", .cgroup),
            ("user", .user), ("time", .time),
        ]
        var kinds: NamespaceKinds = []
        do {
            for (name, kind) in files {
                guard let own = try Files.status("/proc/self/ns/\(name)"),
                    let other = try Files.status("/proc/\(pid)/ns/\(name)")
                else { continue }
                if own.inode != other.inode { kinds.insert(kind) }
            }
        } catch {
            throw LauncherError("examining the container's namespaces", error)
        }
        return kinds
    }

    private func prepare(_ child: Int32, _ record: ContainerRecord, _ cgroups: Cgroups?) throws(LauncherError) {
        guard let cgroups, let group = record.cgroup else { return }
        let target = options.subgroup.map { "\(group)/\($0)" } ?? group
        try attempting("entering cgroup \(target)") { try cgroups.add(child, to: target) }
        guard let score = options.process.oomScoreAdj else { return }
        do {
            try Files.write("\(score)", to: "/proc/\(child)/oom_score_adj")
        } catch {
            launcher.log.warn("oom_score_adj stays as it is: \(error.reason)")
        }
    }

    private func follow(_ sync: consuming SyncChannel) throws(LauncherError) {
        let message: SyncChannel.Message?
        do {
            try sync.send(.proceed)
            // The end of the conversation is the exec.
            message = try sync.receive()
        } catch {
            throw LauncherError("talking to the new process", error)
        }
        if case .failure(let text)? = message { throw LauncherError(text) }
    }

    private func writePIDFile(_ pid: Int32) throws(LauncherError) {
        guard let path = options.pidFile else { return }
        try attempting("writing the pid file") { try Files.replace(path, with: Array("\(pid)".utf8), durable: false) }
    }
}

/// The process that `exec` adds, from fork to exec.
struct ExecProcess {
    let setup: ProcessSetup
    let kinds: NamespaceKinds
    let consoleSocket: CInt?
    let log: Log

    func run(_ socket: CInt, _ target: CInt) -> Never {
        let channel = SyncChannel(FileDescriptor(owning: socket))
        do {
            try channel.expect(.proceed)
            let label = try SecurityLabel(setup.process)
            try enter(target)
            try becomeProgram(label)
        } catch {
            // A launcher that is gone needs no telling.
            try? channel.send(.failure(error.description))
        }
        _ = channel.takeSocket()
        Processes.exit(1)
    }

    private func becomeProgram(_ label: borrowing SecurityLabel) throws(LauncherError) {
        try setup.become(label, log: log) {}
    }

    private func enter(_ target: CInt) throws(LauncherError) {
        do {
            try Namespaces.join(target, kinds)
            if kinds.contains(.user) {
                try Credentials.setGroupID(0)
                try Credentials.setUserID(0)
            }
            try Processes.startSession()
            guard setup.process.terminal else { return }
            let isOwn = try Mounting.fileSystemType(of: "/dev/pts/ptmx") == Console.devptsMagic
            let master = try Terminal.openMaster(isOwn ? "/dev/pts/ptmx" : "/dev/ptmx")
            try Console.handOver(master, to: consoleSocket, for: setup.process)
        } catch let error as LauncherError {
            throw error
        } catch {
            throw LauncherError("entering the container", error)
        }
    }
}
