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

            Examples:
              swiftlet logs --follow
              swiftlet logs --pod default/web --since '10 min ago'
              swiftlet logs -o json --lines 50
            """)

    /// Where the supervisor writes when there is no journal.
    private static let file = "/var/log/swiftlet.log"

    @OptionGroup var output: OutputOptions

    @Flag(name: [.customShort("f"), .long], help: "Go on with what comes.")
    var follow = false

    @Option(help: "Only what concerns this pod, as NAMESPACE/NAME.")
    var pod: String?

    @Option(help: "Only what is not older: '10 min ago', '2026-01-31 12:00' (as journalctl reads it).")
    var since: String?

    @Option(name: [.customShort("n"), .long], help: "How many lines at most.")
    var lines = 200

    func validate() throws {
        if lines < 1 { throw ValidationError("--lines must be at least 1") }
        if let pod, pod.split(separator: "/", omittingEmptySubsequences: false).count != 2 {
            throw ValidationError("--pod \(pod) is not NAMESPACE/NAME")
        }
    }

    func run() throws {
        let (program, arguments) = ServiceNotifier.isSystemdRunning ? try journal() : try plainFile()
        throw Processes.execute(program, arguments: arguments, environment: Processes.environment())
    }

    private func journal() throws -> (String, [String]) {
        var arguments = ["journalctl", "--unit=\(ServiceManager.unit)", "--lines=\(lines)", "--no-pager"]
        if follow { arguments.append("--follow") }
        if output.format == .json { arguments.append("--output=json") }
        if let since { arguments.append("--since=\(since)") }
        if let pod { arguments.append("SWIFTLET_POD=\(pod)") }
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
        // The pod is an argument, never part of the script.
        let filter = pod == nil ? "" : " | grep --line-buffered -F -- \"pod=$1\""
        let limit = follow ? "" : " | tail -n \(lines)"
        return ("/bin/sh", ["sh", "-c", tail + filter + limit, "sh"] + (pod.map { [$0] } ?? []))
    }
}
