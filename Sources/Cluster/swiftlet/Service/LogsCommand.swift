// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LinuxSystem
import SwiftletCore
import Systemd

/// `swiftlet logs`: what the agent logged.
struct LogsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Show the agent's log; for containers' output see 'kubectl logs'.",
        discussion: """
            Where systemd does not run the machine, the log file of the supervisor is shown, without --since.
            The journal has the details of entries as fields, to be selected with
            'journalctl -u swiftlet SWIFTLET_NODE=board2 -p warning':
            \(fields)

            Examples:
              swiftlet logs --follow
              swiftlet logs --pod default/web --since '10 min ago'
              swiftlet logs -o json --lines 50
            """)

    private static let fields = LogField.main.map { "  \($0.journalName): \($0.meaning)" }.joined(separator: "\n")

    /// Where the supervisor writes when there is no journal.
    private static let file = "/var/log/swiftlet.log"

    @OptionGroup var output: OutputOptions

    @Flag(name: [.customShort("f"), .long], help: "Go on with what comes.")
    var follow = false

    @Option(help: "Only what concerns this pod, as NAMESPACE/NAME; without a namespace it is in 'default'.")
    var pod: PodName?

    @Option(help: "Only what is not older: '10 min ago', '2026-01-31 12:00' (as journalctl reads it).")
    var since: String?

    @Option(name: [.customShort("n"), .long], help: "How many lines at most.")
    var lines = 200

    func validate() throws {
        if lines < 1 { throw ValidationError("--lines must be at least 1") }
    }

    func run() throws {
        let (program, arguments) = ServiceNotifier.isSystemdRunning ? try journal() : try plainFile()
        throw Processes.execute(program, arguments: arguments, environment: Processes.environment())
    }

    private func journal() throws -> (String, [String]) {
        var arguments = ["journalctl", "--lines=\(lines)", "--no-pager"]
        if follow { arguments.append("--follow") }
        if output.format == .json { arguments.append("--output=json") }
        if let since { arguments.append("--since=\(since)") }
        // Not the unit's: containers' output may be in the journal as well, under names of its own.
        arguments.append("SYSLOG_IDENTIFIER=swiftlet")
        if let pod {
            arguments += ["SWIFTLET_NAMESPACE=\(pod.namespace)", "SWIFTLET_POD=\(pod.name)"]
        } else {
            // What systemd says of the service.
            arguments += ["+", "_PID=1", "UNIT=\(ServiceManager.unit)"]
        }
        return (try Program.require("journalctl", package: "systemd"), arguments)
    }

    private func plainFile() throws -> (String, [String]) {
        guard Files.exists(Self.file) else {
            throw ValidationError(
                "systemd does not run this machine and there is no \(Self.file): an agent in the foreground logs to its "
                    + "standard error")
        }
        if since != nil || output.format == .json {
            throw ValidationError("--since and -o json need the journal, and systemd does not run this machine")
        }
        let tail = "tail -n \(follow ? "\(lines) -F" : "+1") '\(Self.file)'"
        // The patterns are arguments, never part of the script.
        let patterns = pod.map { [$0.pattern("namespace", $0.namespace), $0.pattern("pod", $0.name)] } ?? []
        let filters = patterns.indices.map { " | grep --line-buffered -E -- \"$\($0 + 1)\"" }.joined()
        let limit = follow ? "" : " | tail -n \(lines)"
        return ("/bin/sh", ["sh", "-c", tail + filters + limit, "sh"] + patterns)
    }
}

/// A pod as people name it on a command line, `NAMESPACE/NAME` or `NAME`.
struct PodName: ExpressibleByArgument {
    let namespace: String
    let name: String

    init?(argument: String) {
        let parts = argument.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let allowed = { (part: String) in
            !part.isEmpty
                && part.utf8.allSatisfy { byte in
                    byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
                        || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                }
        }
        guard parts.count <= 2, parts.allSatisfy(allowed), let name = parts.last else { return nil }
        self.name = name
        namespace = parts.count == 2 ? parts[0] : "default"
    }

    /// An extended regular expression for a line of the log with a field of this value, and not of a longer one.
    func pattern(_ key: String, _ value: String) -> String {
        " \(key)=\(value.split(separator: ".", omittingEmptySubsequences: false).joined(separator: "\\."))( |$)"
    }
}
