// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import JSON
import LinuxSystem
import Logging
import SwiftletCore

/// `swiftlet reset`.
struct ResetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset",
        abstract: "Remove everything that a stopped node left: containers, mounts, network, cgroups and data.",
        discussion: """
            The agent must be stopped. The configuration file stays; running it again is harmless.

            Examples:
              systemctl stop swiftlet && swiftlet reset --yes
              swiftlet reset --keep-data --yes   # ends the containers only; the next start brings the pods back
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Flag(help: "Keep the store, keys, images, volumes and logs.")
    var keepData = false

    @Flag(help: "Do it without asking.")
    var yes = false

    func validate() throws {
        if output.format == .json, !yes { throw ValidationError("-o json asks nobody: add --yes") }
    }

    func run() throws {
        let settings = try configuration.load()
        if !yes {
            let what = keepData ? "every container" : "every container and all data"
            print("This removes \(what) of this node. Type \"yes\" to go on: ", terminator: "")
            guard readLine() == "yes" else { throw CleanExit.message("Nothing was changed.") }
        }
        var logger = Logger(label: "reset") { StandardLogging.handler($0) }
        logger.logLevel = .error
        let problems = try NodeReset(settings, keepingData: keepData, logger: logger).run()
        output.show(["keptData": .bool(keepData), "problems": JSON(problems)])
        if problems.isEmpty {
            if output.format == .text { print("nothing is left") }
            return
        }
        throw ValidationError(
            "not everything could be removed; run the command again:\n" + problems.joined(separator: "\n"))
    }
}
