// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
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

    func run() throws { try ServiceManager.execute("start") }
}

/// `swiftlet stop`.
struct StopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Stop the agent; containers go on running (systemctl stop swiftlet).",
        discussion: """
            Example:
              sudo swiftlet stop
            """)

    func run() throws { try ServiceManager.execute("stop") }
}

/// `swiftlet restart`.
struct RestartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restart", abstract: "Restart the agent; containers go on running (systemctl restart swiftlet).",
        discussion: """
            Example:
              sudo swiftlet restart
            """)

    func run() throws { try ServiceManager.execute("restart") }
}

/// The way to systemd.
enum ServiceManager {
    /// The unit of the agent.
    static let unit = "swiftlet.service"

    /// Becomes `systemctl VERB swiftlet.service`.
    ///
    /// - Throws: ``ValidationError`` where systemd does not run the machine.
    static func execute(_ verb: String) throws {
        guard ServiceNotifier.isSystemdRunning else {
            throw ValidationError(
                "systemd does not run this machine, so there is no service to \(verb); run the agent in the foreground "
                    + "with 'swiftlet run', and end it with SIGTERM")
        }
        let path = try Program.require("systemctl", package: "systemd")
        throw Processes.execute(
            path, arguments: ["systemctl", verb, unit], environment: Processes.environment())
    }
}
