// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import JSON
import LinuxSystem
import SwiftletCore
import Systemd

/// `swiftlet start`.
struct StartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "Start the agent (systemctl start swiftlet).",
        discussion: """
            Example:
              sudo swiftlet start && swiftlet status --wait-ready
            """)

    @OptionGroup var output: OutputOptions

    func run() throws { try ServiceManager.execute("start", output) }
}

/// `swiftlet stop`.
struct StopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Stop the agent; containers go on running (systemctl stop swiftlet).",
        discussion: """
            Example:
              sudo swiftlet stop
            """)

    @OptionGroup var output: OutputOptions

    func run() throws { try ServiceManager.execute("stop", output) }
}

/// `swiftlet restart`.
struct RestartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restart", abstract: "Restart the agent; containers go on running (systemctl restart swiftlet).",
        discussion: """
            Example:
              sudo swiftlet restart
            """)

    @OptionGroup var output: OutputOptions

    func run() throws { try ServiceManager.execute("restart", output) }
}

/// The way to systemd.
enum ServiceManager {
    /// The unit of the agent.
    static let unit = "swiftlet.service"

    /// Does `systemctl VERB swiftlet.service`.
    ///
    /// - Throws: ``ValidationError`` where systemd does not run the machine or refuses.
    static func execute(_ verb: String, _ output: OutputOptions) throws {
        guard ServiceNotifier.isSystemdRunning else {
            throw ValidationError(
                "systemd does not run this machine, so there is no service to \(verb); run the agent in the foreground "
                    + "with 'swiftlet run', and end it with SIGTERM")
        }
        let path = try Program.require("systemctl", package: "systemd")
        let result = try Program.run(path, [verb, unit])
        guard result.status == 0 else {
            throw ValidationError("systemctl \(verb) \(unit) ended with \(result.status): \(result.output)")
        }
        if output.format == .text { print(result.output, terminator: "") }
        output.show(["unit": .string(unit), "done": .string(verb)])
    }
}
