// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import OCISpec

/// The launcher's command line: the commands and options of runc and crun.
package struct LauncherCommand {
    package static let version = "0.1.0"

    /// Everything that the program was called with, `argv[0]` first.
    let invocation: [String]
    let launcher: ContainerLauncher
    let log: Log

    private static let globalOptions = OptionParser(
        flags: ["debug", "systemd-cgroup", "version", "help"],
        values: ["root", "log", "log-format", "rootless", "cgroup-manager", "criu"],
        short: ["v": "version", "h": "help"], stopsAtFirstArgument: true)

    /// Runs a command and returns the exit code: the program's own for `run` and `exec`, else 0, or 1 for an error.
    package static func run(_ arguments: [String]) -> Int32 {
        var log: Log?
        do throws(LauncherError) {
            let globals = try globalOptions.parse(Array(arguments.dropFirst()))
            if globals.has("version") { return Output.version() }
            guard let name = globals.arguments.first, !globals.has("help"), name != "help" else {
                return Output.usage()
            }
            let opened = try openLog(globals)
            log = opened
            if globals.has("systemd-cgroup") || globals.value("cgroup-manager") == "systemd" {
                throw LauncherError(
                    "the systemd cgroup driver is not supported yet; use --cgroup-manager=cgroupfs")
            }
            let command = LauncherCommand(
                invocation: arguments,
                launcher: ContainerLauncher(
                    store: StateStore(root: stateRoot(globals)), log: opened,
                    managesCgroups: globals.value("cgroup-manager") != "disabled"),
                log: opened)
            return try command.run(name, Array(globals.arguments.dropFirst()))
        } catch {
            if let log {
                log.write(.error, error.description)
            } else {
                StandardError.write(Array("swiftlet-launcher: \(error)\n".utf8))
            }
            return 1
        }
    }

    private static func openLog(_ globals: OptionParser.Result) throws(LauncherError) -> Log {
        let format = globals.value("log-format") ?? "text"
        guard let format = Log.Format(rawValue: format) else {
            throw LauncherError("invalid log format \"\(format)\": expected text or json")
        }
        // /dev/stderr is what every message goes to anyway.
        let path = globals.value("log").flatMap { $0.isEmpty || $0 == "/dev/stderr" ? nil : $0 }
        return try Log(path: path, format: format, isDebug: globals.has("debug"))
    }

    private static func stateRoot(_ globals: OptionParser.Result) -> String {
        if let root = globals.value("root"), !root.isEmpty { return root }
        if Processes.effectiveUserID != 0, let directory = environmentVariable("XDG_RUNTIME_DIR") {
            return "\(directory)/swiftlet-launcher"
        }
        return "/run/swiftlet-launcher"
    }

    private func run(_ name: String, _ arguments: [String]) throws(LauncherError) -> Int32 {
        switch name {
        case "create": return try create(arguments, runs: false)
        case "run": return try create(arguments, runs: true)
        case "exec": return try exec(arguments)
        case "start": try launcher.start(try id(arguments))
        case "state": Output.write(try launcher.state(try id(arguments)).json.text(indented: true) + "\n")
        case "kill": try kill(arguments)
        case "delete": try delete(arguments)
        case "pause": try launcher.setPaused(try id(arguments), true)
        case "resume": try launcher.setPaused(try id(arguments), false)
        case "list": try list(arguments)
        case "ps": return try ps(arguments)
        case "update": try update(arguments)
        case "features": Output.write(Features.document.text(indented: true) + "\n")
        case "spec": try spec(arguments)
        default: throw LauncherError("unknown command \"\(name)\"; try --help")
        }
        return 0
    }

    /// The one argument of a command that takes a container's name and no options.
    func id(_ arguments: [String]) throws(LauncherError) -> String {
        let result = try OptionParser().parse(arguments)
        return try onlyArgument(result)
    }

    func onlyArgument(_ result: OptionParser.Result) throws(LauncherError) -> String {
        guard result.arguments.count == 1, let id = result.arguments.first else {
            throw LauncherError("expected one argument, the container's ID, and got \(result.arguments.count)")
        }
        return id
    }
}

/// What the launcher prints that is no message.
enum Output {
    static func write(_ text: String) {
        do {
            try FileDescriptor.duplicate(1).writeAll(text, "standard output")
        } catch {
            StandardError.write(Array("swiftlet-launcher: \(error)\n".utf8))
        }
    }

    static func version() -> Int32 {
        write(
            "swiftlet-launcher version \(LauncherCommand.version)\nspec: \(RuntimeSpec.currentVersion)\n+CAP +SECCOMP +EBPF\n"
        )
        return 0
    }

    static func usage() -> Int32 {
        write(
            """
            swiftlet-launcher [global options] command [options] ...

            commands: create run start state kill delete exec list ps update pause resume spec features
            global options:
              --root DIR            where container states are kept (/run/swiftlet-launcher)
              --log FILE            where messages go beside standard error
              --log-format FORMAT   text or json
              --cgroup-manager NAME cgroupfs or disabled
              --debug               log more
              --version             print the version

            """)
        return 0
    }
}
