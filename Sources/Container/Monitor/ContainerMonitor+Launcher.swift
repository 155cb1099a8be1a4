// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem

/// The calls of the launcher.
extension ContainerMonitor {
    /// Creates the container; its first process becomes this one's child when the launcher ends.
    func createContainer() throws {
        try Files.remove(paths.launcherLog)
        var arguments = ["create", "--bundle", options.bundle, "--pid-file", paths.containerPID]
        let inner: ContainerStreams.Inner
        if options.hasTerminal {
            let console = try Sockets.listen(at: paths.console)
            arguments += ["--console-socket", paths.console]
            inner = try ContainerStreams.nothing()
            try launch(arguments + [options.id], inner)
            inner.close()
            try finishLaunch("create")
            try streams.adoptTerminal(from: console)
            try Files.remove(paths.console)
        } else {
            let pipes = try ContainerStreams.pipes(hasInput: options.hasInput)
            streams = pipes.outer
            inner = pipes.inner
            try launch(arguments + [options.id], inner)
            inner.close()
            try finishLaunch("create")
        }
        guard let pid = Int32(try Files.readText(paths.containerPID)) else {
            throw MonitorError("\(paths.containerPID) holds no number")
        }
        container = pid
        if options.startsItself { try startContainer(with: try ContainerStreams.nothing()) }
    }

    /// Starts the program now, and waits for it.
    private func startContainer(with inner: ContainerStreams.Inner) throws {
        try launch(["start", options.id], inner)
        inner.close()
        try finishLaunch("start")
    }

    /// Starts the program without waiting; ``launcherResult`` tells when it is done.
    func beginStart() throws {
        let inner = try ContainerStreams.nothing()
        defer { inner.close() }
        try launch(["start", options.id], inner)
    }

    private func launch(_ command: [String], _ inner: ContainerStreams.Inner) throws(SystemError) {
        let name = options.launcher.split(separator: "/").last.map(String.init) ?? "swiftlet-launcher"
        var spawner = ProcessSpawner(
            path: options.launcher,
            arguments: [name, "--log", paths.launcherLog, "--log-format", "json"] + options.launcherOptions + command,
            environment: Processes.environment())
        spawner.descriptors = [(inner.input, 0), (inner.output, 1), (inner.error, 2)]
        let child = try spawner.start()
        launcher = child.pid
        launcherResult = nil
    }

    /// Waits for the launcher; its children that end meanwhile are the container's.
    private func finishLaunch(_ command: String) throws {
        while launcher != nil {
            _ = try Polling.wait(signals, .readable)
            try handleSignals()
        }
        if launcherResult == .exited(0) { return }
        throw MonitorError(launcherFailure(command))
    }

    /// What the launcher said last.
    func launcherFailure(_ command: String) -> String {
        // Without a log there is only the exit code to tell.
        let text = (try? Files.readText(paths.launcherLog)) ?? ""
        for line in text.split(separator: "\n").reversed() {
            guard let entry = try? JSON.parse(String(line)), entry["level"]?.string == "error",
                let message = entry["msg"]?.string
            else { continue }
            return message
        }
        return "the launcher's \(command) failed: \(launcherResult.map { "\($0)" } ?? "no status")"
    }

    /// Reaps children.
    func handleSignals() throws(SystemError) {
        while let signal = try Signals.next(signals) {
            // SIGTERM and the like are for the container's processes, which get them from the agent; a monitor that
            // went away would lose the exit status.
            guard signal == Signals.child else { continue }
            while let ended = try reap() {
                if ended.pid == launcher {
                    launcher = nil
                    launcherResult = ended.status
                } else if ended.pid == container || container == 0 {
                    // Before the launcher has ended the number is not known here; only the container can be ours then.
                    status = ended.status
                    finishedAt = FileTime.now().rfc3339
                }
            }
        }
    }

    private func reap() throws(SystemError) -> (pid: Int32, status: ExitStatus)? {
        do {
            return try Processes.reapAny()
        } catch  where error.errno == Errno.ECHILD {
            return nil
        }
    }
}
