// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

extension LauncherCommand {
    private static let execOptions = OptionParser(
        flags: ["detach", "tty", "no-new-privs", "ignore-paused"],
        values: [
            "process", "pid-file", "console-socket", "cwd", "env", "user", "cap", "preserve-fds", "additional-gids",
            "apparmor", "process-label", "cgroup",
        ],
        short: [
            "d": "detach", "t": "tty", "p": "process", "e": "env", "u": "user", "c": "cap", "g": "additional-gids",
        ],
        stopsAtFirstArgument: true)

    /// `exec`.
    func exec(_ arguments: [String]) throws(LauncherError) -> Int32 {
        try SealedExecutable.ensure(arguments: invocation)
        let parsed = try Self.execOptions.parse(arguments)
        guard let id = parsed.arguments.first else { throw LauncherError("expected the container's ID") }
        let process = try process(of: id, parsed, Array(parsed.arguments.dropFirst()))
        var options = ExecOptions(process: process)
        options.pidFile = parsed.value("pid-file")
        options.preservedDescriptors = try Self.number(parsed, "preserve-fds")
        options.ignoresPaused = parsed.has("ignore-paused")
        options.subgroup = try Self.subgroup(parsed)
        let stays = !parsed.has("detach")
        let path = parsed.value("console-socket").flatMap { $0.isEmpty ? nil : $0 }
        let console = try Self.console(path, hasTerminal: process.terminal, stays: stays)
        let foreground = stays ? try Foreground(consoleReceiver: console.receiver) : nil
        let pid = try ExecCreation(
            launcher: launcher, id: id, options: options, consoleSocket: console.socket
        ).start()
        return try foreground?.wait(for: pid) ?? 0
    }

    private static func subgroup(_ parsed: OptionParser.Result) throws(LauncherError) -> String? {
        guard let group = parsed.value("cgroup") else { return nil }
        let components = group.split(separator: "/").map(String.init)
        if components.contains("..") { throw LauncherError("--cgroup: \"\(group)\" must stay below the container's") }
        return components.joined(separator: "/")
    }

    /// The process to start: the file's, or the container's own with what the options change.
    private func process(
        of id: String, _ parsed: OptionParser.Result, _ arguments: [String]
    ) throws(LauncherError) -> RuntimeSpec.Process {
        if let path = parsed.value("process") {
            do {
                return try RuntimeSpec.Process(parsing: try Files.read(path))
            } catch {
                throw LauncherError("reading the process from \(path)", error)
            }
        }
        guard !arguments.isEmpty else { throw LauncherError("exec needs a program or --process") }
        guard var process = try launcher.store.loadConfig(of: try launcher.store.require(id).id).process else {
            throw LauncherError("container \"\(id)\" has no process to take the defaults from")
        }
        process.args = arguments
        process.terminal = parsed.has("tty")
        process.consoleSize = nil
        process.oomScoreAdj = nil
        if let cwd = parsed.value("cwd") { process.cwd = cwd }
        process.env += parsed.values("env")
        if let user = parsed.value("user") { process.user = try Self.user(user) }
        for gid in parsed.values("additional-gids") {
            guard let number = UInt32(gid) else { throw LauncherError("--additional-gids: \"\(gid)\" is no group id") }
            process.user.additionalGids.append(number)
        }
        if parsed.has("no-new-privs") { process.noNewPrivileges = true }
        if let profile = parsed.value("apparmor") { process.apparmorProfile = profile }
        if let label = parsed.value("process-label") { process.selinuxLabel = label }
        Self.add(parsed.values("cap"), to: &process)
        return process
    }

    private static func user(_ text: String) throws(LauncherError) -> RuntimeSpec.User {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let uid = parts.first.flatMap({ UInt32($0) }) else {
            throw LauncherError("--user: \"\(text)\" is not of the form UID[:GID]")
        }
        guard parts.count > 1 else { return RuntimeSpec.User(uid: uid) }
        guard let gid = UInt32(parts[1]) else {
            throw LauncherError("--user: \"\(text)\" is not of the form UID[:GID]")
        }
        return RuntimeSpec.User(uid: uid, gid: gid)
    }

    /// As runc: into all sets, and into the ambient one only if there are inheritable capabilities.
    private static func add(_ names: [String], to process: inout RuntimeSpec.Process) {
        if names.isEmpty { return }
        var sets = process.capabilities ?? RuntimeSpec.Capabilities()
        sets.bounding += names
        sets.effective += names
        sets.permitted += names
        if !sets.inheritable.isEmpty {
            sets.inheritable += names
            sets.ambient += names
        }
        process.capabilities = sets
    }
}
